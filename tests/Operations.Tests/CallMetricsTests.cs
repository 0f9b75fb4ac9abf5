using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;
using RouteService.Operations.Tests.Otlp;
using Point = RouteService.Contracts.Routeguide.Point;

namespace RouteService.Operations.Tests;

/// <summary>However a call ends, it is counted, once, by its method and its status.</summary>
public sealed class CallMetricsTests : ServiceTest
{
    private const string Guide = "routeguide.RouteGuide";

    private readonly SortedSet<string> _expected = new(StringComparer.Ordinal);

    [Fact]
    public async Task Ends_by_the_service_the_caller_and_the_connection_are_counted()
    {
        await using var collector = await StartAndExportAsync();
        var channel = Connect();
        var guide = new RouteGuide.RouteGuideClient(channel);

        await HelloAsync(channel);
        await HelloAsync(channel);
        Expect("helloworld.Greeter", "SayHello", StatusCode.OK, 2);

        var nowhere = new Point { Latitude = int.MaxValue };
        await RefusalAsync(StatusCode.InvalidArgument, guide.GetFeatureAsync(nowhere, deadline: Soon).ResponseAsync);
        Expect(Guide, "GetFeature", StatusCode.InvalidArgument);

        // One label for all that clients make up: another method, another service, and what is no path of a method's.
        foreach (var path in (string[])["/helloworld.Greeter/Nope", "/made.up/SayHello", "/nope"])
        {
            await PostAsync(path, new ByteArrayContent(new byte[5]));
        }

        Expect("_OTHER", "_OTHER", StatusCode.Unimplemented, 3);

        using (var chat = guide.RouteChat())
        {
            await AnsweredAsync(chat);
        }

        var options = new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler(), DisposeHttpClient = true };
        using (var own = GrpcChannel.ForAddress($"http://{Service.Address}", options))
        {
            // Its connection goes with the channel.
            await AnsweredAsync(new RouteGuide.RouteGuideClient(own).RouteChat());
        }

        Expect(Guide, "RouteChat", StatusCode.Cancelled, 2);

        // A client that sets the server a deadline, and itself none: its own would cancel the call at the same time.
        var silence = new Pipe();
        await PostAsync($"/{Guide}/RecordRoute", new StreamContent(silence.Reader.AsStream()), deadline: "100m");
        await silence.Writer.CompleteAsync();
        Expect(Guide, "RecordRoute", StatusCode.DeadlineExceeded);

        await ShouldCountAsync(collector);
    }

    [Fact]
    public async Task Refusals_are_counted()
    {
        const string Key = "a-key-that-nobody-guesses-0123456789";
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__ApiKeysPath"] =
            Write("keys", $"reader routes.read {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Key)))}");
        Service.Settings["RouteService__Limits__CallsPerSecond"] = "1";
        Service.Settings["RouteService__Limits__CallBurst"] = "2";
        await using var collector = await StartAndExportAsync();
        var channel = Connect();
        var key = new Metadata { { "x-api-key", Key } };

        await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel));
        Expect("helloworld.Greeter", "SayHello", StatusCode.Unauthenticated);
        using (var route = new RouteGuide.RouteGuideClient(channel).RecordRoute(key, Soon))
        {
            await RefusalAsync(StatusCode.PermissionDenied, route.ResponseAsync);
        }

        Expect(Guide, "RecordRoute", StatusCode.PermissionDenied);

        // Until one is over the limit: how many come before that is a matter of time.
        var admitted = 0;
        try
        {
            while (true)
            {
                await FeatureAsync(channel, key);
                admitted++;
            }
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.ResourceExhausted)
        {
            Expect(Guide, "GetFeature", StatusCode.OK, admitted);
            Expect(Guide, "GetFeature", StatusCode.ResourceExhausted);
        }

        await ShouldCountAsync(collector);
    }

    private static async Task AnsweredAsync(AsyncDuplexStreamingCall<RouteNote, RouteNote> chat)
    {
        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "x" });
        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "y" });
        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
    }

    private void Expect(string service, string method, StatusCode status, long calls = 1) =>
        _expected.Add($"{service}/{method} {(int)status}: {calls}");

    private async Task<Collector> StartAndExportAsync()
    {
        var collector = await Collector.StartAsync("grpc");
        Service.Settings["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = collector.Endpoint;
        Service.Settings["OTEL_METRIC_EXPORT_INTERVAL"] = "500";
        await StartAsync();
        return collector;
    }

    private async Task PostAsync(string path, HttpContent content, string? deadline = null)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{Service.Address}{path}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        if (deadline is not null)
        {
            request.Headers.Add("grpc-timeout", deadline);
        }

        try
        {
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).WaitAsync(Patience);
        }
        catch (OperationCanceledException)
        {
            // The server has ended the call while its request was still open.
        }
    }

    /// <summary>Waits until exactly the expected calls are counted, and none is open.</summary>
    private async Task ShouldCountAsync(Collector collector)
    {
        var counted = _expected;
        await Collector.ShouldComeAsync(
            () =>
            {
                counted = [.. Last("rpc.server.call.duration")?.Histogram.DataPoints.Select(Describe) ?? []];
                return counted.SetEquals(_expected) ? counted : null;
            },
            () => $"count of exactly these calls: {string.Join(", ", _expected)}; there are {string.Join(", ", counted)}");
        await Collector.ShouldComeAsync(
            () => Last("rpc.server.active_calls") is { } open && open.Sum.DataPoints.All(static point => point.AsInt == 0) ? open : null,
            () => "end of all calls");

        Metric? Last(string name) => collector.Metrics.LastOrDefault(metric => metric.Name == name);
    }

    private static string Describe(HistogramPoint point)
    {
        var tags = point.Attributes.ToDictionary(static one => one.Key, static one => one.Value, StringComparer.Ordinal);
        return $"{tags["rpc.service"].StringValue}/{tags["rpc.method"].StringValue} {tags["rpc.grpc.status_code"].IntValue}: {point.Count}";
    }
}
