using System.Net;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Time.Testing;
using RouteService.Contracts.V1;
using Feature = RouteService.Contracts.V1.Feature;
using FeaturesClient = RouteService.Contracts.V1.Features.FeaturesClient;

namespace RouteService.Api.Tests;

/// <summary>ImportFeatures over the wire, on the embedded store with its sample places.</summary>
public sealed class ImportFeaturesTests : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly Service _service;
    private readonly FeaturesClient _features;

    public ImportFeaturesTests()
    {
        _service = Service.StartEmbedded(_folder);
        _features = new FeaturesClient(_service.Channel);
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_stream_is_imported_with_names_and_properties_and_counted()
    {
        var before = await CountAsync();
        var properties = Struct.Parser.ParseJson("""{"height":61.5,"uses":["view",{"since":1900}]}""");
        await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = At(1, "old") });

        var summary = await ImportAsync(
            Options(),
            Batch(At(1, "new", properties), At(2, "two")),
            Batch(),
            Batch(At(2, "two again"), new Feature { Name = "features/3,3", DisplayName = "three", Etag = "\"not looked at\"" }));

        Assert.Equal(new ImportFeaturesResponse { ReadCount = 4, SupersededCount = 1, OverwrittenCount = 1, TotalCount = before + 3 }, summary);
        var one = await GetAsync(1);
        Assert.Equal(("new", properties), (one.DisplayName, one.Properties));
        Assert.Equal("two again", (await GetAsync(2)).DisplayName);
        Assert.Equal("three", (await _features.GetFeatureAsync(new GetFeatureRequest { Name = "features/3,3" })).DisplayName);
    }

    [Fact]
    public async Task An_import_that_replaces_all_leaves_its_own_features()
    {
        var summary = await ImportAsync(Options(replaceAll: true), Batch(At(1, "only")));

        Assert.Equal(new ImportFeaturesResponse { ReadCount = 1, TotalCount = 1 }, summary);
        Assert.Equal(1, await CountAsync());
        Assert.Equal(new ImportFeaturesResponse(), await ImportAsync(Options(replaceAll: true)));
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task A_repeat_is_answered_with_the_counts_of_the_import()
    {
        var id = Guid.NewGuid().ToString();
        var first = await ImportAsync(Options(id: id), Batch(At(1, "a"), At(2, "b")));
        await _features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = "features/1,0" });

        Assert.Equal(first, await ImportAsync(Options(id: id), Batch(At(1, "a"), At(2, "b"))));

        await Assert.ThrowsAsync<RpcException>(() => GetAsync(1));
        await ExpectInvalidAsync("options.request_id", id, Options(replaceAll: true, id), Batch(At(1, "a")));
        var create = await Assert.ThrowsAsync<RpcException>(
            async () => await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = At(3, ""), RequestId = id }));
        Assert.Equal(StatusCode.InvalidArgument, create.StatusCode);
    }

    [Fact]
    public async Task What_is_wrong_is_told_with_its_place_and_nothing_is_written()
    {
        var before = await CountAsync();
        var good = Enumerable.Range(1, 100).Select(static i => At(i, "good")).ToArray();

        await ExpectInvalidAsync("options", "first message");
        await ExpectInvalidAsync("options", "first message", Batch(good));
        await ExpectInvalidAsync("options", "first message", new ImportFeaturesRequest());
        await ExpectInvalidAsync("options.request_id", "UUID", Options(id: "1"), Batch(good));
        await ExpectInvalidAsync("batch", "every message but the first", Options(), Batch(good), Options());
        await ExpectInvalidAsync("batch", "every message but the first", Options(), Batch(good), new ImportFeaturesRequest());
        await ExpectInvalidAsync("batch.features[1].location", "Feature 102 of the stream: ", Options(), Batch(good), Batch(good[0], new Feature()));
        await ExpectInvalidAsync("batch.features[100].display_name", "Feature 101 of the stream: ", Options(), Batch([.. good, At(101, "a\0")]));
        await ExpectInvalidAsync("batch.features[0].display_name", "1025 characters", Options(replaceAll: true), Batch(At(1, new string('x', 1_025))));
        await ExpectInvalidAsync(
            "batch.features[0].properties.a", "NaN", Options(), Batch(At(1, "", new Struct { Fields = { ["a"] = Value.ForNumber(double.NaN) } })));

        Assert.Equal(before, await CountAsync());
    }

    [Fact]
    public async Task A_call_that_is_cancelled_or_out_of_time_in_the_middle_writes_nothing()
    {
        var before = await CountAsync();
        using (var call = _features.ImportFeatures())
        {
            await call.RequestStream.WriteAsync(Options(replaceAll: true));
            await call.RequestStream.WriteAsync(Batch(At(1, "a")));
            call.Dispose();
            Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        }

        using (var call = _features.ImportFeatures(deadline: DateTime.UtcNow.AddSeconds(1)))
        {
            await call.RequestStream.WriteAsync(Options(replaceAll: true));
            await call.RequestStream.WriteAsync(Batch(At(1, "a")));
            Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        }

        // One that begins after them and waits for their ends, if they had any.
        Assert.Equal(before, (await ImportAsync(Options())).TotalCount);
    }

    [Fact]
    public async Task While_one_import_is_under_way_others_write_and_import()
    {
        using var slow = _features.ImportFeatures();
        await slow.RequestStream.WriteAsync(Options());
        await slow.RequestStream.WriteAsync(Batch(At(1, "slow")));

        await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = At(2, "quick") });
        await ImportAsync(Options(), Batch(At(1, "quick"), At(3, "quick")));

        Assert.Equal("quick", (await GetAsync(1)).DisplayName);
        await slow.RequestStream.CompleteAsync();
        Assert.Equal((1, 1), ((await slow).ReadCount, (await slow).OverwrittenCount));
        Assert.Equal("slow", (await GetAsync(1)).DisplayName);
    }

    [Fact]
    public async Task Silent_imports_of_one_client_hold_up_its_own_and_none_of_another()
    {
        await using var service = Service.Start();
        var features = new FeaturesClient(service.Channel);
        var silent = new Dictionary<int, AsyncClientStreamingCall<ImportFeaturesRequest, ImportFeaturesResponse>>();
        for (var i = 1; i <= 3; i++)
        {
            silent[i] = features.ImportFeatures();
            await silent[i].RequestStream.WriteAsync(Options());
            await silent[i].RequestStream.WriteAsync(Batch(At(i, "silent")));
        }

        var read = service.Store.Imported.Reader;
        var first = (await read.ReadAsync()).Location.LatitudeE7;
        var second = (await read.ReadAsync()).Location.LatitudeE7;

        using var elsewhere = GrpcChannel.ForAddress(service.Addresses.First(), new GrpcChannelOptions { HttpHandler = FromAnotherAddress() });
        using var other = new FeaturesClient(elsewhere).ImportFeatures();
        await other.RequestStream.WriteAsync(Options());
        await other.RequestStream.WriteAsync(Batch(At(4, "other")));
        await other.RequestStream.CompleteAsync();
        Assert.Equal(1, (await other).ReadCount);
        Assert.Equal(4, (await read.ReadAsync()).Location.LatitudeE7);

        silent[first].Dispose();
        Assert.Equal(6 - first - second, (await read.ReadAsync()).Location.LatitudeE7);
        foreach (var call in silent.Values)
        {
            call.Dispose();
        }
    }

    [Fact]
    public async Task Imports_that_wait_leave_their_connection_to_other_calls()
    {
        // Each sends more than may be unread of one call; a gateway has one connection for many clients.
        var calls = new List<AsyncClientStreamingCall<ImportFeaturesRequest, ImportFeaturesResponse>>();
        var batch = Batch([.. Enumerable.Range(0, 1_000).Select(static i => At(i, new string('x', 1_000)))]);
        for (var i = 0; i < 6; i++)
        {
            calls.Add(_features.ImportFeatures());
            await calls[i].RequestStream.WriteAsync(Options());
            if (i >= 2)
            {
                _ = calls[i].RequestStream.WriteAsync(batch).ContinueWith(static _ => { }, TaskScheduler.Default);
            }
        }

        for (var i = 0; i < 20; i++)
        {
            await _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageSize = 1 }, deadline: DateTime.UtcNow.AddMinutes(1));
        }

        calls.ForEach(static call => call.Dispose());
    }

    [Fact]
    public async Task At_the_shutdown_an_import_ends_without_a_trace()
    {
        using var call = _features.ImportFeatures();
        await call.RequestStream.WriteAsync(Options(replaceAll: true));
        await call.RequestStream.WriteAsync(Batch(At(1, "a")));
        await CountAsync();

        await _service.StopAsync();

        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
    }

    [Fact]
    public async Task An_import_may_take_longer_but_a_client_that_sends_nothing_for_ten_minutes_loses_its_place()
    {
        var clock = new FakeTimeProvider();
        await using var service = Service.Start(clock: clock);
        using var call = new FeaturesClient(service.Channel).ImportFeatures();
        await call.RequestStream.WriteAsync(Options());
        for (var i = 1; i <= 2; i++)
        {
            await call.RequestStream.WriteAsync(Batch(At(i, "slow")));
            Assert.Equal(i, (await service.Store.Imported.Reader.ReadAsync()).Location.LatitudeE7);
            clock.Advance(TimeSpan.FromMinutes(9));
        }

        var end = call.ResponseAsync;
        while (!end.IsCompleted)
        {
            clock.Advance(TimeSpan.FromMinutes(1));
            await Task.WhenAny(end, Task.Delay(10));
        }

        var failure = await Assert.ThrowsAsync<RpcException>(() => end);
        Assert.Equal(StatusCode.DeadlineExceeded, failure.StatusCode);
        Assert.Contains("10 minutes", failure.Status.Detail);

        // The connection has nothing of it left.
        using var next = new FeaturesClient(service.Channel).ImportFeatures();
        await next.RequestStream.WriteAsync(Options());
        await next.RequestStream.WriteAsync(Batch(At(1, "quick"), At(2, "quick")));
        await next.RequestStream.CompleteAsync();
        Assert.Equal(2, (await next).ReadCount);
    }

    [Fact]
    public async Task The_store_may_take_longer_for_what_has_come_than_a_client_may_be_silent()
    {
        var clock = new FakeTimeProvider();
        await using var service = Service.Start(clock: clock);
        var staging = new TaskCompletionSource();
        service.Store.Staging = staging.Task;
        using var call = new FeaturesClient(service.Channel).ImportFeatures();
        await call.RequestStream.WriteAsync(Options());
        await call.RequestStream.WriteAsync(Batch(At(1, "a")));
        await service.Store.Imported.Reader.ReadAsync();

        clock.Advance(TimeSpan.FromMinutes(20));
        staging.SetResult();

        await call.RequestStream.WriteAsync(Batch(At(2, "b")));
        await call.RequestStream.CompleteAsync();
        Assert.Equal(2, (await call).ReadCount);
    }

    private static SocketsHttpHandler FromAnotherAddress() => new()
    {
        ConnectCallback = static async (context, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    };

    private static ImportFeaturesRequest Options(bool replaceAll = false, string id = "") =>
        new() { Options = new ImportFeaturesRequest.Types.Options { ReplaceAll = replaceAll, RequestId = id } };

    private static ImportFeaturesRequest Batch(params Feature[] features) =>
        new() { Batch = new ImportFeaturesRequest.Types.Batch { Features = { features } } };

    private static Feature At(int latitude, string name, Struct? properties = null) =>
        new() { Location = new Point { LatitudeE7 = latitude }, DisplayName = name, Properties = properties };

    private async Task<ImportFeaturesResponse> ImportAsync(params ImportFeaturesRequest[] messages)
    {
        using var call = _features.ImportFeatures();
        foreach (var message in messages)
        {
            await call.RequestStream.WriteAsync(message);
        }

        await call.RequestStream.CompleteAsync();
        return await call;
    }

    private async Task ExpectInvalidAsync(string field, string detail, params ImportFeaturesRequest[] messages)
    {
        using var call = _features.ImportFeatures();
        try
        {
            foreach (var message in messages)
            {
                await call.RequestStream.WriteAsync(message);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException)
        {
            // The call may have ended before its last message.
        }

        var end = await Assert.ThrowsAsync<RpcException>(async () => await call);
        Assert.Equal(StatusCode.InvalidArgument, end.StatusCode);
        var violation = Assert.Single(end.GetRpcStatus()!.GetDetail<BadRequest>().FieldViolations);
        Assert.Equal(field, violation.Field);
        Assert.Contains(detail, violation.Description);
    }

    private async Task<Feature> GetAsync(int latitude) => await _features.GetFeatureAsync(new GetFeatureRequest { Name = $"features/{latitude},0" });

    private async Task<long> CountAsync()
    {
        using var call = _features.StreamFeatures(new StreamFeaturesRequest { View = FeatureView.Basic });
        return await call.ResponseStream.ReadAllAsync().Select(static message => (long)message.Features.Count).SumAsync();
    }
}
