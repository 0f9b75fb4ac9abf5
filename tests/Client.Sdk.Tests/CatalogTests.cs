using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using static RouteService.Client.Tests.Places;
using Kind = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Client.Tests;

/// <summary>Calls of routeservice.v1.Features that fail, break and go on, with a scripted service.</summary>
public sealed class CatalogTests
{
    private const int Count = 30;

    [Fact]
    public async Task A_write_that_is_tried_again_has_the_same_id_and_the_next_write_another()
    {
        var ids = new ConcurrentQueue<string>();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            UpdateFeature = (request, _, call) =>
            {
                ids.Enqueue(request.RequestId);
                return call < 3 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(request.Feature);
            },
        });
        await using var client = Connect(service.Address);
        var own = Guid.NewGuid();

        await client.Features.PutFeatureAsync(Here, "here");
        await client.Features.PutFeatureAsync(Here, "here");
        await client.Features.PutFeatureAsync(Here, "here", requestId: own);

        Assert.Equal(5, ids.Count);
        Assert.Equal([3, 1, 1], ids.GroupBy(static id => id).Select(static group => group.Count()));
        Assert.Equal(own.ToString(), ids.Last());
        Assert.All(ids, static id => Assert.True(Guid.TryParseExact(id, "D", out _)));
    }

    [Fact]
    public async Task What_is_written_is_in_the_mask_and_what_comes_back_is_all_there()
    {
        var requests = new ConcurrentQueue<V1.UpdateFeatureRequest>();
        var time = new DateTimeOffset(2026, 11, 27, 1, 2, 3, TimeSpan.Zero);
        await using var service = await ScriptedService.StartAsync(new Script
        {
            UpdateFeature = (request, _, _) =>
            {
                requests.Enqueue(request);
                var feature = request.Feature.Clone();
                (feature.Etag, feature.CreateTime, feature.UpdateTime) = ("\"7\"", time.ToTimestamp(), time.AddSeconds(1).ToTimestamp());
                return Task.FromResult(feature);
            },
        });
        await using var client = Connect(service.Address);

        var both = await client.Features.PutFeatureAsync(Here, "here", new JsonObject { ["a"] = 1 }, etag: "\"6\"");
        await client.Features.PutFeatureAsync(Here, "");
        await client.Features.PutFeatureAsync(Here, null, []);

        Assert.Equal(new CatalogFeature(Here, "here", new JsonObject { ["a"] = 1 }) { Etag = "\"7\"", CreatedAt = time, UpdatedAt = time.AddSeconds(1) }, both);
        Assert.Equal(["display_name,properties", "display_name", "properties"], requests.Select(static request => string.Join(',', request.UpdateMask.Paths)));
        Assert.Equal(["\"6\"", "", ""], requests.Select(static request => request.Feature.Etag));
        Assert.All(requests, static request => Assert.True(request.AllowMissing));
    }

    [Fact]
    public async Task A_search_goes_on_by_tokens_and_a_page_that_fails_is_tried_again()
    {
        var pages = new ConcurrentQueue<(string Token, int Size)>();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            SearchFeatures = (request, _, call) =>
            {
                if (call == 2)
                {
                    throw Script.Error(StatusCode.Unavailable);
                }

                pages.Enqueue((request.PageToken, request.PageSize));
                var page = request.PageToken.Length == 0 ? 0 : int.Parse(request.PageToken);

                // The second page is empty, and not the last.
                return Task.FromResult(new V1.SearchFeaturesResponse
                {
                    Results = { Enumerable.Range(page * 3, page == 1 ? 0 : 3).Select(static i => new V1.SearchFeaturesResponse.Types.Result { Feature = Named(i) }) },
                    NextPageToken = page < 2 ? $"{page + 1}" : "",
                });
            },
        });
        await using var client = Connect(service.Address);

        var found = client.Features.SearchFeaturesAsync(pageSize: 3);
        Assert.Equal([At(0), At(1), At(2), At(6), At(7), At(8)], (await ToListAsync(found)).Select(static feature => feature.Location));
        Assert.Equal([("", 3), ("1", 3), ("2", 3)], pages);
        await foreach (var feature in found)
        {
            if (feature.Location == At(6))
            {
                break;
            }
        }

        Assert.Equal(6, (await ToListAsync(found)).Count);
        Assert.Equal([("", 3), ("1", 3), ("2", 3)], pages.TakeLast(3));
    }

    [Fact]
    public async Task An_answer_that_is_not_of_this_earth_is_an_error_of_the_service()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            UpdateFeature = static (_, _, _) => Task.FromResult(new V1.Feature { Name = "features/1,2", Location = new V1.Point { LatitudeE7 = 900_000_001 } }),
            WatchFeatures = static async (_, stream, _, _) =>
            {
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat });
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = (Kind)99 });
            },
        });
        await using var client = Connect(service.Address);

        var put = await Assert.ThrowsAsync<RouteServiceException>(() => client.Features.PutFeatureAsync(Here, "here"));
        var watch = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.Features.WatchFeaturesAsync()));

        Assert.Equal((FailureReason.Unexpected, FailureReason.Unexpected), (put.Reason, watch.Reason));
    }

    public static TheoryData<string, int> Breaks()
    {
        var data = new TheoryData<string, int>();
        foreach (var how in (string[])["stream reset", "unavailable"])
        {
            for (var at = 0; at <= Count; at += 3)
            {
                data.Add(how, at);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Breaks))]
    public async Task A_stream_that_breaks_goes_on_by_its_token_with_no_feature_twice_and_none_missing(string how, int at)
    {
        var tokens = new ConcurrentQueue<string>();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            StreamFeatures = async (request, stream, context, call) =>
            {
                tokens.Enqueue(request.ResumeToken);
                for (var i = request.ResumeToken.Length == 0 ? 0 : int.Parse(request.ResumeToken); i < Count; i += 3)
                {
                    if (call == 1 && i == at)
                    {
                        await BreakAsync(how, context);
                        return;
                    }

                    // Each message is followed by one without features, as where few match.
                    await stream.WriteAsync(new V1.StreamFeaturesResponse { Features = { Enumerable.Range(i, 3).Select(Named) }, ResumeToken = $"{i + 3}" });
                    await stream.WriteAsync(new V1.StreamFeaturesResponse { ResumeToken = $"{i + 3}" });
                }

                if (call == 1)
                {
                    await BreakAsync(how, context);
                }
            },
        });
        await using var client = Connect(service.Address, static options => options with { MaxResumableFeatures = 0 });

        var features = await ToListAsync(client.Features.StreamFeaturesAsync(withProperties: false));

        Assert.Equal(Enumerable.Range(0, Count).Select(At), features.Select(static feature => feature.Location));
        Assert.Equal(2, tokens.Count);
        if (how == "unavailable")
        {
            // A reset may overtake what was written before it.
            Assert.Equal(at == 0 ? "" : $"{at}", tokens.Last());
        }
    }

    [Fact]
    public async Task Each_enumeration_of_a_stream_begins_at_its_beginning()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            StreamFeatures = static (request, stream, _, _) => request.ResumeToken.Length == 0
                ? stream.WriteAsync(new V1.StreamFeaturesResponse { Features = { Named(1) }, ResumeToken = "1" })
                : Task.CompletedTask,
        });
        await using var client = Connect(service.Address);

        var features = client.Features.StreamFeaturesAsync();

        Assert.Single(await ToListAsync(features));
        Assert.Single(await ToListAsync(features));
    }

    [Theory]
    [MemberData(nameof(Breaks))]
    public async Task A_watch_that_breaks_goes_on_after_the_last_change(string how, int at)
    {
        var began = new ConcurrentQueue<long?>();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = async (request, stream, context, call) =>
            {
                began.Enqueue(request.HasAfterSequence ? request.AfterSequence : null);
                var after = request.HasAfterSequence ? request.AfterSequence : 100;
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = after });
                for (var i = (int)after - 100; i < Count; i++)
                {
                    if (call == 1 && i == at)
                    {
                        await BreakAsync(how, context);
                        return;
                    }

                    await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Updated, Feature = Named(i), Sequence = 101 + i });
                }

                await (call == 1 ? BreakAsync(how, context) : Task.Delay(Timeout.Infinite, context.CancellationToken));
            },
        });
        await using var client = Connect(service.Address);

        var changes = await TakeAsync(client.Features.WatchFeaturesAsync(), static seen => seen.OfType<FeatureChange.Written>().Count() == Count);

        Assert.Equal(new FeatureChange.Reset(100), changes[0]);
        Assert.Single(changes.OfType<FeatureChange.Reset>());
        Assert.Equal(Enumerable.Range(101, Count).Select(static i => (long)i), changes.OfType<FeatureChange.Written>().Select(static change => change.Sequence));
        if (how == "unavailable" && at < Count)
        {
            // A reset may overtake what was written before it.
            Assert.Equal([null, 100 + at], began);
        }
    }

    [Fact]
    public async Task A_watch_hands_on_every_kind_of_change()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = static async (request, stream, context, _) =>
            {
                Assert.Equal(7, request.AfterSequence);
                Assert.Equal(5, request.Area.Circle.RadiusMeters);
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = 7 });
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Created, Feature = Named(1), Sequence = 8 });
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Updated, Feature = Named(2), Sequence = 9 });
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Deleted, Feature = new V1.Feature { Location = Named(1).Location }, Sequence = 10 });
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Reset, Sequence = 11 });
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        await using var client = Connect(service.Address);

        var changes = await TakeAsync(client.Features.WatchFeaturesAsync(new Area.Circle(Here, 5), after: 7), static seen => seen.Count == 5);

        Assert.Equal(
            [
                new FeatureChange.Heartbeat(7),
                new FeatureChange.Written(Known(1), IsNew: true, 8),
                new FeatureChange.Written(Known(2), IsNew: false, 9),
                new FeatureChange.Deleted(At(1), 10),
                new FeatureChange.Reset(11),
            ],
            changes);
    }

    [Fact]
    public async Task A_watch_of_a_service_that_was_restored_begins_again_with_a_reset()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = static async (request, stream, context, call) =>
            {
                if (request.HasAfterSequence)
                {
                    throw Script.Error(StatusCode.InvalidArgument, "after_sequence is 50; expected at most 20.");
                }

                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = call == 1 ? 50 : 20 });
                await (call == 1 ? BreakAsync("unavailable", context) : Task.Delay(Timeout.Infinite, context.CancellationToken));
            },
        });
        await using var client = Connect(service.Address);

        Assert.Equal([new FeatureChange.Reset(50), new FeatureChange.Reset(20)], await TakeAsync(client.Features.WatchFeaturesAsync(), static seen => seen.Count == 2));
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.Features.WatchFeaturesAsync(after: 50)));
        Assert.Equal((FailureReason.InvalidRequest, 1), (error.Reason, error.Attempts));
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted, "WATCH_SLOW_CONSUMER")]
    [InlineData(StatusCode.ResourceExhausted, "WATCHES_PER_CLIENT")]
    [InlineData(StatusCode.ResourceExhausted, "STORE_OVERLOADED")]
    [InlineData(StatusCode.DeadlineExceeded, "STORE_TOO_SLOW")]
    public async Task A_watch_that_was_ended_for_a_while_goes_on_where_it_was(StatusCode status, string reason)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = async (request, stream, context, call) =>
            {
                var after = request.HasAfterSequence ? request.AfterSequence : 5;
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = after });
                if (call == 1)
                {
                    throw Script.Refusal(status, reason, ("limit", "600"));
                }

                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        await using var client = Connect(service.Address);

        Assert.Equal([new FeatureChange.Reset(5), new FeatureChange.Heartbeat(5)], await TakeAsync(client.Features.WatchFeaturesAsync(), static seen => seen.Count == 2));
    }

    [Theory]
    [InlineData(StatusCode.PermissionDenied, FailureReason.PermissionDenied)]
    [InlineData(StatusCode.ResourceExhausted, FailureReason.Exhausted)]
    [InlineData(StatusCode.Unimplemented, FailureReason.Unimplemented)]
    [InlineData(StatusCode.Internal, FailureReason.Unexpected)]
    internal async Task A_watch_ends_by_what_another_attempt_would_not_change(StatusCode status, FailureReason reason)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = async (_, stream, _, _) =>
            {
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = 1 });
                throw Script.Error(status);
            },
        });
        await using var client = Connect(service.Address);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.Features.WatchFeaturesAsync()));

        Assert.Equal((reason, 1, 1), (error.Reason, error.Attempts, error.Delivered));
    }

    [Fact]
    public async Task A_watch_that_only_ever_begins_is_opened_with_pauses_and_given_up_after_the_time_to_resume()
    {
        var clock = new FakeTimeProvider();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            // In order, which a watch does not end in either.
            WatchFeatures = static (_, stream, _, _) => stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = 1 }),
        });
        await using var client = Connect(service.Address, options => options with
        {
            Clock = clock,
            ResumeWithin = TimeSpan.FromSeconds(10),
            Retry = new() { Delay = TimeSpan.FromSeconds(1), MaxDelay = TimeSpan.FromSeconds(1) },
        });

        var watch = ToListAsync(client.Features.WatchFeaturesAsync());
        for (; !watch.IsCompleted; await Task.Delay(1))
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => watch);
        Assert.Equal((FailureReason.Unavailable, "The server has ended the stream."), (error.Reason, error.Detail));
        Assert.InRange(service.Script.Calls, 2, 200);
    }

    [Fact]
    public async Task A_watch_bears_the_silence_between_heartbeats_and_no_longer_one()
    {
        var clock = new FakeTimeProvider();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = static async (request, stream, context, call) =>
            {
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = call });
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        await using var client = Connect(service.Address, options => options with { Clock = clock, StreamSilence = TimeSpan.FromSeconds(1) });
        await using var changes = client.Features.WatchFeaturesAsync().GetAsyncEnumerator();
        Assert.True(await changes.MoveNextAsync());
        var next = changes.MoveNextAsync().AsTask();

        for (var i = 0; i < 25; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1, service.Script.Calls);
        for (; !next.IsCompleted; await Task.Delay(1))
        {
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(await next);
        Assert.Equal(new FeatureChange.Heartbeat(2), changes.Current);
    }

    [Fact]
    public async Task An_import_sends_its_options_and_then_batches_by_bytes()
    {
        var messages = new ConcurrentQueue<V1.ImportFeaturesRequest>();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ImportFeatures = async (stream, context, _) =>
            {
                await ReadAsync(stream, messages.Enqueue);
                return new V1.ImportFeaturesResponse { ReadCount = 1, SupersededCount = 2, OverwrittenCount = 3, TotalCount = 4 };
            },
        });
        await using var client = Connect(service.Address);
        var text = new JsonObject { ["text"] = new string('x', 60_000) };

        var summary = await client.Features.ImportFeaturesAsync([.. Enumerable.Range(0, 100).Select(i => new CatalogFeature(At(i), $"{i}", (JsonObject)text.DeepClone()))], replaceAll: true);

        Assert.Equal(new ImportSummary(1, 2, 3, 4), summary);
        var options = messages.First().Options;
        Assert.True(options.ReplaceAll && Guid.TryParseExact(options.RequestId, "D", out _));
        var batches = messages.Skip(1).Select(static message => message.Batch).ToList();
        Assert.Equal(Enumerable.Range(0, 100).Select(static i => $"{i}"), batches.SelectMany(static batch => batch.Features).Select(static feature => feature.DisplayName));
        Assert.All(batches, static batch => Assert.InRange(batch.CalculateSize(), 1, 1_000_000));
        Assert.Equal(20, batches.Count);
    }

    [Fact]
    public async Task An_import_of_a_collection_is_sent_again_from_its_start_with_the_same_id()
    {
        var ids = new ConcurrentQueue<string>();
        var read = new ConcurrentQueue<int>();
        await using var service = await ScriptedService.StartAsync(BreakingImports(ids, read, after: 15));
        await using var client = Connect(service.Address);

        await client.Features.ImportFeaturesAsync([.. Large(80)]);

        Assert.Equal(2, ids.Count);
        Assert.Single(ids.Distinct());
        Assert.Equal(80, read.Last());
    }

    [Fact]
    public async Task An_import_of_a_stream_is_sent_again_while_what_was_sent_is_kept()
    {
        var ids = new ConcurrentQueue<string>();
        var read = new ConcurrentQueue<int>();
        await using var service = await ScriptedService.StartAsync(BreakingImports(ids, read, after: 3));
        await using var client = Connect(service.Address);

        await client.Features.ImportFeaturesAsync(Large(40).ToAsyncEnumerable());

        Assert.Equal((2, 1), (ids.Count, ids.Distinct().Count()));
        Assert.Equal(40, read.Last());

        await using var far = await ScriptedService.StartAsync(BreakingImports(ids, read, after: 30));
        await using var other = Connect(far.Address);
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => other.Features.ImportFeaturesAsync(Large(2_000).ToAsyncEnumerable()));
        Assert.Equal((FailureReason.Unavailable, 1), (error.Reason, error.Attempts));
        Assert.InRange(error.Delivered, 100, 2_000);
    }

    [Fact]
    public async Task What_the_features_of_an_import_throw_is_thrown_and_ends_the_servers_call()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ImportFeatures = async (stream, _, _) =>
            {
                try
                {
                    await ReadAsync(stream, static _ => { });
                }
                catch
                {
                    ended.TrySetResult();
                    throw;
                }

                return new V1.ImportFeaturesResponse();
            },
        });
        await using var client = Connect(service.Address);

        await Assert.ThrowsAsync<InvalidDataException>(() => client.Features.ImportFeaturesAsync(Failing()));
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(30));

        static async IAsyncEnumerable<CatalogFeature> Failing()
        {
            foreach (var feature in Large(20))
            {
                yield return feature;
            }

            await Task.Yield();
            throw new InvalidDataException("no more");
        }
    }

    [Fact]
    public async Task An_import_waits_for_its_answer_however_long_the_merge_takes()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ImportFeatures = static async (stream, _, _) =>
            {
                await ReadAsync(stream, static _ => { });
                await Task.Delay(TimeSpan.FromSeconds(1.5));
                return new V1.ImportFeaturesResponse { TotalCount = 1 };
            },
        });
        await using var client = Connect(service.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(300) });

        Assert.Equal(1, (await client.Features.ImportFeaturesAsync([new CatalogFeature(Here, "here")])).Total);
    }

    private static Script BreakingImports(ConcurrentQueue<string> ids, ConcurrentQueue<int> read, int after) => new()
    {
        ImportFeatures = async (stream, _, call) =>
        {
            var (messages, features) = (0, 0);
            await ReadAsync(stream, message =>
            {
                features += message.Batch?.Features.Count ?? 0;
                if (message.Options is { } options)
                {
                    ids.Enqueue(options.RequestId);
                }

                if (call == 1 && ++messages == after)
                {
                    throw Script.Error(StatusCode.Unavailable);
                }
            });
            read.Enqueue(features);
            return new V1.ImportFeaturesResponse();
        },
    };

    private static async Task ReadAsync(IAsyncStreamReader<V1.ImportFeaturesRequest> stream, Action<V1.ImportFeaturesRequest> take)
    {
        while (await stream.MoveNext(default))
        {
            take(stream.Current);
        }
    }

    /// <summary>Features of which five fill a message.</summary>
    private static IEnumerable<CatalogFeature> Large(int count) =>
        Enumerable.Range(0, count).Select(static i => new CatalogFeature(At(i), $"{i}", new JsonObject { ["text"] = new string('x', 60_000) }));

    private static async Task BreakAsync(string how, ServerCallContext context)
    {
        // Most of what was written arrives before a reset.
        await Task.Delay(20);
        if (how == "unavailable")
        {
            throw Script.Error(StatusCode.Unavailable);
        }

        Script.Reset(context);
    }

    private static async Task<List<FeatureChange>> TakeAsync(IAsyncEnumerable<FeatureChange> changes, Func<List<FeatureChange>, bool> isEnough)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var seen = new List<FeatureChange>();
        await foreach (var change in changes.WithCancellation(patience.Token))
        {
            seen.Add(change);
            if (isEnough(seen))
            {
                break;
            }
        }

        return seen;
    }

    private static V1.Feature Named(int i) => new()
    {
        Location = new V1.Point { LatitudeE7 = At(i).LatitudeE7, LongitudeE7 = At(i).LongitudeE7 },
        DisplayName = $"place {i}",
        Etag = "\"1\"",
    };

    private static CatalogFeature Known(int i) => new(At(i), $"place {i}", []) { Etag = "\"1\"" };
}
