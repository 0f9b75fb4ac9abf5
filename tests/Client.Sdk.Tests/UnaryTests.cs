using System.Diagnostics;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

public sealed class UnaryTests
{
    [Fact]
    public async Task A_feature_is_found_and_one_that_is_not_there_is_null()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, _) => Task.FromResult(new Proto.Feature { Name = point.Latitude == 405_000_000 ? "here" : "", Location = point }),
        });
        await using var client = Connect(service.Address);

        Assert.Equal(new Feature(Here, "here"), await client.GetFeatureAsync(Here));
        Assert.Null(await client.GetFeatureAsync(Coordinate.FromDegrees(0, 0)));
        Assert.Equal("here", client.GetFeature(Here)!.Name);
    }

    [Fact]
    public async Task Unavailable_is_tried_again_until_it_is_answered()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, call) => call < 4 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(new Proto.Feature { Name = "here", Location = point }),
        });
        await using var client = Connect(service.Address);

        Assert.NotNull(await client.GetFeatureAsync(Here));

        Assert.Equal(["1", "2", "3"], service.Script.Requests.Select(static request => request.GetValueOrDefault("grpc-previous-rpc-attempts")).OfType<string>().Order());
    }

    [Fact]
    public async Task After_the_last_attempt_the_error_says_all_that_is_known()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable, "The store is out.") });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal((FailureReason.Unavailable, true, "UNAVAILABLE", "The store is out.", 5), (error.Reason, error.IsTransient, error.Status, error.Detail, error.Attempts));
        Assert.StartsWith("routeguide.RouteGuide/GetFeature failed with UNAVAILABLE after 5 attempts: The store is out.", error.Message, StringComparison.Ordinal);
        Assert.Equal(5, service.Script.Calls);
    }

    [Theory]
    [InlineData(StatusCode.InvalidArgument, FailureReason.InvalidRequest)]
    [InlineData(StatusCode.Internal, FailureReason.Unexpected)]
    [InlineData(StatusCode.PermissionDenied, FailureReason.PermissionDenied)]
    [InlineData(StatusCode.Unauthenticated, FailureReason.Unauthenticated)]
    [InlineData(StatusCode.Unimplemented, FailureReason.Unimplemented)]
    [InlineData(StatusCode.ResourceExhausted, FailureReason.Exhausted)]
    [InlineData(StatusCode.Cancelled, FailureReason.Unexpected)]
    internal async Task What_another_attempt_would_not_change_is_not_tried_again(StatusCode code, FailureReason reason)
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = (_, _, _) => throw Script.Error(code) });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal((reason, 1, 1), (error.Reason, error.Attempts, service.Script.Calls));
    }

    [Fact]
    public async Task The_servers_field_violations_are_in_the_error()
    {
        var details = new Google.Rpc.Status
        {
            Details = { Any.Pack(new BadRequest { FieldViolations = { new BadRequest.Types.FieldViolation { Field = "latitude", Description = "It is wrong." } } }) },
        };
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = (_, _, _) => throw new RpcException(
                new Grpc.Core.Status(StatusCode.InvalidArgument, "no"), new Metadata { { "grpc-status-details-bin", details.ToByteArray() } }),
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal([new FieldViolation("latitude", "It is wrong.")], error.FieldViolations);
        Assert.False(error.IsTransient);
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted)]
    [InlineData(StatusCode.Unavailable)]
    internal async Task The_servers_pushback_is_the_pause(StatusCode code)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = (point, _, call) => call == 1
                ? throw Script.Error(code, "later", ("grpc-retry-pushback-ms", "400"))
                : Task.FromResult(new Proto.Feature { Name = "here", Location = point }),
        });
        await using var client = Connect(service.Address);
        var time = Stopwatch.StartNew();

        Assert.NotNull(await client.GetFeatureAsync(Here));

        Assert.True(time.ElapsedMilliseconds >= 395, $"It has waited only {time.ElapsedMilliseconds} ms.");
        Assert.Equal(2, service.Script.Calls);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("soon")]
    public async Task A_pushback_that_is_no_time_is_a_no(string pushback)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = (_, _, _) => throw Script.Error(StatusCode.Unavailable, "no", ("grpc-retry-pushback-ms", pushback)),
        });
        await using var client = Connect(service.Address);

        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal(1, service.Script.Calls);
    }

    [Fact]
    public async Task A_pushback_beyond_the_deadline_ends_the_call_at_once_with_what_the_server_said()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (_, _, _) => throw Script.Error(StatusCode.ResourceExhausted, "busy", ("grpc-retry-pushback-ms", "3600000")),
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal((FailureReason.Exhausted, TimeSpan.FromHours(1), 1), (error.Reason, error.RetryAfter, error.Attempts));
    }

    [Fact]
    public async Task The_deadline_is_the_whole_calls_retries_included()
    {
        var left = new List<TimeSpan>();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = async (_, context, call) =>
            {
                left.Add(context.Deadline - DateTime.UtcNow);
                await Task.Delay(call == 1 ? 300 : Timeout.Infinite, context.CancellationToken);
                throw Script.Error(StatusCode.Unavailable);
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here, TimeSpan.FromSeconds(6)));

        Assert.Equal((FailureReason.DeadlineExceeded, true, 2), (error.Reason, error.IsTransient, error.Attempts));
        Assert.True(left[1] < left[0] - TimeSpan.FromMilliseconds(250), $"{left[0]}, then {left[1]}");
    }

    [Fact]
    public async Task Ten_seconds_are_the_default_and_a_surrounding_deadline_that_is_earlier_counts()
    {
        DateTime deadline = default;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = (point, context, _) =>
            {
                deadline = context.Deadline;
                return Task.FromResult(new Proto.Feature { Name = "here", Location = point });
            },
        });
        await using var client = Connect(service.Address);

        await client.GetFeatureAsync(Here);
        Assert.InRange(deadline - DateTime.UtcNow, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10));

        using (AmbientDeadline.Begin(DateTimeOffset.UtcNow.AddSeconds(4)))
        {
            await client.GetFeatureAsync(Here);
            Assert.InRange(deadline - DateTime.UtcNow, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(4));

            // One within another has at most the other's time.
            using var inner = AmbientDeadline.Begin(DateTimeOffset.UtcNow.AddMinutes(1));
            await client.GetFeatureAsync(Here);
            Assert.True(deadline - DateTime.UtcNow <= TimeSpan.FromSeconds(4));
        }

        await client.GetFeatureAsync(Here, Timeout.InfiniteTimeSpan);
        Assert.Equal(DateTime.MaxValue, deadline);
    }

    [Fact]
    public async Task Cancellation_stays_cancellation_the_callers_own_and_the_surrounding_calls()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static async (_, context, _) => await Never(context) });
        await using var client = Connect(service.Address);
        using var own = new CancellationTokenSource();
        using var outer = new CancellationTokenSource();

        var error = await Assert.ThrowsAsync<OperationCanceledException>(() => CancelledAsync(own, client.GetFeatureAsync(Here, cancellationToken: own.Token), calls: 1));
        Assert.Equal(own.Token, error.CancellationToken);

        using (AmbientDeadline.Begin(DateTimeOffset.MaxValue, outer.Token))
        {
            error = await Assert.ThrowsAsync<OperationCanceledException>(() => CancelledAsync(outer, client.GetFeatureAsync(Here), calls: 2));
            Assert.Equal(outer.Token, error.CancellationToken);
        }

        using var already = new CancellationTokenSource();
        await already.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => client.GetFeatureAsync(Here, cancellationToken: already.Token));
        Assert.Equal(2, service.Script.Calls);

        // Once the service has it.
        async Task CancelledAsync(CancellationTokenSource cancellation, Task call, int calls)
        {
            while (service.Script.Calls < calls)
            {
                await Task.Delay(10);
            }

            await cancellation.CancelAsync();
            await call;
        }
    }

    [Fact]
    public async Task Disposal_ends_calls_in_flight_as_disposal()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static async (_, context, _) => await Never(context) });
        var client = Connect(service.Address);
        var calls = Enumerable.Range(0, 20).Select(_ => client.GetFeatureAsync(Here)).ToList();
        while (service.Script.Calls < 20)
        {
            await Task.Delay(10);
        }

        await client.DisposeAsync();

        foreach (var call in calls)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => call);
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetFeatureAsync(Here));
        await client.DisposeAsync();
    }

    [Fact]
    public async Task An_outage_is_not_made_worse_the_budget_bounds_the_retries()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable) });
        await using var client = Connect(service.Address, static options => options with { Retry = options.Retry with { Budget = 7 } });

        for (var i = 0; i < 50; i++)
        {
            await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
        }

        Assert.Equal(57, service.Script.Calls);
    }

    [Fact]
    public async Task The_first_pause_is_at_most_the_delay_and_the_second_twice_that()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable) });
        await using var client = Connect(service.Address, static options => options with { Retry = new() { Delay = TimeSpan.FromSeconds(2), MaxDelay = TimeSpan.FromHours(1) } });

        // A retry is made only if its longest pause fits into the time that is left: the first does, the second does not.
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here, TimeSpan.FromSeconds(3.9)));

        Assert.Equal((FailureReason.Unavailable, 2), (error.Reason, error.Attempts));
    }

    [Fact]
    public async Task A_pushback_of_zero_is_a_retry_at_once()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, call) => call == 1
                ? throw Script.Error(StatusCode.Unavailable, "now", ("grpc-retry-pushback-ms", "0"))
                : Task.FromResult(new Proto.Feature { Name = "here", Location = point }),
        });

        // A pause of our own would not fit into the call's time.
        await using var client = Connect(service.Address, static options => options with { Retry = new() { Delay = TimeSpan.FromHours(1), MaxDelay = TimeSpan.FromHours(1) } });

        Assert.NotNull(await client.GetFeatureAsync(Here));
        Assert.Equal(2, service.Script.Calls);
    }

    [Fact]
    public async Task Ten_successes_return_a_retry_to_the_budget()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, _) => point.Latitude == 0 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(new Proto.Feature { Name = "here", Location = point }),
        });
        await using var client = Connect(service.Address, static options => options with { Retry = options.Retry with { Budget = 1 } });

        Assert.Equal(2, await FailAsync());
        Assert.Equal(1, await FailAsync());
        for (var i = 1; i < 10; i++)
        {
            await client.GetFeatureAsync(At(i));
        }

        Assert.Equal(1, await FailAsync());
        await client.GetFeatureAsync(At(10));
        Assert.Equal(2, await FailAsync());

        async Task<int> FailAsync() => (await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(At(0)))).Attempts;
    }

    [Fact]
    public async Task The_error_has_the_status_the_trailers_and_the_exception_of_the_last_attempt()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (_, _, call) => throw Script.Error(StatusCode.Unavailable, $"out {call}", ("x-replica", $"{call}")),
        });
        await using var client = Connect(service.Address, static options => options with { Retry = options.Retry with { MaxAttempts = 2 } });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal((StatusCode.Unavailable, "UNAVAILABLE", "2"), (error.StatusCode, error.Status, error.Trailers.GetValue("x-replica")));
        Assert.Equal("out 2", Assert.IsType<RpcException>(error.InnerException).Status.Detail);
        Assert.Null(new RouteServiceException(FailureReason.CircuitOpen, "open").StatusCode);
    }

    [Fact]
    public async Task A_time_limit_runs_on_while_the_time_of_day_is_set_back()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (_, context, _) => await Never(context),
            ListFeatures = static (_, context, _) => Never(context),
            RecordRoute = static async (_, context, _) =>
            {
                await Never(context);
                return new Proto.RouteSummary();
            },
        });
        var clock = new ClockThatIsSetBack();
        await using var client = Connect(service.Address, options => options with { Clock = clock, StreamSilence = TimeSpan.FromDays(1) });
        foreach (var call in (Func<TimeSpan, Task>[])
            [
                time => client.GetFeatureAsync(Here, time),
                time => ToListAsync(client.ListFeaturesAsync(BoundingBox.World, time)),
                time => client.RecordRouteAsync([Here], time),
            ])
        {
            var calls = service.Script.Calls;
            var running = call(TimeSpan.FromMinutes(30));
            while (service.Script.Calls == calls)
            {
                await Task.Delay(10);
            }

            clock.Offset -= TimeSpan.FromHours(1);
            clock.Advance(TimeSpan.FromMinutes(29));
            Assert.False(running.IsCompleted);
            clock.Advance(TimeSpan.FromMinutes(1));

            var error = await Assert.ThrowsAsync<RouteServiceException>(() => running);
            Assert.Equal((FailureReason.DeadlineExceeded, StatusCode.DeadlineExceeded), (error.Reason, error.StatusCode));
        }
    }

    [Fact]
    public async Task A_surrounding_deadline_ends_with_its_scope_also_for_work_that_outlives_it()
    {
        DateTime deadline = default;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = (point, context, _) =>
            {
                deadline = context.Deadline;
                return Task.FromResult(new Proto.Feature { Name = "here", Location = point });
            },
        });
        await using var client = Connect(service.Address);
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var served = new CancellationTokenSource();
        Task background;
        using (AmbientDeadline.Begin(DateTimeOffset.UtcNow.AddDays(1)))
        {
            using (AmbientDeadline.Begin(DateTimeOffset.UtcNow.AddSeconds(-1), served.Token))
            {
                Assert.Equal(FailureReason.DeadlineExceeded, (await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here))).Reason);
                background = Task.Run(async () =>
                {
                    await over.Task;
                    await client.GetFeatureAsync(Here, Timeout.InfiniteTimeSpan);
                });
            }

            // The outer scope holds on.
            await served.CancelAsync();
            over.SetResult();
            await background;
            Assert.InRange(deadline - DateTime.UtcNow, TimeSpan.FromHours(23), TimeSpan.FromHours(24));
        }

        await client.GetFeatureAsync(Here, Timeout.InfiniteTimeSpan);
        Assert.Equal(DateTime.MaxValue, deadline);
    }

    [Fact]
    public async Task In_a_gRPC_server_calls_inherit_the_deadline_and_the_cancellation_of_the_inbound_call()
    {
        var (deadlines, ended) = (new List<DateTime>(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var back = await ScriptedService.StartAsync(new Script
        {
            GetFeature = async (point, context, call) =>
            {
                deadlines.Add(context.Deadline);
                if (call == 3)
                {
                    try
                    {
                        await Never(context);
                    }
                    finally
                    {
                        ended.TrySetResult();
                    }
                }

                return new Proto.Feature { Name = "back", Location = point };
            },
        });
        await using var inner = Connect(back.Address);
        await using var front = await ScriptedService.StartAsync(
            new Script
            {
                GetFeature = async (point, _, _) => new Proto.Feature { Name = (await inner.GetFeatureAsync(Here))?.Name ?? "", Location = point },
                ListFeatures = async (stream, _, _) => await stream.WriteAsync(new Proto.Feature { Name = (await inner.GetFeatureAsync(Here))!.Name, Location = new Proto.Point() }),
            },
            grpc: static options => options.Interceptors.Add<DeadlinePropagationInterceptor>());
        await using var client = Connect(front.Address);

        // Earlier than the ten seconds of a call, and none.
        Assert.Equal("back", (await client.GetFeatureAsync(Here, TimeSpan.FromSeconds(4)))!.Name);
        Assert.Equal("back", Assert.Single(await ToListAsync(client.ListFeaturesAsync(BoundingBox.World))).Name);
        Assert.InRange(deadlines[0] - DateTime.UtcNow, TimeSpan.FromSeconds(-60), TimeSpan.FromSeconds(4));
        Assert.InRange(deadlines[1] - deadlines[0], TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(70));

        using var cancel = new CancellationTokenSource();
        var call = client.GetFeatureAsync(Here, cancellationToken: cancel.Token);
        while (back.Script.Calls < 3)
        {
            await Task.Delay(10);
        }

        await cancel.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => call);
        await ended.Task;
    }

    [Fact]
    public async Task A_hedge_answers_where_the_first_attempt_hangs()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (point, context, call) => call == 1 ? await Never(context) : new Proto.Feature { Name = "hedge", Location = point },
        });
        await using var client = Connect(service.Address, static options => options with { Hedging = new() { Delay = TimeSpan.FromMilliseconds(50) } });

        Assert.Equal("hedge", (await client.GetFeatureAsync(Here))!.Name);
        Assert.Equal(2, service.Script.Calls);
    }

    [Fact]
    public async Task Hedged_calls_that_fail_are_retried_as_others_are_and_counted_by_the_breaker()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, call) => call is <= 4 or > 5 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(new Proto.Feature { Name = "fifth", Location = point }),
        });
        await using var client = Connect(service.Address, static options => options with
        {
            Hedging = new() { Delay = TimeSpan.FromMinutes(1) },
            CircuitBreaker = new() { MinimumCalls = 8, FailureRatio = 0.75, OpenFor = TimeSpan.FromMinutes(1) },
        });

        // A hedge follows a failure at once: two attempts, a pause, two more, a pause, and the answer.
        Assert.Equal("fifth", (await client.GetFeatureAsync(Here))!.Name);
        Assert.Equal(5, service.Script.Calls);

        // Seven of eight have failed.
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
        Assert.Equal((FailureReason.CircuitOpen, 8), (error.Reason, service.Script.Calls));
    }

    [Fact]
    public async Task A_hedge_obeys_the_servers_pushback_and_the_budget()
    {
        // Never, and after the call's deadline.
        foreach (var pushback in (string[])["-1", "60000"])
        {
            await using var service = await ScriptedService.StartAsync(new Script
            {
                GetFeature = (_, _, _) => throw Script.Error(StatusCode.Unavailable, "no", ("grpc-retry-pushback-ms", pushback)),
            });
            await using var refused = Connect(service.Address, static options => options with { Hedging = new() { Delay = TimeSpan.FromMinutes(1) } });
            await Assert.ThrowsAsync<RouteServiceException>(() => refused.GetFeatureAsync(Here));
            Assert.Equal(1, service.Script.Calls);
        }

        await using var slow = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (point, _, _) =>
            {
                await Task.Delay(100);
                return new Proto.Feature { Name = "slow", Location = point };
            },
        });
        await using var frugal = Connect(slow.Address, static options => options with { Hedging = new() { Delay = TimeSpan.Zero }, Retry = new() { Budget = 2 } });
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => frugal.GetFeatureAsync(Here)));
        Assert.Equal(12, slow.Script.Calls);

        // A hedge that was not made takes nothing: ten successes return one.
        for (var i = 0; i < 11; i++)
        {
            await frugal.GetFeatureAsync(Here);
        }

        Assert.InRange(slow.Script.Calls, 24, 25);
    }

    [Fact]
    public async Task Blocking_calls_block_no_context_that_a_callback_goes_on_in()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var client = Connect(service.Address, static options => options with
        {
            SendTokenWithoutTls = true,
            BearerToken = static async cancellationToken =>
            {
                await Task.Delay(1, cancellationToken);
                return "token";
            },
        });

        // A thread with a context that runs nothing while the thread is blocked, as a window's.
        string? name = null;
        SynchronizationContext? after = null;
        var thread = new Thread(() =>
        {
            SynchronizationContext.SetSynchronizationContext(new BlockedContext());
            name = client.GetFeature(Here)?.Name;
            after = SynchronizationContext.Current;
        });
        thread.Start();

        Assert.True(thread.Join(TimeSpan.FromSeconds(30)), "The call waits for itself.");
        Assert.Equal("here", name);
        Assert.IsType<BlockedContext>(after);
    }

    [Fact]
    public async Task An_open_circuit_sends_nothing()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable) });
        await using var client = Connect(service.Address, static options => options with
        {
            Retry = options.Retry with { MaxAttempts = 1 },
            CircuitBreaker = new() { MinimumCalls = 5, OpenFor = TimeSpan.FromMinutes(1) },
        });
        for (var i = 0; i < 5; i++)
        {
            await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
        }

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal((FailureReason.CircuitOpen, true, 0, 5), (error.Reason, error.IsTransient, error.Attempts, service.Script.Calls));
    }

    [Fact]
    public async Task Deadlines_that_pass_open_the_circuit_and_refusals_do_not()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (point, context, _) => point.Latitude == 0 ? throw Script.Error(StatusCode.PermissionDenied) : await Never(context),
        });
        await using var client = Connect(service.Address, static options => options with { CircuitBreaker = new() { MinimumCalls = 4, FailureRatio = 0.5, OpenFor = TimeSpan.FromMinutes(1) } });

        Assert.Equal(
            [FailureReason.PermissionDenied, FailureReason.PermissionDenied, FailureReason.DeadlineExceeded, FailureReason.DeadlineExceeded, FailureReason.CircuitOpen],
            [await FailAsync(0), await FailAsync(0), await FailAsync(1), await FailAsync(1), await FailAsync(1)]);

        async Task<FailureReason> FailAsync(int place) =>
            (await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(At(place), TimeSpan.FromMilliseconds(200)))).Reason;
    }

    [Fact]
    public async Task A_token_is_asked_for_at_each_attempt_and_what_it_throws_is_thrown()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, call) => call == 1 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(new Proto.Feature { Name = "x", Location = point }),
        });
        var asked = 0;
        await using var client = Connect(service.Address, options => options with
        {
            SendTokenWithoutTls = true,
            BearerToken = _ => ++asked < 3 ? new($"token-{asked}") : throw new InvalidDataException("no token"),
        });

        await client.GetFeatureAsync(Here);

        Assert.Equal(["Bearer token-1", "Bearer token-2"], service.Script.Requests.Select(static request => request["authorization"]).Order());
        await Assert.ThrowsAsync<InvalidDataException>(() => client.GetFeatureAsync(Here));
    }

    [Fact]
    public async Task The_user_agent_says_which_client_it_is_and_requests_are_compressed_by_option()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var client = Connect(service.Address, static options => options with { Compress = true });

        await client.GetFeatureAsync(Here);

        var request = service.Script.Requests.Single();
        Assert.Matches(@"^RouteService\.Client/\d+\.\d+\.\d+ grpc-dotnet/", request["user-agent"]);
        Assert.Equal("gzip", request["grpc-encoding"]);
    }

    [Fact]
    public void Degrees_become_the_nearest_E7()
    {
        Assert.Equal(Coordinate.FromE7(1, -1), Coordinate.FromDegrees(0.000_000_06, -0.000_000_06));
        Assert.Equal(Coordinate.FromE7(0, 1_800_000_000), Coordinate.FromDegrees(-0.000_000_04, 179.999_999_96));
    }

    [Fact]
    public async Task Wrong_arguments_are_told_before_anything_is_sent()
    {
        await using var client = Connect("http://127.0.0.1:1");
        Assert.Throws<ArgumentOutOfRangeException>("latitude", () => Coordinate.FromDegrees(90.1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("longitude", () => Coordinate.FromDegrees(0, double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>("latitudeE7", () => Coordinate.FromE7(900_000_001, 0));
        Assert.Throws<ArgumentOutOfRangeException>("longitudeE7", () => Coordinate.FromE7(0, -1_800_000_001));
        Assert.Throws<ArgumentOutOfRangeException>("timeout", () => { _ = client.GetFeatureAsync(Here, TimeSpan.Zero); });
        Assert.Throws<ArgumentOutOfRangeException>("timeout", () => { _ = client.ListFeaturesAsync(BoundingBox.World, TimeSpan.FromSeconds(-1)); });
        Assert.Throws<ArgumentNullException>("points", () => { _ = client.RecordRouteAsync((IAsyncEnumerable<Coordinate>)null!); });
        Assert.Throws<ArgumentNullException>("points", () => { _ = client.RecordRouteAsync((IReadOnlyCollection<Coordinate>)null!); });
        Assert.Throws<ArgumentNullException>("name", () => { _ = client.SayHelloAsync(null!); });
        Assert.Throws<ArgumentNullException>("service", () => { _ = client.CheckHealthAsync(null!); });
        Assert.Throws<ArgumentOutOfRangeException>("after", () => { _ = client.JoinChatAsync([Here], -1); });
        Assert.Throws<ArgumentException>("places", () => { _ = client.JoinChatAsync(after: 1); });
        Assert.Throws<ArgumentException>("places", () => { _ = client.JoinChatAsync(Enumerable.Range(0, 10_001).Select(At)); });
    }

    [Xunit.Theory]
    [InlineData("", "Address")]
    [InlineData("localhost:50051", null)]
    [InlineData("ftp://localhost", null)]
    [InlineData("http://localhost:1/path", null)]
    public void A_wrong_address_is_told_at_once(string address, string? option)
    {
        var error = Assert.ThrowsAny<ArgumentException>(() => new RouteServiceClient(address));
        Assert.Contains(option ?? address, error.Message);
    }

    [Fact]
    public void Wrong_options_are_told_at_once_by_name()
    {
        AssertWrong("Timeout", static options => options.Timeout = TimeSpan.Zero);
        AssertWrong("StreamSilence", static options => options.StreamSilence = TimeSpan.Zero);
        AssertWrong("Retry.MaxAttempts", static options => options.Retry.MaxAttempts = 0);
        AssertWrong("Retry.Delay", static options => options.Retry.Delay = TimeSpan.FromHours(1));
        AssertWrong("Hedging.MaxHedges", static options => options.Hedging = new() { MaxHedges = 0 });
        AssertWrong("CircuitBreaker.FailureRatio", static options => options.CircuitBreaker = new() { FailureRatio = 0 });
        AssertWrong("Tls", static options => options.Tls = new());
        AssertWrong("BearerToken", static options => options.BearerToken = static _ => new("secret"));
        AssertWrong("KeepAlive", static options => options.KeepAlive = TimeSpan.Zero);
        AssertWrong("MaxBufferedNotes", static options => options.MaxBufferedNotes = 0);

        static void AssertWrong(string option, Action<RouteServiceClientOptions> set)
        {
            var options = new RouteServiceClientOptions();
            set(options);
            Assert.Contains($"The option {option} must be", Assert.Throws<ArgumentException>(() => new RouteServiceClient(options)).Message);
        }
    }

    [Fact]
    public async Task Options_are_copied_so_that_a_later_change_changes_nothing()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable) });
        var options = new RouteServiceClientOptions { Address = service.Address, Retry = { MaxAttempts = 2, Delay = TimeSpan.FromMilliseconds(1) } };
        await using var client = new RouteServiceClient(options);
        options.Retry.MaxAttempts = 50;

        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        Assert.Equal(2, service.Script.Calls);
    }

    private sealed class ClockThatIsSetBack : FakeTimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Offset;
    }

    private sealed class BlockedContext : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }

    private static async Task<Proto.Feature> Never(ServerCallContext context)
    {
        await Task.Delay(Timeout.Infinite, context.CancellationToken);
        throw new InvalidOperationException("The call has not ended.");
    }
}
