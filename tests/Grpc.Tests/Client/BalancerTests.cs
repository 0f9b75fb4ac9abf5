using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Microsoft.AspNetCore.Http;
using static Grpc.Tests.Client.Answers;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>A name of several addresses: 127.0.0.1, .2 and .3 at one port, each with a server of its own that answers with its address.</summary>
public sealed class BalancerTests : IAsyncLifetime
{
    private readonly ManualClock _clock = new();
    private readonly Dictionary<string, ScriptedServer> _servers = [];
    private readonly ConcurrentQueue<string> _asked = new();
    private volatile IPAddress[] _addresses = [];
    private int _port;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers.Values)
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task Round_robin_connects_to_all_and_takes_them_in_turn()
    {
        await StartAsync(1, 2, 3);
        Answer(1, 2, 3);
        using var channel = RoundRobin();
        await channel.ConnectAsync().WaitAsync(Patience);

        await UntilCallsGoTo(channel, 1, 2, 3);

        var answers = new List<string>();
        for (var i = 0; i < 30; i++)
        {
            answers.Add(await channel.Unary());
        }

        Assert.All(answers.CountBy(static answer => answer), static count => Assert.Equal(10, count.Value));
        Assert.Equal("service.test", Assert.Single(_asked));
    }

    [Fact]
    public async Task The_authority_of_calls_is_the_targets_whatever_their_address()
    {
        await StartAsync(2);
        Answer(2);
        using var channel = RoundRobin();

        Assert.Equal($"service.test:{_port}", await channel.Unary("authority"));
        Assert.Equal("elsewhere", await channel.CreateCallInvoker().AsyncUnaryCall(UnaryMethod, "elsewhere", default, "authority"));
    }

    [Fact]
    public async Task An_address_that_dies_is_skipped_and_comes_back()
    {
        await StartAsync(1, 2);
        Answer(1, 2);
        using var channel = RoundRobin();
        await UntilCallsGoTo(channel, 1, 2);

        await _servers["127.0.0.2"].DisposeAsync();
        await UntilCallsGoTo(channel, 1);
        Assert.Equal(ConnectivityState.Ready, channel.State);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("127.0.0.1", await channel.Unary());
        }

        await StartAsync(2);
        await UntilCallsGoTo(channel, 1, 2);
    }

    [Fact]
    public async Task A_call_that_is_not_to_wait_fails_where_all_addresses_are_dead_and_says_why()
    {
        await StartAsync();
        Answer(1, 2);
        using var channel = RoundRobin();

        var failure = await FailureOf(channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("refused", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(ConnectivityState.TransientFailure, channel.State);
    }

    [Fact]
    public async Task A_lost_connection_asks_for_the_addresses_anew()
    {
        await StartAsync(1, 3);
        Answer(1);
        using var channel = RoundRobin();
        Assert.Equal("127.0.0.1", await channel.Unary());

        // It moves.
        Answer(3);
        await _servers["127.0.0.1"].DisposeAsync();

        await UntilCallsGoTo(channel, 3);
    }

    [Fact]
    public async Task Addresses_are_asked_for_from_time_to_time_and_those_that_are_gone_left()
    {
        await StartAsync(1, 2);
        Answer(1);
        using var channel = RoundRobin();
        Assert.Equal("127.0.0.1", await channel.Unary());

        Answer(1, 2);
        await UntilCallsGoTo(channel, 1, 2);
        Answer(2);
        await UntilCallsGoTo(channel, 2);

        // One that comes back while its connection is open still is taken on it.
        Answer(1, 2);
        await UntilCallsGoTo(channel, 1, 2);
    }

    [Fact]
    public async Task A_name_that_is_not_found_is_asked_for_again()
    {
        await StartAsync(1);
        using var channel = RoundRobin();
        using var waiting = channel.Unary(options: default(CallOptions).WithWaitForReady());

        var failure = await FailureOf(channel.Unary().ResponseAsync);
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("service.test", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(ConnectivityState.TransientFailure, channel.State);

        Answer(1);
        await _clock.WhenRunning(1);
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("127.0.0.1", await waiting.ResponseAsync.WaitAsync(Patience));
    }

    [Fact]
    public async Task Pick_first_is_the_default_and_takes_the_first_that_answers()
    {
        await StartAsync(2, 3);
        Answer(1, 2, 3);
        using var channel = Dns();

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("127.0.0.2", await channel.Unary());
        }

        var lost = channel.WaitForStateChangedAsync(ConnectivityState.Ready);
        await _servers["127.0.0.2"].DisposeAsync();
        await lost.WaitAsync(Patience);
        Assert.Equal("127.0.0.3", await channel.Unary());
    }

    [Fact]
    public async Task A_call_finds_another_address_while_calls_run_on_one_that_was_left()
    {
        await StartAsync(1, 2);
        Answer(1);
        using var channel = RoundRobin();
        using var running = channel.Duplex();
        await running.RequestStream.WriteAsync("first");
        Assert.True(await running.ResponseStream.MoveNext());

        Answer(2);
        await UntilCallsGoTo(channel, 2);

        await running.RequestStream.WriteAsync("second");
        Assert.True(await running.ResponseStream.MoveNext());
        Assert.Equal("127.0.0.1", running.ResponseStream.Current);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_of_TLS_must_prove_the_targets_name_before_the_channel_is_ready(bool trusted)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=service.test", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                await http.Grpc().SendAsync(Message(http.Request.Headers.Host.ToString()));
                http.Response.End();
            },
            certificate: certificate);
        var name = "";
        using var sockets = new SocketsHttpHandler();
        sockets.SslOptions.RemoteCertificateValidationCallback = (sender, _, _, _) =>
        {
            name = ((SslStream)sender).TargetHostName;
            return trusted;
        };
        Answer(1);
        var port = new Uri(server.Address).Port;
        using var channel = GrpcChannel.ForAddress(
            $"dns:///service.test:{port}",
            new GrpcChannelOptions
            {
                Credentials = ChannelCredentials.SecureSsl,
                ServiceConfig = Policies(new RoundRobinConfig()),
                HttpHandler = sockets,
                Clock = _clock,
                Resolve = (_, _) => Task.FromResult(_addresses),
            });

        if (trusted)
        {
            Assert.Equal($"service.test:{port}", await channel.Unary());
            Assert.Equal(ConnectivityState.Ready, channel.State);
        }
        else
        {
            Assert.Equal(StatusCode.Unavailable, (await FailureOf(channel.Unary().ResponseAsync)).StatusCode);
            Assert.Equal(ConnectivityState.TransientFailure, channel.State);
        }

        Assert.Equal("service.test", name);
    }

    [Theory]
    [InlineData("dns:///service.test:50051", "service.test:50051")]
    [InlineData("dns:///service.test", "service.test")]
    [InlineData("dns:service.test:50051", "service.test:50051")]
    [InlineData("dns:///[::1]:50051", "[::1]:50051")]
    public void A_name_to_resolve_is_a_target(string address, string target)
    {
        using var channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { Credentials = ChannelCredentials.Insecure });

        Assert.Equal(target, channel.Target);
    }

    [Theory]
    [InlineData("dns://8.8.8.8/service.test:50051")]
    [InlineData("dns:///service.test:50051/path")]
    [InlineData("dns:///")]
    public void Another_name_is_refused(string address) =>
        Assert.Throws<ArgumentException>(() => GrpcChannel.ForAddress(address, new GrpcChannelOptions { Credentials = ChannelCredentials.Insecure }));

    [Fact]
    public void A_name_says_nothing_of_TLS_so_the_credentials_must() => Assert.Throws<InvalidOperationException>(() => GrpcChannel.ForAddress("dns:///service.test"));

    [Fact]
    public void Balancing_needs_a_transport_whose_connections_are_seen()
    {
        using var client = new HttpClient();

        Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress("dns:///service.test", new GrpcChannelOptions { Credentials = ChannelCredentials.Insecure, HttpClient = client }));
        Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { ServiceConfig = Policies(new RoundRobinConfig()), HttpClient = client }));
    }

    [Fact]
    public void The_first_policy_that_is_known_is_taken_and_none_is_a_mistake()
    {
        using var channel = GrpcChannel.ForAddress(
            "http://localhost", new GrpcChannelOptions { ServiceConfig = Policies(new LoadBalancingConfig("ring_hash"), new PickFirstConfig()) });

        var failure = Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { ServiceConfig = Policies(new LoadBalancingConfig("ring_hash")) }));
        Assert.Contains("ring_hash", failure.Message, StringComparison.Ordinal);
    }

    private static ServiceConfig Policies(params LoadBalancingConfig[] policies)
    {
        var config = new ServiceConfig();
        foreach (var policy in policies)
        {
            config.LoadBalancingConfigs.Add(policy);
        }

        return config;
    }

    private static IPAddress Address(int last) => new([127, 0, 0, (byte)last]);

    private void Answer(params int[] addresses) => _addresses = [.. addresses.Select(Address)];

    private async Task StartAsync(params int[] addresses)
    {
        if (_port == 0)
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            _port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        foreach (var address in addresses.Select(Address))
        {
            _servers[address.ToString()] = await ScriptedServer.StartAsync(
                async http =>
                {
                    await foreach (var request in http.RequestsAsync())
                    {
                        await http.Grpc().SendAsync(Message(request is "authority" ? http.Request.Headers.Host.ToString() : address.ToString()));
                    }

                    http.Response.End();
                },
                address: address,
                port: _port);
        }
    }

    private GrpcChannel RoundRobin() => Dns(new RoundRobinConfig());

    private GrpcChannel Dns(params LoadBalancingConfig[] policies) => GrpcChannel.ForAddress(
        $"dns:///service.test:{_port}",
        new GrpcChannelOptions
        {
            Credentials = ChannelCredentials.Insecure,
            ServiceConfig = Policies(policies),
            Clock = _clock,
            Resolve = (host, _) =>
            {
                _asked.Enqueue(host);
                return Task.FromResult(_addresses);
            },
        });

    /// <summary>Makes calls, and lets time pass, until as many in a row have gone to these addresses and no others as can tell.</summary>
    private async Task UntilCallsGoTo(GrpcChannel channel, params int[] addresses)
    {
        var wanted = addresses.Select(static address => Address(address).ToString()).Order().ToList();
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            patience.Token.ThrowIfCancellationRequested();
            var answers = new HashSet<string>();
            for (var i = 0; i < 2 * wanted.Count; i++)
            {
                try
                {
                    answers.Add(await channel.Unary(options: new CallOptions(cancellationToken: patience.Token)));
                }
                catch (RpcException e) when (e.StatusCode == StatusCode.Unavailable)
                {
                    answers.Add("");
                }
            }

            if (wanted.SequenceEqual(answers.Order()))
            {
                return;
            }

            _clock.Advance(TimeSpan.FromSeconds(5));
            await Task.Delay(10, patience.Token);
        }
    }
}
