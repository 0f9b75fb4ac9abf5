using System.Runtime.CompilerServices;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

public sealed class ListFeaturesTests
{
    private const int Count = 40;

    [Fact]
    public async Task Each_feature_comes_with_its_name_and_a_later_field_of_the_message_is_left_out()
    {
        var strange = Proto.Feature.Parser.ParseFrom([0x7a, 0x02, 0x61, 0x62]);
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = async (stream, _, _) =>
            {
                await stream.WriteAsync(Feature(1));
                strange.MergeFrom(Feature(2));
                strange.Name = "";
                await stream.WriteAsync(strange);
                await stream.WriteAsync(new Proto.Feature { Name = "no location" });
            },
        });
        await using var client = Connect(service.Address);

        var features = await ToListAsync(client.ListFeaturesAsync(BoundingBox.World));

        Assert.Equal([new(At(1), "place 1"), new(At(2), ""), new(Coordinate.FromE7(0, 0), "no location")], features);
        Assert.Equal(3, (await ToListAsync(client.ListFeaturesAsync(BoundingBox.World))).Count);
    }

    public static TheoryData<string, int> Breaks()
    {
        var data = new TheoryData<string, int>();
        foreach (var how in new[] { "stream reset", "connection reset", "unavailable" })
        {
            for (var at = 0; at <= Count; at++)
            {
                data.Add(how, at);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Breaks))]
    public async Task A_stream_that_breaks_anywhere_goes_on_with_no_feature_twice_and_none_missing(string how, int at)
    {
        TcpProxy? proxy = null;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = async (stream, context, call) =>
            {
                // Another order each time: the service promises none.
                foreach (var i in Enumerable.Range(0, Count).Select(i => (((i * 7) + (call * 13)) % Count) + 1).Take(call == 1 ? at : Count))
                {
                    await stream.WriteAsync(Feature(i));
                }

                if (call > 1)
                {
                    return;
                }

                await Task.Delay(20);
                switch (how)
                {
                    case "stream reset":
                        Script.Reset(context);
                        break;

                    case "connection reset":
                        proxy!.Reset();
                        await Task.Delay(Timeout.Infinite, context.CancellationToken);
                        break;

                    default:
                        throw Script.Error(StatusCode.Unavailable);
                }
            },
        });
        await using var between = proxy = TcpProxy.Start(() => service.Port);
        await using var client = Connect(proxy.Address);

        var features = await ToListAsync(client.ListFeaturesAsync(BoundingBox.World));

        Assert.Equal(Enumerable.Range(1, Count).Select(static i => new Feature(At(i), $"place {i}")), features.OrderBy(static feature => feature.Location.LatitudeE7));
        Assert.Equal(2, service.Script.Calls);
    }

    [Fact]
    public async Task A_stream_that_breaks_again_and_again_goes_on_while_something_comes()
    {
        // 20 breaks, each after two more features: more than the attempts of one call.
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, call) =>
            {
                for (var i = 1; i <= Math.Min(Count, 2 * call); i++)
                {
                    await stream.WriteAsync(Feature(i));
                }

                if (2 * call < Count)
                {
                    throw Script.Error(StatusCode.Unavailable);
                }
            },
        });
        await using var client = Connect(service.Address);

        Assert.Equal(Enumerable.Range(1, Count).Select(At), (await ToListAsync(client.ListFeaturesAsync(BoundingBox.World))).Select(static feature => feature.Location));
        Assert.Equal(20, service.Script.Calls);
    }

    [Fact]
    public async Task Hundreds_of_thousands_of_features_with_breaks_come_each_once()
    {
        const int Many = 300_000;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, context, call) =>
            {
                for (var i = 1; i <= Many; i++)
                {
                    await stream.WriteAsync(Feature(i), context.CancellationToken);
                    if (call < 4 && i == Many / 4 * call)
                    {
                        Script.Reset(context);
                        return;
                    }
                }
            },
        });
        await using var client = Connect(service.Address);
        var seen = new HashSet<Coordinate>();

        await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
        {
            Assert.True(seen.Add(feature.Location), $"{feature} has come twice.");
        }

        Assert.Equal((Many, 4), (seen.Count, service.Script.Calls));
    }

    [Fact]
    public async Task A_silent_server_is_left_and_a_slow_caller_is_not()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, context, call) =>
            {
                await stream.WriteAsync(Feature(1));
                await Task.Delay(call == 1 ? Timeout.Infinite : 0, context.CancellationToken);
                await stream.WriteAsync(Feature(2));
            },
        });
        await using var client = Connect(service.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(300) });
        var features = new List<string>();

        await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
        {
            features.Add(feature.Name);
            await Task.Delay(500);
        }

        Assert.Equal(["place 1", "place 2"], features);
        Assert.Equal(2, service.Script.Calls);
    }

    [Fact]
    public async Task Silence_without_end_is_a_stall()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static (_, context, _) => Task.Delay(Timeout.Infinite, context.CancellationToken),
        });
        await using var client = Connect(service.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(100) });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));

        Assert.Equal((FailureReason.Stalled, true, 5, 0L), (error.Reason, error.IsTransient, error.Attempts, error.Delivered));
    }

    [Fact]
    public async Task Where_it_cannot_go_on_the_error_says_what_was_delivered()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, _) =>
            {
                await stream.WriteAsync(Feature(1));
                await stream.WriteAsync(Feature(2));
                throw Script.Error(StatusCode.Unavailable);
            },
        });
        await using var forgetful = Connect(service.Address, static options => options with { MaxResumableFeatures = 0 });
        await using var hasty = Connect(service.Address, static options => options with { ResumeWithin = TimeSpan.FromMilliseconds(200) });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(forgetful.ListFeaturesAsync(BoundingBox.World)));
        Assert.Equal((FailureReason.CannotResume, 2L, 1), (error.Reason, error.Delivered, error.Attempts));

        error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(hasty.ListFeaturesAsync(BoundingBox.World)));
        Assert.Equal((FailureReason.Unavailable, 2L), (error.Reason, error.Delivered));
        Assert.True(error.Attempts > 1);
    }

    [Fact]
    public async Task The_time_to_resume_begins_with_each_break()
    {
        var clock = new FakeTimeProvider();
        using var stop = new CancellationTokenSource();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = async (stream, _, call) =>
            {
                await stream.WriteAsync(Feature(call));
                clock.Advance(TimeSpan.FromMinutes(10));
                if (call < 4)
                {
                    throw Script.Error(StatusCode.Unavailable);
                }
            },
        });
        await using var client = Connect(service.Address, options => options with { Clock = clock, StreamSilence = TimeSpan.FromDays(1) });
        var pauses = Task.Run(async () =>
        {
            for (; !stop.IsCancellationRequested; await Task.Delay(1))
            {
                clock.Advance(TimeSpan.FromMilliseconds(10));
            }
        });

        Assert.Equal(4, (await ToListAsync(client.ListFeaturesAsync(BoundingBox.World))).Count);

        await stop.CancelAsync();
        await pauses;
    }

    [Fact]
    public async Task A_stream_that_stays_broken_is_given_up_after_the_time_to_resume()
    {
        var clock = new FakeTimeProvider();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, call) =>
            {
                if (call == 1)
                {
                    await stream.WriteAsync(Feature(1));
                }

                // Half a second on average, for ten seconds.
                throw Script.Error(call < 500 ? StatusCode.Unavailable : StatusCode.OutOfRange);
            },
        });
        await using var client = Connect(service.Address, options => options with
        {
            Clock = clock,
            StreamSilence = TimeSpan.FromDays(1),
            ResumeWithin = TimeSpan.FromSeconds(10),
            Retry = new() { Delay = TimeSpan.FromSeconds(1), MaxDelay = TimeSpan.FromSeconds(1) },
        });

        var listing = ToListAsync(client.ListFeaturesAsync(BoundingBox.World));
        for (; !listing.IsCompleted; await Task.Delay(1))
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => listing);
        Assert.Equal((FailureReason.Unavailable, 1L), (error.Reason, error.Delivered));
        Assert.InRange(error.Attempts, 3, 100);
    }

    [Fact]
    public async Task A_pause_beyond_the_time_limit_ends_it_at_once_with_what_the_server_said()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, _) =>
            {
                await stream.WriteAsync(Feature(1));
                throw Script.Error(StatusCode.Unavailable, "later", ("grpc-retry-pushback-ms", "30000"));
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World, TimeSpan.FromSeconds(20))));

        Assert.Equal((FailureReason.Unavailable, TimeSpan.FromSeconds(30), 1), (error.Reason, error.RetryAfter, error.Attempts));
    }

    [Fact]
    public async Task After_a_silence_an_error_is_an_error_again()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static (_, context, call) => call == 1 ? Task.Delay(Timeout.Infinite, context.CancellationToken) : throw Script.Error(StatusCode.PermissionDenied),
        });
        await using var client = Connect(service.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(100) });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));

        Assert.Equal((FailureReason.PermissionDenied, 2), (error.Reason, error.Attempts));
    }

    [Fact]
    public async Task The_bound_of_what_is_remembered_counts_all_streams_of_a_listing()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, call) =>
            {
                for (var i = 1; i <= 2 * call; i++)
                {
                    await stream.WriteAsync(Feature(i));
                }

                throw Script.Error(StatusCode.Unavailable);
            },
        });
        await using var client = Connect(service.Address, static options => options with { MaxResumableFeatures = 3 });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));

        Assert.Equal((FailureReason.CannotResume, 4L, 2), (error.Reason, error.Delivered, error.Attempts));
    }

    [Fact]
    public async Task An_error_that_is_no_break_is_thrown_with_what_was_delivered()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, _) =>
            {
                await stream.WriteAsync(Feature(1));
                throw Script.Error(StatusCode.PermissionDenied);
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));

        Assert.Equal((FailureReason.PermissionDenied, 1L, 1), (error.Reason, error.Delivered, error.Attempts));
    }

    [Fact]
    public async Task Leaving_early_and_cancelling_end_the_servers_call()
    {
        var ended = new SemaphoreSlim(0);
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = async (stream, context, _) =>
            {
                try
                {
                    await stream.WriteAsync(Feature(1));
                    await Task.Delay(Timeout.Infinite, context.CancellationToken);
                }
                finally
                {
                    ended.Release();
                }
            },
        });
        await using var client = Connect(service.Address);

        await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
        {
            break;
        }

        Assert.True(await ended.WaitAsync(TimeSpan.FromSeconds(30)));

        foreach (var byArgument in new[] { true, false })
        {
            using var cancel = new CancellationTokenSource();
            var features = byArgument ? client.ListFeaturesAsync(BoundingBox.World, cancellationToken: cancel.Token) : client.ListFeaturesAsync(BoundingBox.World);
            var error = await Assert.ThrowsAsync<OperationCanceledException>(async () =>
            {
                await foreach (var feature in features.WithCancellation(byArgument ? default : cancel.Token))
                {
                    await cancel.CancelAsync();
                }
            });
            Assert.Equal(cancel.Token, error.CancellationToken);
            Assert.True(await ended.WaitAsync(TimeSpan.FromSeconds(30)));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Either_of_two_tokens_cancels(bool byArgument)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, context, _) =>
            {
                await stream.WriteAsync(Feature(1));
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        await using var client = Connect(service.Address);
        using var cancel = new CancellationTokenSource();
        using var other = new CancellationTokenSource();
        var (call, enumeration) = byArgument ? (cancel, other) : (other, cancel);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World, cancellationToken: call.Token).WithCancellation(enumeration.Token))
            {
                await cancel.CancelAsync();
            }
        });
    }

    [Fact]
    public async Task A_listing_that_has_ended_leaves_nothing_behind()
    {
        await using var service = await ScriptedService.StartAsync(new Script { ListFeatures = static (stream, _, _) => stream.WriteAsync(Feature(1)) });
        await using var client = Connect(service.Address);

        // Whatever holds a listing holds its token.
        var token = await ListAsync();
        for (var i = 0; i < 100 && token.IsAlive; i++)
        {
            await Task.Delay(20);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(token.IsAlive, "The client still holds a listing that has ended.");

        [MethodImpl(MethodImplOptions.NoInlining)]
        async Task<WeakReference> ListAsync()
        {
            var cancel = new CancellationTokenSource();
            Assert.Single(await ToListAsync(client.ListFeaturesAsync(BoundingBox.World, cancellationToken: cancel.Token)));
            return new WeakReference(cancel);
        }
    }

    [Fact]
    public async Task A_place_that_is_nowhere_is_the_servers_fault()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, _, _) =>
            {
                await stream.WriteAsync(Feature(1));
                await stream.WriteAsync(new Proto.Feature { Name = "nowhere", Location = new Proto.Point { Latitude = 900_000_001 } });
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));

        Assert.Equal((FailureReason.Unexpected, "INTERNAL", 1L), (error.Reason, error.Status, error.Delivered));
        Assert.Contains("900000001,0", error.Message);
    }

    [Fact]
    public async Task Streams_end_with_the_call_that_they_are_made_for()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static (_, context, _) => Task.Delay(Timeout.Infinite, context.CancellationToken),
            RecordRoute = static async (_, context, _) =>
            {
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
                return new Proto.RouteSummary();
            },
        });
        await using var client = Connect(service.Address);
        using var own = new CancellationTokenSource();
        foreach (var call in (Func<Task>[])
            [
                () => ToListAsync(client.ListFeaturesAsync(BoundingBox.World, cancellationToken: own.Token)),
                () => client.RecordRouteAsync([Here], cancellationToken: own.Token),
                () => client.RecordRouteAsync([Here]),
            ])
        {
            using var outer = new CancellationTokenSource();
            using var inner = new CancellationTokenSource();
            using var ofOuter = AmbientDeadline.Begin(DateTimeOffset.MaxValue, outer.Token);
            using var ofInner = AmbientDeadline.Begin(DateTimeOffset.MaxValue, inner.Token);
            var calls = service.Script.Calls;
            var running = call();
            while (service.Script.Calls == calls)
            {
                await Task.Delay(10);
            }

            await outer.CancelAsync();
            await Assert.ThrowsAsync<OperationCanceledException>(() => running);
        }

        using var soon = AmbientDeadline.Begin(DateTimeOffset.UtcNow.AddMilliseconds(300));
        Assert.Equal(FailureReason.DeadlineExceeded, (await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)))).Reason);
        Assert.Equal(FailureReason.DeadlineExceeded, (await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync([Here]))).Reason);
    }

    [Fact]
    public async Task Its_timeout_is_the_whole_enumerations()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, context, _) =>
            {
                for (var i = 1; ; i++)
                {
                    await stream.WriteAsync(Feature(i));
                    await Task.Delay(50, context.CancellationToken);
                }
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World, TimeSpan.FromSeconds(1))));

        Assert.Equal(FailureReason.DeadlineExceeded, error.Reason);
        Assert.True(error.Delivered > 0);
    }
}
