using System.Collections;
using System.Runtime.CompilerServices;
using Grpc.Core;
using static RouteService.Client.Tests.Places;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Client.Tests;

/// <summary>What the caller's own code throws while a call runs, as one that reads from another service does.</summary>
public sealed class CallersExceptionTests
{
    public static TheoryData<StatusCode> Statuses => [StatusCode.Unavailable, StatusCode.DeadlineExceeded, StatusCode.Cancelled, StatusCode.NotFound];

    [Theory]
    [MemberData(nameof(Statuses))]
    public async Task An_RpcException_of_what_is_sent_is_thrown_as_it_is_and_nothing_is_sent_again(StatusCode status)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ImportFeatures = static async (stream, _, _) =>
            {
                while (await stream.MoveNext(default))
                {
                }

                return new V1.ImportFeaturesResponse();
            },
        });
        await using var client = Connect(service.Address);

        foreach (var count in (int[])[0, 1, 100])
        {
            await ThrowsItsOwnAsync(count, At, (points, token) => client.RecordRouteAsync(points, cancellationToken: token), points => client.RecordRouteAsync(points));
            await ThrowsItsOwnAsync(
                count, static i => new CatalogFeature(At(i), $"{i}"),
                (features, token) => client.Features.ImportFeaturesAsync(features, cancellationToken: token), features => client.Features.ImportFeaturesAsync(features));
        }

        await ThrowsItsOwnAsync(1, static i => new FeatureUpdate(At(i), $"{i}"), null, features => client.Features.BatchPutFeaturesAsync(features));
        await ThrowsItsOwnAsync(1, static i => new FeatureDeletion(At(i)), null, features => client.Features.BatchDeleteFeaturesAsync(features));
        await ThrowsItsOwnAsync(1, At, null, places => client.JoinChatAsync(places));

        async Task ThrowsItsOwnAsync<T>(int count, Func<int, T> item, Func<IAsyncEnumerable<T>, CancellationToken, Task>? sendOnce, Func<IReadOnlyCollection<T>, Task> send)
        {
            var source = new Failing<T>(count, item, Script.Error(status, "of another service"));
            Assert.Same(source.Failure, await Assert.ThrowsAsync<RpcException>(() => send(source)));
            Assert.Equal(1, source.Enumerations);
            if (sendOnce is not null)
            {
                Assert.Same(source.Failure, await Assert.ThrowsAsync<RpcException>(() => sendOnce(source, default)));
                Assert.Equal(2, source.Enumerations);
            }
        }
    }

    [Theory]
    [InlineData(StatusCode.Cancelled)]
    [InlineData(StatusCode.DeadlineExceeded)]
    public async Task What_is_sent_by_a_call_that_ends_with_this_one_is_no_failure_of_its_own(StatusCode status)
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        await using var client = Connect(service.Address);
        using var cancel = new CancellationTokenSource(300);

        var late = await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync(OfAnotherCallAsync(), timeout: TimeSpan.FromMilliseconds(200)));
        Assert.Equal(FailureReason.DeadlineExceeded, late.Reason);
        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(() => client.RecordRouteAsync(OfAnotherCallAsync(), cancellationToken: cancel.Token));
        Assert.Equal(cancel.Token, cancelled.CancellationToken);

        async IAsyncEnumerable<Coordinate> OfAnotherCallAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            yield return Here;
            await Task.Delay(Timeout.Infinite, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw Script.Error(status);
        }
    }

    [Theory]
    [MemberData(nameof(Statuses))]
    public async Task An_RpcException_of_BearerToken_is_thrown_as_it_is_and_the_call_is_not_made_again(StatusCode status)
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var (failure, asked) = (Script.Error(status, "of another service"), 0);
        await using var client = Connect(service.Address, options => options with
        {
            SendTokenWithoutTls = true,
            BearerToken = _ => ++asked > 0 ? throw failure : new("none"),
        });

        foreach (var call in (Func<Task>[])
            [
                () => client.GetFeatureAsync(Here),
                () => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)),
                () => ToListAsync(client.Features.WatchFeaturesAsync()),
                () => client.RecordRouteAsync([Here]),
            ])
        {
            asked = 0;
            Assert.Same(failure, await Assert.ThrowsAsync<RpcException>(call));
            Assert.Equal(1, asked);
        }

        await using var session = await client.JoinChatAsync();
        Assert.Same(failure, await Assert.ThrowsAsync<RpcException>(() => ToListAsync(session)));
        Assert.Equal(0, service.Script.Calls);
    }

    /// <summary>Items that can be enumerated in both ways, until they fail.</summary>
    private sealed class Failing<T>(int count, Func<int, T> item, RpcException failure) : IReadOnlyCollection<T>, IAsyncEnumerable<T>
    {
        public RpcException Failure => failure;

        public int Enumerations { get; private set; }

        public int Count => count + 1;

        public IEnumerator<T> GetEnumerator()
        {
            Enumerations++;
            for (var i = 0; i < count; i++)
            {
                yield return item(i);
            }

            throw failure;
        }

        public async IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default)
        {
            foreach (var one in this)
            {
                await Task.Yield();
                yield return one;
            }
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
