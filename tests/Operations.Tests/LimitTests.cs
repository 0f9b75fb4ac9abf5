using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;
using static RouteService.Operations.Tests.Credentials;

namespace RouteService.Operations.Tests;

public sealed class LimitTests : ServiceTest
{
    private const int Burst = 100;

    [Fact]
    public async Task Who_calls_too_often_is_told_when_to_call_again()
    {
        Service.Settings["RouteService__Limits__CallsPerSecond"] = "2";
        Service.Settings["RouteService__Limits__CallBurst"] = "5";
        await StartAsync();
        var channel = Connect();

        var calls = await Task.WhenAll(Enumerable.Range(0, 30).Select(async _ => await TryAsync(channel)));

        var refused = calls.OfType<RpcException>().ToList();
        Assert.InRange(calls.Length - refused.Count, 5, 15);
        Assert.All(refused, static refusal =>
        {
            Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
            var pushback = int.Parse(refusal.Trailers.GetValue("grpc-retry-pushback-ms")!, CultureInfo.InvariantCulture);
            Assert.InRange(pushback, 1, 60_000);
            var details = Google.Rpc.Status.Parser.ParseFrom(refusal.Trailers.GetValueBytes("grpc-status-details-bin"));
            var delay = Assert.Single(details.Details).Unpack<RetryInfo>().RetryDelay.ToTimeSpan();
            Assert.Equal(pushback, Math.Ceiling(delay.TotalMilliseconds));
        });

        for (var i = 0; i < 20; i++)
        {
            await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: Soon);
        }

