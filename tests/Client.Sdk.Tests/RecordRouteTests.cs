using System.Runtime.CompilerServices;
using Grpc.Core;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

public sealed class RecordRouteTests
{
    [Fact]
    public async Task The_exact_distance_comes_from_the_trailer_and_whole_metres_without_it()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = static async (points, context, call) =>
            {
                while (await points.MoveNext(default))
                {
                }

                if (call == 1)
                {
                    context.ResponseTrailers.Add("route-distance-meters", "1234.5678");
                }

                return new Proto.RouteSummary { PointCount = 2, FeatureCount = 1, Distance = 1234, ElapsedTime = 3 };
            },
        });
        await using var client = Connect(service.Address);

        Assert.Equal(new RouteSummary(2, 1, 1234.5678, TimeSpan.FromSeconds(3)), await client.RecordRouteAsync([Here, Here]));
        Assert.Equal(1234, (await client.RecordRouteAsync([Here, Here])).DistanceMeters);
    }

    [Fact]
    public async Task Points_that_can_be_sent_again_are_wherever_it_breaks()
    {
        await using var service = await ScriptedService.StartAsync(BreakingAfter(9_000));
        await using var client = Connect(service.Address);

        var summary = await client.RecordRouteAsync([.. Enumerable.Range(0, 10_000).Select(At)]);

        Assert.Equal((10_000, 2), (summary.Points, service.Script.Calls));
    }

    [Theory]
    [InlineData(0, 200)]
    [InlineData(1, 200)]
    [InlineData(100, 200)]
    [InlineData(4_096, 4_096)]
    public async Task Points_that_come_once_are_sent_again_while_they_are_all_kept(int breakAfter, int count)
    {
        await using var service = await ScriptedService.StartAsync(BreakingAfter(breakAfter));
        await using var client = Connect(service.Address);

        var summary = await client.RecordRouteAsync(Points(count));

        Assert.Equal((count, 2), (summary.Points, service.Script.Calls));
    }

    [Fact]
    public async Task Points_that_come_once_are_not_sent_again_when_there_was_one_too_many()
    {
        await using var service = await ScriptedService.StartAsync(BreakingAfter(4_097));
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync(Points(4_097)));

        Assert.Equal((FailureReason.Unavailable, 1), (error.Reason, service.Script.Calls));
    }

    [Fact]
    public async Task Points_that_are_gone_are_not_and_the_error_says_how_many_were_sent()
    {
        await using var service = await ScriptedService.StartAsync(BreakingAfter(5_000));
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync(Points(1_000_000)));

        Assert.Equal((FailureReason.Unavailable, 1, 1), (error.Reason, error.Attempts, service.Script.Calls));
        Assert.InRange(error.Delivered, 5_000, 1_000_000);
    }

    [Fact]
    public async Task What_was_sent_is_that_of_the_last_attempt()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = static async (points, context, call) =>
            {
                while (await points.MoveNext(context.CancellationToken))
                {
                    if (call == 1)
                    {
                        throw Script.Error(StatusCode.Unavailable);
                    }
                }

                throw Script.Error(StatusCode.InvalidArgument);
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync([.. Enumerable.Range(0, 200).Select(At)]));

        Assert.Equal((FailureReason.InvalidRequest, 2, 200), (error.Reason, error.Attempts, error.Delivered));
    }

    [Fact]
    public async Task A_pushback_beyond_the_time_limit_ends_the_call_at_once_with_what_the_server_said()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = static (_, _, _) => throw Script.Error(StatusCode.Unavailable, "busy", ("grpc-retry-pushback-ms", "3600000")),
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync([Here, Here], timeout: TimeSpan.FromSeconds(5)));

        Assert.Equal((FailureReason.Unavailable, "busy", 1), (error.Reason, error.Detail, service.Script.Calls));
    }

    [Fact]
    public async Task The_bound_of_what_is_kept_counts_all_attempts()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = static async (stream, context, call) =>
            {
                for (var i = 0; i < (call == 1 ? 3_000 : 5_000); i++)
                {
                    await stream.MoveNext(context.CancellationToken);
                }

                throw Script.Error(StatusCode.Unavailable);
            },
        });
        await using var client = Connect(service.Address);

        // The second attempt begins with what is kept, and goes beyond it.
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync(UntilRepeatedAsync()));

        Assert.Equal((2, 2), (error.Attempts, service.Script.Calls));

        async IAsyncEnumerable<Coordinate> UntilRepeatedAsync()
        {
            for (var i = 0; i < 3_500; i++)
            {
                yield return At(i);
            }

            // The break is seen with the next point.
            while (service.Script.Calls < 2)
            {
                await Task.Delay(50);
                yield return Here;
            }

            for (var i = 0; i < 2_000; i++)
            {
                yield return At(i);
            }
        }
    }

    [Fact]
    public async Task What_the_points_throw_is_thrown_and_ends_the_servers_call()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = async (points, _, _) =>
            {
                try
                {
                    while (await points.MoveNext(default))
                    {
                    }
                }
                catch
                {
                    ended.TrySetResult();
                    throw;
                }

                return new Proto.RouteSummary();
            },
        });
        await using var client = Connect(service.Address);

        await Assert.ThrowsAsync<InvalidDataException>(() => client.RecordRouteAsync(Failing()));
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(30));

        static async IAsyncEnumerable<Coordinate> Failing()
        {
            yield return Here;
            await Task.Delay(100);
            throw new InvalidDataException("no more");
        }
    }

    [Fact]
    public async Task A_server_that_reads_no_more_is_a_stall_and_points_that_are_slow_to_come_are_not()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = static async (points, context, call) =>
            {
                if (call == 1)
                {
                    await Task.Delay(Timeout.Infinite, context.CancellationToken);
                }

                while (await points.MoveNext(default))
                {
                }

                return new Proto.RouteSummary { PointCount = 2 };
            },
        });
        await using var client = Connect(service.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(400) });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync(Points(10_000_000)));
        Assert.Equal(FailureReason.Stalled, error.Reason);

        Assert.Equal(2, (await client.RecordRouteAsync(Points(2, pause: 800))).Points);
    }

    [Fact]
    public async Task Cancellation_stays_cancellation()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var client = Connect(service.Address);
        using var cancel = new CancellationTokenSource(300);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.RecordRouteAsync(Points(1_000_000, pause: 10), cancellationToken: cancel.Token));
    }

    private static Script BreakingAfter(int points) => new()
    {
        RecordRoute = async (stream, context, call) =>
        {
            var summary = new Proto.RouteSummary();
            while ((call > 1 || summary.PointCount < points) && await stream.MoveNext(context.CancellationToken))
            {
                summary.PointCount++;
            }

            return call > 1 ? summary : throw Script.Error(StatusCode.Unavailable);
        },
    };

    private static async IAsyncEnumerable<Coordinate> Points(int count, int pause = 0, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var i = 0; i < count; i++)
        {
            yield return At(i % 1000);
            if (pause > 0)
            {
                await Task.Delay(pause, cancellationToken);
            }
        }
    }
}
