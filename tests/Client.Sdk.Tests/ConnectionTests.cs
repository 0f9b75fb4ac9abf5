using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

/// <summary>How many connections there are, where they go, and what becomes of the calls when they end.</summary>
public sealed class ConnectionTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task More_calls_than_a_connection_takes_open_others()
    {
        // As most servers have it, and as .NET takes it to be until a connection's server has said: beyond that the first calls of a connection are refused.
        const int Streams = 100;
        const int Calls = 450;
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var service = await ScriptedService.StartAsync(
            new Script
            {
                GetFeature = async (point, _, call) =>
                {
                    await (call == 1 ? Task.CompletedTask : open.Task);
                    return new Proto.Feature { Name = "here", Location = point };
                },
            },
            listen: static options => options.KestrelServerOptions.Limits.Http2.MaxStreamsPerConnection = Streams);
        await using var proxy = TcpProxy.Start(() => service.Port);
        await using var client = Connect(proxy.Address, static options => options with { Timeout = Timeout.InfiniteTimeSpan });

        await client.GetFeatureAsync(Here);
        var calls = Enumerable.Range(0, Calls).Select(_ => client.GetFeatureAsync(Here)).ToList();
        await UntilAsync(() => service.Script.Calls == 1 + Calls || calls.Exists(static call => call.IsCompleted), "All calls are with the service at once.");
        Assert.DoesNotContain(calls, static call => call.IsCompleted);
        open.SetResult();

        await Task.WhenAll(calls).WaitAsync(Patience);
        Assert.InRange(proxy.Connections, (Calls + Streams - 1) / Streams, Calls);
    }

    [Fact]
    public async Task Calls_go_round_all_addresses_of_a_name_and_follow_it_when_it_changes()
    {
        await using var one = await ScriptedService.StartAsync(new Script());
        await using var two = await ScriptedService.StartAsync(new Script());
        await using var three = await ScriptedService.StartAsync(new Script());
        await using var first = TcpProxy.Start(() => one.Port, Loopback(11));
        await using var second = TcpProxy.Start(() => two.Port, Loopback(12), first.Port);
        await using var third = TcpProxy.Start(() => three.Port, Loopback(13), first.Port);
        IPAddress[] addresses = [Loopback(11), Loopback(12)];
        var names = new ConcurrentBag<string>();
        await using var client = ConnectByName(first.Port, name =>
        {
            names.Add(name);
            return addresses;
        });
        while (one.Script.Calls == 0 || two.Script.Calls == 0)
        {
            await CallAsync(client, 1);
        }

        var (ofOne, ofTwo) = (one.Script.Calls, two.Script.Calls);
        await CallAsync(client, 40);
        Assert.Equal((ofOne + 20, ofTwo + 20), (one.Script.Calls, two.Script.Calls));

        // The second has moved. Where it was is asked for again as soon as its connection is lost.
        addresses = [Loopback(11), Loopback(13)];
        second.Refuse();
        for (var time = Stopwatch.StartNew(); three.Script.Calls == 0; await Task.Delay(10))
        {
            Assert.True(time.Elapsed < Patience, "The new address is not called.");
            await CallAsync(client, 1);
        }

        var (ofOneThen, ofThree) = (one.Script.Calls, three.Script.Calls);
        await CallAsync(client, 40);
        Assert.Equal((ofOneThen + 20, ofTwo + 20, ofThree + 20), (one.Script.Calls, two.Script.Calls, three.Script.Calls));
        Assert.Equal(["routes.test"], names.Distinct());
    }

    [Fact]
    public async Task Where_half_of_the_addresses_are_dead_no_call_fails()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var alive = TcpProxy.Start(() => service.Port, Loopback(21));
        await using var alsoAlive = TcpProxy.Start(() => service.Port, Loopback(22), alive.Port);
        using var hole = new BlackHole(Loopback(25), alive.Port);

        // Refused at 23, 24 and 26, dropped at 25: whichever of them comes first.
        await using var client = ConnectByName(alive.Port, static _ => [Loopback(23), Loopback(24), Loopback(25), Loopback(21), Loopback(22), Loopback(26)]);
        var calls = Enumerable.Range(0, 300).Select(i => client.GetFeatureAsync(At(i))).ToList();
        await Task.WhenAll(calls).WaitAsync(Patience);
        Assert.Equal(300, service.Script.Calls);

        // And where one of those that were well dies meanwhile.
        var busy = Enumerable.Range(0, 8).Select(_ => Task.Run(() => CallAsync(client, 200))).ToList();
        await UntilAsync(() => service.Script.Calls > 500, "The load has begun.");
        alsoAlive.Refuse();
        await Task.WhenAll(busy).WaitAsync(Patience);
    }

    [Fact]
    public async Task A_call_on_a_connection_that_has_gone_silent_is_made_again_on_another()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var proxy = TcpProxy.Start(() => service.Port);
        await using var client = Connect(proxy.Address, static options => options with { KeepAlive = TimeSpan.FromSeconds(1), Timeout = Timeout.InfiniteTimeSpan });
        await client.GetFeatureAsync(Here);
        proxy.Stall();

        var call = client.GetFeatureAsync(Here);
        await UntilAsync(() => proxy.Connections == 2, "The ping was not answered, and another connection is made.");
        Assert.False(call.IsCompleted);
        proxy.Flow();

        Assert.NotNull(await call.WaitAsync(Patience));
    }

    [Fact]
    public async Task A_hedge_goes_to_another_address_where_one_takes_calls_and_says_nothing()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var alive = TcpProxy.Start(() => service.Port, Loopback(31));
        await using var mute = TcpProxy.Start(() => service.Port, Loopback(32), alive.Port);
        await using var client = ConnectByName(alive.Port, static _ => [Loopback(31), Loopback(32)], new HedgingOptions { Delay = TimeSpan.FromMilliseconds(50) });
        while (alive.Connections == 0 || mute.Connections == 0)
        {
            await CallAsync(client, 1);
        }

        mute.Stall();
        await CallAsync(client, 10).WaitAsync(Patience);
    }

    [Fact]
    public async Task A_server_that_goes_away_under_load_fails_no_unary_call_and_listings_go_on()
    {
        const int Count = 30_000;
        var script = new Script
        {
            ListFeatures = static async (stream, context, _) =>
            {
                for (var i = 1; i <= Count; i++)
                {
                    await stream.WriteAsync(Feature(i), context.CancellationToken);
                }
            },
            GetFeature = static async (point, _, _) =>
            {
                await Task.Delay(1);
                return new Proto.Feature { Name = "here", Location = point };
            },
        };
        await using var before = await ScriptedService.StartAsync(script);
        await using var after = await ScriptedService.StartAsync(script);
        var target = before.Port;
        await using var proxy = TcpProxy.Start(() => target);
        await using var client = Connect(proxy.Address);
        using var stop = new CancellationTokenSource();
        var listed = 0;
        var middle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var listing = Task.Run(async () =>
        {
            var seen = new HashSet<Coordinate>();
            await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
            {
                Assert.True(seen.Add(feature.Location), $"{feature} has come twice.");
                if (++listed == 1_000)
                {
                    // Read no more until the server has ended what it could not send.
                    middle.SetResult();
                    await gone.Task;
                }
            }

            return seen.Count;
        });
        var unary = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            var count = 0;
            for (; !stop.IsCancellationRequested; count++)
            {
                Assert.NotNull(await client.GetFeatureAsync(Here));
            }

            return count;
        })).ToList();
        await middle.Task.WaitAsync(Patience);

        target = after.Port;
        await before.StopAsync();
        gone.SetResult();

        Assert.Equal(Count, await listing.WaitAsync(Patience));
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(unary).WaitAsync(Patience), static count => Assert.True(count > 10));
        Assert.True(proxy.Connections > 1);
    }

    [Fact]
    public async Task A_connection_can_be_made_ahead_and_its_state_is_seen()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var proxy = TcpProxy.Start(() => service.Port);
        var client = Connect(proxy.Address);
        Assert.Equal((ConnectionState.Idle, 0), (client.State, proxy.Connections));

        await client.ConnectAsync();
        Assert.Equal((ConnectionState.Ready, 0), (client.State, service.Script.Requests.Count));
        await client.GetFeatureAsync(Here);
        Assert.Equal(1, proxy.Connections);

        proxy.Refuse();
        await UntilAsync(() => client.State == ConnectionState.Idle, "The connection is seen to be lost.");
        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here, TimeSpan.FromSeconds(1)));
        Assert.NotEqual(ConnectionState.Ready, client.State);

        using var cancel = new CancellationTokenSource(50);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.ConnectAsync(cancel.Token));
        await client.DisposeAsync();
        Assert.Equal(ConnectionState.Shutdown, client.State);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.ConnectAsync());
    }

    [Fact]
    public async Task Requests_to_the_addresses_of_a_name_have_the_name_as_their_host()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var client = Connect($"dns:///replicas.test:{service.Port}", static options => options with { Resolve = static (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]) });

        await client.GetFeatureAsync(Here);

        Assert.Equal($"replicas.test:{service.Port}", Assert.Single(service.Script.Requests)["host"]);
    }

    [Fact]
    public async Task A_name_whose_addresses_refuse_is_asked_for_again_after_five_seconds()
    {
        var clock = new FakeTimeProvider();
        var asked = new ConcurrentQueue<DateTimeOffset>();
        await using var client = Connect("dns:///routes.test:1", options => options with
        {
            Clock = clock,
            Timeout = Timeout.InfiniteTimeSpan,
            Resolve = (_, _) =>
            {
                asked.Enqueue(clock.GetUtcNow());
                return Task.FromResult<IPAddress[]>([IPAddress.Loopback]);
            },
        });
        using var stop = new CancellationTokenSource();
        var connecting = client.ConnectAsync(stop.Token);

        // Slowly, so that an address is tried several times within these seconds.
        while (asked.Count < 3)
        {
            clock.Advance(TimeSpan.FromMilliseconds(50));
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);
        Assert.All(asked.Zip(asked.Skip(1)), static pair => Assert.True(pair.Second - pair.First >= TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public async Task A_name_whose_addresses_answer_is_asked_for_again_after_half_a_minute()
    {
        var clock = new FakeTimeProvider();
        var asked = new ConcurrentQueue<DateTimeOffset>();
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var client = Connect($"dns:///routes.test:{service.Port}", options => options with
        {
            Clock = clock,
            Timeout = Timeout.InfiniteTimeSpan,
            Resolve = (_, _) =>
            {
                asked.Enqueue(clock.GetUtcNow());
                return Task.FromResult<IPAddress[]>([IPAddress.Loopback]);
            },
        });
        await client.ConnectAsync(TestContext.Current.CancellationToken);

        while (asked.Count < 3)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.All(asked.Zip(asked.Skip(1)), static pair => Assert.True(pair.Second - pair.First >= TimeSpan.FromSeconds(30)));
    }

    [Xunit.Theory]
    [InlineData("http://localhost:1", false)]
    [InlineData("https://localhost:1", true)]
    [InlineData("dns:///localhost:1", false)]
    public void The_handler_pings_connections_with_calls_alone_and_uses_a_proxy_for_TLS_to_one_address(string address, bool isProxied)
    {
        SocketsHttpHandler handler = null!;
        using var client = Connect(address, options => options with
        {
            Tls = address.StartsWith("http:", StringComparison.Ordinal) ? null : new(),
            KeepAlive = TimeSpan.FromSeconds(7),
            ConfigureHandler = sockets => handler = sockets,
        });

        Assert.Equal(
            (HttpKeepAlivePingPolicy.WithActiveRequests, TimeSpan.FromSeconds(7), isProxied), (handler.KeepAlivePingPolicy, handler.KeepAlivePingDelay, handler.UseProxy));
    }

    [Fact]
    public async Task Where_no_connection_can_be_made_the_error_says_why()
    {
        await using var nobody = Connect("http://127.0.0.1:1", static options => options with { Timeout = TimeSpan.FromSeconds(1) });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => nobody.ConnectAsync());
        Assert.Equal((FailureReason.Unavailable, true, 0), (error.Reason, error.IsTransient, error.Attempts));
        Assert.Contains("http://127.0.0.1:1 after 1 s.", error.Message);
        Assert.Contains("refused", error.Message);

        error = await Assert.ThrowsAsync<RouteServiceException>(() => nobody.SayHelloAsync("you"));
        Assert.Contains("refused", error.Message);
    }

    [Fact]
    public async Task Calls_of_every_kind_in_flight_end_by_disposal_and_so_do_the_connections()
    {
        var ended = 0;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = async (_, context, _) =>
            {
                await EndAsync(context);
                return new Proto.Feature();
            },
            ListFeatures = async (stream, context, _) =>
            {
                // Throws if the client has gone by then.
                await stream.WriteAsync(Feature(1)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await EndAsync(context);
            },
            RecordRoute = async (_, context, _) =>
            {
                await EndAsync(context);
                return new Proto.RouteSummary();
            },
            RouteChat = (_, _, context, _) => EndAsync(context),
        });
        var client = Connect(service.Address);
        var points = Forever();
        var calls = new List<Task>
        {
            client.GetFeatureAsync(Here),
            ToListAsync(client.ListFeaturesAsync(BoundingBox.World)),
            client.RecordRouteAsync(points),
            ToListAsync(await client.JoinChatAsync([Here])),
        };
        await UntilAsync(() => service.Script.Calls == 4, "All calls are with the service.");

        await client.DisposeAsync().AsTask().WaitAsync(Patience);

        foreach (var call in calls)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => call.WaitAsync(Patience));
        }

        await UntilAsync(() => Volatile.Read(ref ended) == 4, "The service has seen the end of all calls.");
        client.Dispose();

        async Task EndAsync(ServerCallContext context)
        {
            await Task.Delay(Timeout.Infinite, context.CancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Interlocked.Increment(ref ended);
        }

        static async IAsyncEnumerable<Coordinate> Forever()
        {
            while (true)
            {
                yield return Here;
                await Task.Delay(10);
            }
        }
    }

    [Fact]
    public async Task The_handler_can_be_changed_and_put_into_another()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var seen = new ConcurrentBag<string>();
        await using var client = Connect(service.Address, options => options with
        {
            ConfigureHandler = sockets =>
            {
                sockets.MaxResponseHeadersLength = 128;
                return new Watcher(seen) { InnerHandler = sockets };
            },
        });

        Assert.NotNull(await client.GetFeatureAsync(Here));

        Assert.Equal(["/routeguide.RouteGuide/GetFeature"], seen);
        Assert.Equal(ConnectionState.Ready, client.State);
    }

    /// <summary>A client of a name that has these addresses.</summary>
    private static RouteServiceClient ConnectByName(int port, Func<string, IPAddress[]> resolve, HedgingOptions? hedging = null) => Connect(
        $"dns:///routes.test:{port}", options => options with { Resolve = (name, _) => Task.FromResult(resolve(name)), Hedging = hedging });

    private static IPAddress Loopback(byte last) => new([127, 0, 0, last]);

    private static async Task CallAsync(RouteServiceClient client, int count)
    {
        for (var i = 0; i < count; i++)
        {
            Assert.NotNull(await client.GetFeatureAsync(Here));
        }
    }

    private static async Task UntilAsync(Func<bool> isSo, string what)
    {
        for (var time = Stopwatch.StartNew(); !isSo();)
        {
            Assert.True(time.Elapsed < Patience, $"Not so: {what}");
            await Task.Delay(10);
        }
    }

    private sealed class Watcher(ConcurrentBag<string> seen) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            seen.Add(request.RequestUri!.AbsolutePath);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