        // Who obeys gets in.
        await Task.Delay(int.Parse(refused[0].Trailers.GetValue("grpc-retry-pushback-ms")!, CultureInfo.InvariantCulture) + 1_000);
        await HelloAsync(channel);
    }

    [Fact]
    public async Task Callers_are_limited_each_for_itself_whatever_their_address_and_connection()
    {
        await LimitAsync(withKeys: true);
        using var first = From("127.0.0.1");
        using var second = From("127.0.0.1");
        using var elsewhere = From("127.0.0.2");

        Assert.InRange(await AdmittedAsync(first, ApiKey("a")), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(first, ApiKey("b")), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(second, ApiKey("a")), 0, Burst - 1);
        Assert.InRange(await AdmittedAsync(elsewhere, ApiKey("a")), 0, Burst - 1);
    }

    [Fact]
    public async Task Wrong_credentials_are_limited_by_address_and_do_not_use_up_what_callers_there_may_do()
    {
        await LimitAsync(withKeys: true);
        using var channel = From("127.0.0.1");

        var refused = 0;
        while ((await TryAsync(channel, ApiKey("wrong")))!.StatusCode == StatusCode.Unauthenticated)
        {
            refused++;
        }

        Assert.InRange(refused, Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(channel, ApiKey("a")), Burst, int.MaxValue);
    }

    [Fact]
    public async Task Without_authentication_whole_addresses_are_limited()
    {
        await LimitAsync();
        using var first = From("127.0.0.1");
        using var second = From("127.0.0.1");
        using var similar = From("127.0.0.11");
        using var neighbour = From("127.0.0.2");

        Assert.InRange(await AdmittedAsync(first), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(second), 0, Burst - 1);
        Assert.InRange(await AdmittedAsync(similar), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(neighbour), Burst, int.MaxValue);
    }

    [Fact]
    public async Task A_forwarded_address_from_anyone_but_a_trusted_proxy_is_ignored()
    {
        await LimitAsync(proxies: "127.0.0.8/31, 10.0.0.0/8");
        using var stranger = From("127.0.0.1");

        Assert.InRange(await AdmittedAsync(stranger, For("198.51.100.1")), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(stranger, For("198.51.100.2")), 0, Burst - 1);
    }

    /// <summary>The host's own variable would trust everyone.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("10.0.0.0/8")]
    public async Task A_variable_of_the_host_lets_no_client_choose_its_address(string? proxies)
    {
        Service.Settings["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] = "true";
        await LimitAsync(proxies: proxies);
        using var stranger = From("127.0.0.1");

        Assert.InRange(await AdmittedAsync(stranger, For("198.51.100.1")), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(stranger, For("198.51.100.2")), 0, Burst - 1);
    }

    [Fact]
    public async Task Behind_a_trusted_proxy_each_client_is_limited_for_itself()
    {
        await LimitAsync(proxies: "127.0.0.8/31, ::ffff:10.0.0.0/104");
        using var proxy = From("127.0.0.8");
        using var other = From("127.0.0.9");

        Assert.InRange(await AdmittedAsync(proxy, For("198.51.100.1")), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(other, For("198.51.100.1")), 0, Burst - 1);
        Assert.InRange(await AdmittedAsync(proxy, For("198.51.100.2")), Burst, int.MaxValue);

        // A client cannot choose its address: proxies append, so what the client sent is to the left. Proxies behind proxies are skipped.
        Assert.InRange(await AdmittedAsync(proxy, For("203.0.113.7, 198.51.100.1")), 0, Burst - 1);
        Assert.InRange(await AdmittedAsync(proxy, For("198.51.100.2:4711, 10.1.2.3")), 0, Burst - 1);
        Assert.InRange(await AdmittedAsync(proxy, For("::ffff:198.51.100.1")), 0, Burst - 1);

        // An IPv6 client has a whole /64.
        Assert.InRange(await AdmittedAsync(proxy, For("2001:db8:1:2::1")), Burst, int.MaxValue);
        Assert.InRange(await AdmittedAsync(proxy, For("[2001:db8:1:2:3:4:5:6]:4711")), 0, Burst - 1);
        Assert.InRange(await AdmittedAsync(proxy, For("2001:db8:1:3::1")), Burst, int.MaxValue);
    }

    [Theory]
    [InlineData("RouteService__Limits__TrustedProxies has '10.0.0.0/33'; expected", "10.0.0.0/33")]
    [InlineData("RouteService__Limits__TrustedProxies has 'proxy'; expected", "127.0.0.1, proxy")]
    [InlineData("RouteService__Limits__TrustedProxies has ''; expected", ",")]
    public async Task A_wrong_list_of_proxies_is_told_in_one_line(string complaint, string proxies)
    {
        var environment = new Dictionary<string, string>(RunningService.Environment) { ["RouteService__Limits__TrustedProxies"] = proxies };

        var answer = await Command.RunServiceAsync([], environment, Service.Folder);

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(complaint, answer.Error);
        Assert.Single(answer.Error.Trim().Split('\n'));
    }

    [Fact]
    public async Task Streams_of_the_chat_are_limited_for_each_caller()
    {
        Service.Settings["RouteService__Chat__MaxStreamsPerClient"] = "1";
        await StartWithKeysAsync();
        using var first = From("127.0.0.1");
        using var second = From("127.0.0.1");
        using var elsewhere = From("127.0.0.2");

        using var a = await ChatAsync(first, ApiKey("a"));
        using var b = await ChatAsync(first, ApiKey("b"));
        await RefusalAsync(StatusCode.ResourceExhausted, ChatAsync(second, ApiKey("a")));
        await RefusalAsync(StatusCode.ResourceExhausted, ChatAsync(elsewhere, ApiKey("b")));
    }

    [Fact]
    public async Task Streams_of_the_chat_are_limited_for_each_address_without_authentication()
    {
        Service.Settings["RouteService__Chat__MaxStreamsPerClient"] = "1";
        Service.Settings["RouteService__Limits__TrustedProxies"] = "127.0.0.8";
        await StartAsync();
        using var first = From("127.0.0.1");
        using var second = From("127.0.0.2");
        using var proxy = From("127.0.0.8");

        using var a = await ChatAsync(first);
        using var b = await ChatAsync(second);
        using var c = await ChatAsync(proxy, For("198.51.100.1"));
        using var d = await ChatAsync(proxy, For("198.51.100.2"));
        await RefusalAsync(StatusCode.ResourceExhausted, ChatAsync(first));
        await RefusalAsync(StatusCode.ResourceExhausted, ChatAsync(proxy, For("198.51.100.2")));
    }

    [Fact]
    public async Task A_route_has_no_more_points_than_it_may()
    {
        Service.Settings["RouteService__Limits__MaxRoutePoints"] = "3";
        await StartAsync();

        Assert.Equal(3, (await RouteAsync(3)).PointCount);
        var refusal = await RefusalAsync(StatusCode.ResourceExhausted, RouteAsync(4));
        Assert.Equal("A route has at most 3 points here; begin another.", refusal.Status.Detail);
    }

    [Fact]
    public async Task A_route_of_a_million_points_takes_no_memory_and_holds_nobody_up()
    {
        await StartAsync();
        await RouteAsync(20_000);
        var before = Resident();

        var route = RouteAsync(1_000_000);
        var other = Connect();
        var calls = 0;
        while (!route.IsCompleted)
        {
            await HelloAsync(other);
            calls++;
        }

        Assert.Equal(1_000_000, (await route).PointCount);
        Assert.True(calls > 0);
        Assert.True(Resident() < before + (64 << 20), $"{before} bytes before, {Resident()} after");
    }

    /// <summary>A call a second, after so many at once that they cannot be meant for another second, however slow the machine is.</summary>
    private async Task LimitAsync(bool withKeys = false, string? proxies = null)
    {
        Service.Settings["RouteService__Limits__CallsPerSecond"] = "1";
        Service.Settings["RouteService__Limits__CallBurst"] = Burst.ToString(CultureInfo.InvariantCulture);
        if (proxies is not null)
        {
            Service.Settings["RouteService__Limits__TrustedProxies"] = proxies;
        }

        await (withKeys ? StartWithKeysAsync() : StartAsync());
    }

    private Task StartWithKeysAsync()
    {
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", string.Concat(
            ((string[])["a", "b"]).Select(static name => $"{name} routes.chat {Sha256(name)}\n")));
        return StartAsync();
    }

    /// <summary>A channel whose connections come from this address.</summary>
    private GrpcChannel From(string address) => GrpcChannel.ForAddress($"http://127.0.0.1:{Service.GrpcPort}", new GrpcChannelOptions
    {
        DisposeHttpClient = true,
        HttpHandler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        },
    });

    private static Metadata For(string address) => new() { { "x-forwarded-for", address } };

    /// <summary>The calls that succeed before one is refused.</summary>
    private static async Task<int> AdmittedAsync(GrpcChannel channel, Metadata? headers = null)
    {
        for (var admitted = 0; ; admitted++)
        {
            if (await TryAsync(channel, headers) is { } refusal)
            {
                Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
                return admitted;
            }
        }
    }

    /// <summary>A stream that is open: it has answered.</summary>
    private static async Task<AsyncDuplexStreamingCall<RouteNote, RouteNote>> ChatAsync(GrpcChannel channel, Metadata? headers = null)
    {
        var chat = new RouteGuide.RouteGuideClient(channel).RouteChat([.. headers ?? [], new("route-chat-mode", "sequenced")], Soon);
        try
        {
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = 1, Longitude = 1 }, Message = "here" });
        }
        catch (RpcException)
        {
            // A refusal may come before the write has ended. The response has its status.
        }

        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        return chat;
    }

    private long Resident()
    {
        using var process = Process.GetProcessById(Service.ProcessId);
        return process.WorkingSet64;
    }

    private async Task<RouteSummary> RouteAsync(int points)
    {
        using var call = new RouteGuide.RouteGuideClient(Connect()).RecordRoute(deadline: Soon);
        try
        {
            var point = new Point();
            for (var i = 0; i < points; i++)
            {
                point.Latitude = i;
                await call.RequestStream.WriteAsync(point);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException)
        {
            // The call has ended under the writer; its answer says why.
        }

        return await call;
    }

    private static async Task<RpcException?> TryAsync(GrpcChannel channel, Metadata? headers = null)
    {
        try
        {
            await HelloAsync(channel, headers);
            return null;
        }
        catch (RpcException e)
        {
            return e;
        }
    }
}
