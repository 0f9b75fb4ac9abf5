using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Http;
using static Grpc.Tests.Client.Answers;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>What a channel says of its connections, and calls that wait for one.</summary>
public sealed class ConnectivityTests
{
    [Fact]
    public async Task A_channel_is_idle_until_a_call_connects_it()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        Assert.Equal(ConnectivityState.Idle, server.Channel.State);

        await server.Channel.Unary();

        Assert.Equal(ConnectivityState.Ready, server.Channel.State);
    }

    [Fact]
    public async Task A_channel_can_be_connected_without_a_call_and_sends_nothing_for_it()
    {
        var requests = 0;
        var connections = 0;
        await using var server = await ScriptedServer.StartAsync(
            http =>
            {
                Interlocked.Increment(ref requests);
                return Hi(http);
            },
            onConnection: () => Interlocked.Increment(ref connections));

        await server.Channel.ConnectAsync().WaitAsync(Patience);
        Assert.Equal(ConnectivityState.Ready, server.Channel.State);
        await server.Channel.ConnectAsync().WaitAsync(Patience);
        Assert.Equal("hi", await server.Channel.Unary());

        Assert.Equal(1, requests);
        Assert.Equal(1, connections);
    }

    [Fact]
    public async Task A_channel_whose_connection_is_closed_is_idle_and_connects_again()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        await server.Channel.ConnectAsync().WaitAsync(Patience);
        var next = server.Channel.WaitForStateChangedAsync(ConnectivityState.Ready);

        await server.StopAsync();

        await next.WaitAsync(Patience);
        Assert.Equal(ConnectivityState.Idle, server.Channel.State);
        await using var successor = await ScriptedServer.StartAsync(Hi, port: new Uri(server.Address).Port);
        Assert.Equal("hi", await server.Channel.Unary());
        Assert.Equal(ConnectivityState.Ready, server.Channel.State);
    }

    [Fact]
    public async Task A_failed_attempt_is_repeated_after_a_pause_that_grows()
    {
        var clock = new ManualClock();
        var port = FreePort();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port}", new GrpcChannelOptions { Clock = clock, Random = static () => 0.5 });

        Assert.Equal(StatusCode.Unavailable, (await FailureOf(channel.Unary().ResponseAsync)).StatusCode);
        foreach (var seconds in new[] { 1, 1.6, 2.56 })
        {
            Assert.Equal(ConnectivityState.TransientFailure, channel.State);

            // A call does not hasten it.
            Assert.Equal(StatusCode.Unavailable, (await FailureOf(channel.Unary().ResponseAsync)).StatusCode);
            await clock.WhenRunning(1);
            clock.Advance(TimeSpan.FromSeconds(seconds - 0.001));
            Assert.Equal(ConnectivityState.TransientFailure, channel.State);
            var connecting = channel.WaitForStateChangedAsync(ConnectivityState.TransientFailure);
            clock.Advance(TimeSpan.FromSeconds(0.001));
            await connecting.WaitAsync(Patience);
            await Until(channel, ConnectivityState.TransientFailure);
        }

        await clock.WhenRunning(1);
        await using var server = await ScriptedServer.StartAsync(Hi, port: port);
        clock.Advance(TimeSpan.FromSeconds(4.096));
        await Until(channel, ConnectivityState.Ready);
        Assert.Equal("hi", await channel.Unary());
    }

    [Theory]
    [InlineData(0, 0.8)]
    [InlineData(0.5, 1)]
    [InlineData(1, 1.2)]
    public void Pauses_are_spread_by_a_fifth_and_bounded(double chance, double share)
    {
        var backoff = new Net.Client.Internal.ReconnectBackoff(new GrpcChannelOptions { Random = () => chance });

        var pauses = Enumerable.Range(0, 20).Select(_ => backoff.Next().TotalSeconds).ToList();

        Assert.Equal(share, pauses[0], 6);
        Assert.Equal(share * 1.6, pauses[1], 6);
        Assert.Equal(share * 120, pauses[^1], 6);
        backoff.Reset();
        Assert.Equal(share, backoff.Next().TotalSeconds, 6);
    }

    [Fact]
    public async Task A_call_that_waits_for_ready_outlives_a_server_that_is_not_there_yet()
    {
        var clock = new ManualClock();
        var port = FreePort();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port}", new GrpcChannelOptions { Clock = clock });
        using var call = channel.Unary(options: new CallOptions(deadline: clock.Now.AddSeconds(60)).WithWaitForReady());
        await Until(channel, ConnectivityState.TransientFailure);
        Assert.False(call.ResponseAsync.IsCompleted);

        var timeout = "";
        await using var server = await ScriptedServer.StartAsync(
            http =>
            {
                timeout = http.Request.Headers["grpc-timeout"].ToString();
                return Hi(http);
            },
            port: port);
        await clock.WhenRunning(2);
        clock.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("hi", await call.ResponseAsync.WaitAsync(Patience));

        // What is left of the deadline when the request leaves.
        Assert.Equal("58000000u", timeout);
    }

    [Fact]
    public async Task A_call_that_waits_for_ready_ends_with_its_deadline()
    {
        var clock = new ManualClock();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{FreePort()}", new GrpcChannelOptions { Clock = clock });
        using var call = channel.Unary(options: new CallOptions(deadline: clock.Now.AddSeconds(5)).WithWaitForReady());
        await Until(channel, ConnectivityState.TransientFailure);

        clock.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(StatusCode.DeadlineExceeded, (await FailureOf(call.ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_server_that_does_not_speak_is_given_up_in_time()
    {
        var clock = new ManualClock();
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();
        using var channel = GrpcChannel.ForAddress($"http://{mute.LocalEndpoint}", new GrpcChannelOptions { Clock = clock });
        using var call = channel.Unary();
        using var connection = await mute.AcceptSocketAsync().WaitAsync(Patience);

        // HTTP/2 has begun for the client, and the request that made it connect is gone: only its preface comes.
        var preface = new byte[24];
        await connection.ReceiveAsync(preface).WaitAsync(Patience);
        Assert.Equal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, preface);
        Assert.Equal(ConnectivityState.Connecting, channel.State);
        clock.Advance(TimeSpan.FromSeconds(20));

        var failure = await FailureOf(call.ResponseAsync);
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.StartsWith("The server cannot be reached", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_falls_silent_is_unavailable()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        using var handler = new SocketsHttpHandler { KeepAlivePingDelay = TimeSpan.FromSeconds(1), KeepAlivePingTimeout = TimeSpan.FromSeconds(1) };
        using var channel = GrpcChannel.ForAddress($"http://{silent.LocalEndpoint}", new GrpcChannelOptions { HttpHandler = handler });
        using var call = channel.Unary();
        using var connection = await silent.AcceptSocketAsync().WaitAsync(Patience);

        // An empty SETTINGS frame (RFC 9113, 6.5): HTTP/2 has begun, and nothing follows.
        await connection.SendAsync(new byte[] { 0, 0, 0, 4, 0, 0, 0, 0, 0 });

        var failure = await FailureOf(call.ResponseAsync);
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.StartsWith("The server did not answer a keepalive ping", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    [InlineData("")]
    public async Task A_server_of_something_else_makes_no_channel_ready(string answer)
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        using var channel = GrpcChannel.ForAddress($"http://{other.LocalEndpoint}", new GrpcChannelOptions { Clock = new ManualClock() });
        using var call = channel.Unary();
        using (var connection = await other.AcceptSocketAsync().WaitAsync(Patience))
        {
            await connection.SendAsync(System.Text.Encoding.ASCII.GetBytes(answer));
        }

        await FailureOf(call.ResponseAsync);
        Assert.Equal(ConnectivityState.TransientFailure, channel.State);
    }

    [Fact]
    public async Task Disposal_shuts_down_and_lets_those_go_who_wait()
    {
        var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{FreePort()}", new GrpcChannelOptions { Clock = new ManualClock() });
        using var call = channel.Unary(options: default(CallOptions).WithWaitForReady());
        await Until(channel, ConnectivityState.TransientFailure);
        var connecting = channel.ConnectAsync();
        var changing = channel.WaitForStateChangedAsync(ConnectivityState.TransientFailure);

        channel.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(call.ResponseAsync)).StatusCode);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => connecting.WaitAsync(Patience));
        await changing.WaitAsync(Patience);
        Assert.Equal(ConnectivityState.Shutdown, channel.State);
        Assert.Throws<ObjectDisposedException>(() => { _ = channel.ConnectAsync(); });
        Assert.Throws<ObjectDisposedException>(() => { _ = channel.WaitForStateChangedAsync(ConnectivityState.Shutdown); });
    }

    [Fact]
    public async Task A_wait_can_be_cancelled()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        using var cancel = new CancellationTokenSource();
        var changing = server.Channel.WaitForStateChangedAsync(ConnectivityState.Idle, cancel.Token);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => changing.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => server.Channel.ConnectAsync(cancel.Token).WaitAsync(Patience));
    }

    [Fact]
    public async Task A_transport_whose_connections_are_not_seen_has_no_state()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        using var client = new HttpClient();
        using var steered = new SocketsHttpHandler { ConnectCallback = static (_, _) => throw new NotSupportedException() };
        foreach (var options in new GrpcChannelOptions[] { new() { HttpClient = client }, new() { HttpHandler = new Unseen() }, new() { HttpHandler = steered } })
        {
            using var channel = GrpcChannel.ForAddress(server.Address, options);

            Assert.Throws<InvalidOperationException>(() => channel.State);
            Assert.Throws<InvalidOperationException>(() => { _ = channel.ConnectAsync(); });
            Assert.Throws<InvalidOperationException>(() => { _ = channel.WaitForStateChangedAsync(ConnectivityState.Idle); });
        }
    }

    [Fact]
    public async Task A_handler_of_sockets_given_by_the_user_is_seen_through_others_around_it()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        using var sockets = new SocketsHttpHandler();
        using var outer = new Passing(sockets);
        using var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpHandler = outer });

        await channel.ConnectAsync().WaitAsync(Patience);
        Assert.Equal(ConnectivityState.Ready, channel.State);
        Assert.Equal(0, outer.Requests);
        Assert.Equal("hi", await channel.Unary());
        Assert.Equal(1, outer.Requests);

        // A second channel on it is not the one that sees.
        using var second = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpHandler = outer });
        Assert.Equal("hi", await second.Unary());
        Assert.Throws<InvalidOperationException>(() => second.State);
    }

    [Fact]
    public async Task A_full_connection_is_joined_by_more()
    {
        var connections = 0;
        var all = new TaskCompletionSource();
        var here = 0;
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                if (Interlocked.Increment(ref here) == 50)
                {
                    all.SetResult();
                }

                await all.Task;
                await Hi(http);
            },
            onConnection: () => Interlocked.Increment(ref connections),
            maxStreams: 10);

        var calls = Enumerable.Range(0, 50).Select(_ => server.Channel.Unary().ResponseAsync).ToList();

        Assert.All(await Task.WhenAll(calls).WaitAsync(Patience), static answer => Assert.Equal("hi", answer));
        Assert.True(connections >= 5, $"{connections} connections");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_call_that_needs_another_connection_and_finds_none_was_not_sent(bool waits)
    {
        var clock = new ManualClock();
        var release = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                await release.Task;
                await Hi(http);
            },
            maxStreams: 1);
        var to = new Uri(server.Address).Port;
        using var relay = new Relay(0, to);
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{relay.Port}", new GrpcChannelOptions { Clock = clock });
        await channel.ConnectAsync().WaitAsync(Patience);
        using var first = channel.Unary();
        await relay.Connections.WaitAsync(Patience);

        // The connection stays, and is full; no other can be made.
        relay.StopListening();
        using var second = channel.Unary(options: default(CallOptions).WithWaitForReady(waits));
        if (!waits)
        {
            Assert.Equal(StatusCode.Unavailable, (await FailureOf(second.ResponseAsync)).StatusCode);
            Assert.Equal(ConnectivityState.Ready, channel.State);
            release.SetResult();
        }
        else
        {
            await clock.WhenRunning(1);
            Assert.False(second.ResponseAsync.IsCompleted);
            using var again = new Relay(relay.Port, to);
            release.SetResult();
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal("hi", await second.ResponseAsync.WaitAsync(Patience));
        }

        Assert.Equal("hi", await first.ResponseAsync.WaitAsync(Patience));
    }

    [Fact]
    public async Task A_server_that_takes_connections_only_to_close_them_is_not_besieged()
    {
        var connections = 0;
        using var closer = new TcpListener(IPAddress.Loopback, 0);
        closer.Start();
        var config = new Net.Client.Configuration.ServiceConfig();
        config.LoadBalancingConfigs.Add(new Net.Client.Configuration.RoundRobinConfig());
        using var channel = GrpcChannel.ForAddress($"http://{closer.LocalEndpoint}", new GrpcChannelOptions { ServiceConfig = config, Clock = new ManualClock() });
        var closing = CloseAllAsync();

        using var call = channel.Unary(options: default(CallOptions).WithWaitForReady());
        await Until(channel, ConnectivityState.TransientFailure);

        // The clock stands still, so that no pause ends.
        await Task.Delay(TimeSpan.FromSeconds(0.3), TestContext.Current.CancellationToken);
        Assert.Equal(ConnectivityState.TransientFailure, channel.State);
        Assert.InRange(connections, 1, 3);
        closer.Stop();
        await closing;

        async Task CloseAllAsync()
        {
            try
            {
                while (true)
                {
                    using var connection = await closer.AcceptSocketAsync();
                    connections++;
                    byte[] settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
                    await connection.SendAsync(settings);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
            }
        }
    }

    private static async Task Until(GrpcChannel channel, ConnectivityState state)
    {
        while (channel.State is var now && now != state)
        {
            await channel.WaitForStateChangedAsync(now).WaitAsync(Patience);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task Hi(HttpContext http)
    {
        await http.Grpc().SendAsync(Message("hi"));
        http.Response.End();
    }

    /// <summary>Carries connections on to a server, whose own port stays open when this one closes.</summary>
    private sealed class Relay : IDisposable
    {
        private readonly TcpListener _listener;
        private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<TcpClient> _clients = [];

        public Relay(int port, int to)
        {
            _listener = new TcpListener(IPAddress.Loopback, port);
            _listener.Start();
            _ = AcceptAsync(to);
        }

        public int Port => field = field != 0 ? field : ((IPEndPoint)_listener.LocalEndpoint).Port;

        /// <summary>Completes with the first.</summary>
        public Task Connections => _connected.Task;

        public void StopListening()
        {
            _ = Port;
            _listener.Stop();
        }

        public void Dispose()
        {
            _listener.Dispose();
            _clients.ForEach(static client => client.Dispose());
        }

        private async Task AcceptAsync(int to)
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync();
                var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, to);
                _clients.AddRange([client, server]);
                _ = client.GetStream().CopyToAsync(server.GetStream());
                _ = server.GetStream().CopyToAsync(client.GetStream());
                _connected.TrySetResult();
            }
        }
    }

    private sealed class Unseen : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => throw new NotSupportedException();
    }

    private sealed class Passing(HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        public int Requests { get; private set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Requests++;
            return base.SendAsync(request, cancellationToken);
        }
    }
}
