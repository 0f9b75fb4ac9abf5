using Grpc.Core;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

/// <summary>Chat sessions with the built service, over connections that break.</summary>
public sealed class ChatTests(RunningService service) : IClassFixture<RunningService>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static int _places;

    /// <summary>A place of the test's own, for the service is shared.</summary>
    private static Coordinate Somewhere() => Coordinate.FromE7(Interlocked.Increment(ref _places), 7);

    private string Address => $"http://{service.Address}";

    [Fact]
    public async Task A_post_is_acknowledged_by_its_sequence_and_comes_to_all_who_listen()
    {
        var place = Somewhere();
        await using var client = Connect(Address);
        await using var ann = await client.JoinChatAsync([place]);
        await using var bob = await client.JoinChatAsync([place]);

        var first = await ann.PostAsync(place, "one");
        var second = await bob.PostAsync(place, "two", "an-id-of-bobs");

        Assert.True(second.Sequence > first.Sequence);
        Assert.Equal((place, "two", "an-id-of-bobs", true), (second.Location, second.Message, second.Id, second.IsOwn));
        Assert.Equal([first, second with { IsOwn = false }], await TakeAsync(ann, 2));
        Assert.Equal([first with { IsOwn = false }, second], await TakeAsync(bob, 2));
    }

    [Fact]
    public async Task A_place_that_is_joined_by_a_post_sends_its_earlier_notes_first()
    {
        var place = Somewhere();
        await using var client = Connect(Address);
        await using (var earlier = await client.JoinChatAsync())
        {
            await earlier.PostAsync(place, "one");
            await earlier.PostAsync(place, "two");
        }

        await using var session = await client.JoinChatAsync();
        await session.PostAsync(place, "three");

        Assert.Equal(["one", "two", "three"], (await TakeAsync(session, 3)).Select(static note => note.Message));
    }

    [Fact]
    public async Task A_later_session_goes_on_behind_a_sequence()
    {
        var place = Somewhere();
        await using var client = Connect(Address);
        await using var writer = await client.JoinChatAsync();
        var notes = new List<RouteNote>();
        for (var i = 0; i < 5; i++)
        {
            notes.Add(await writer.PostAsync(place, $"note {i}"));
        }

        await using var reader = await client.JoinChatAsync([place], notes[1].Sequence);

        Assert.Equal(["note 2", "note 3", "note 4"], (await TakeAsync(reader, 3)).Select(static note => note.Message));
    }

    [Fact]
    public async Task The_same_id_is_kept_once_from_whatever_session()
    {
        var place = Somewhere();
        var id = Guid.NewGuid().ToString();
        await using var client = Connect(Address);
        await using var one = await client.JoinChatAsync();
        await using var other = await client.JoinChatAsync();

        var first = await one.PostAsync(place, "once", id);
        var again = await other.PostAsync(place, "once", id);

        Assert.Equal(first.Sequence, again.Sequence);
        await other.CompleteAsync();
        Assert.Single(await ToListAsync(other));
    }

    [Fact]
    public async Task A_note_that_came_from_another_session_is_posted_again_without_a_wait_and_one_long_gone_after_one()
    {
        var place = Somewhere();
        var id = Guid.NewGuid().ToString();
        await using var client = Connect(Address, static options => options with { StreamSilence = TimeSpan.FromSeconds(1) });
        await using var one = await client.JoinChatAsync([place]);
        await using var other = await client.JoinChatAsync([place]);
        var first = await one.PostAsync(place, "once", id);
        Assert.Equal([first with { IsOwn = false }], await TakeAsync(other, 1));

        Assert.Equal(first, await other.PostAsync(place, "once", id));

        // More notes with ids than a session remembers.
        await Task.WhenAll(Enumerable.Range(0, 1_001).Select(i => one.PostAsync(place, $"note {i}", $"{id} {i}")));
        await TakeAsync(other, 1_001);
        Assert.Equal(first, await other.PostAsync(place, "once", id).WaitAsync(Patience));
    }

    [Fact]
    public async Task Completed_it_ends_when_all_has_come_and_takes_no_more()
    {
        var place = Somewhere();
        await using var client = Connect(Address);
        await using var session = await client.JoinChatAsync([place]);
        var posting = Enumerable.Range(0, 200).Select(i => session.PostAsync(place, $"note {i}")).ToList();
        await Task.WhenAll(posting);

        await session.CompleteAsync();

        Assert.Equal(Enumerable.Range(0, 200).Select(static i => $"note {i}"), (await ToListAsync(session)).Select(static note => note.Message));
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.PostAsync(place, "late"));
    }

    [Fact]
    public async Task Completing_does_not_wait_for_a_post_whose_caller_has_stopped_waiting()
    {
        // A service that takes posts and acknowledges none.
        var posted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var scripted = await ScriptedService.StartAsync(new Script
        {
            RouteChat = async (posts, _, context, _) =>
            {
                while (await posts.MoveNext(context.CancellationToken))
                {
                    posted.TrySetResult();
                }
            },
        });
        await using var client = Connect(scripted.Address);
        await using var session = await client.JoinChatAsync([]);
        using var patience = new CancellationTokenSource();
        var posting = session.PostAsync(Somewhere(), "nobody waits", cancellationToken: patience.Token);
        await posted.Task.WaitAsync(Patience);

        var completing = session.CompleteAsync();
        Assert.False(completing.IsCompleted);
        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => posting);
        await completing.WaitAsync(Patience);
    }

    [Fact]
    public async Task Notes_that_nobody_reads_are_left_with_the_service_and_come_when_somebody_does()
    {
        var place = Somewhere();
        var other = Somewhere();
        await using var client = Connect(Address, static options => options with { MaxBufferedNotes = 10 });
        await using var session = await client.JoinChatAsync([place]);
        for (var i = 0; i < 100; i++)
        {
            // Acknowledged, though the buffer is full for long; and a place is joined meanwhile.
            await session.PostAsync(place, $"note {i}");
            if (i % 25 == 24)
            {
                await session.PostAsync(other, $"other {i}");
            }
        }

        await session.CompleteAsync();
        var notes = await ToListAsync(session);

        Assert.Equal(Enumerable.Range(0, 100).Select(static i => $"note {i}"), notes.Where(note => note.Location == place).Select(static note => note.Message));
        Assert.Equal(["other 24", "other 49", "other 74", "other 99"], notes.Where(note => note.Location == other).Select(static note => note.Message));
        Assert.Equal(104, notes.Count);
    }

    [Theory]
    [MemberData(nameof(Indexes))]
    public async Task A_connection_that_is_reset_after_any_note_costs_none(int at)
    {
        const int Count = 12;
        var place = Somewhere();
        await using var proxy = TcpProxy.Start(() => service.GrpcPort);
        await using var broken = Connect(proxy.Address);
        await using var whole = Connect(Address);
        await using var reader = await broken.JoinChatAsync([place]);
        await using var writer = await whole.JoinChatAsync();
        var received = new List<string>();
        using var patience = new CancellationTokenSource(Patience);
        var reading = Task.Run(async () =>
        {
            await foreach (var note in reader.WithCancellation(patience.Token))
            {
                received.Add(note.Message);
                if (received.Count == at)
                {
                    proxy.Reset();
                }

                if (received.Count == Count)
                {
                    break;
                }
            }
        });
        if (at == 0)
        {
            proxy.Reset();
        }

        for (var i = 0; i < Count; i++)
        {
            await writer.PostAsync(place, $"note {i}");
        }

        await reading;

        Assert.Equal(Enumerable.Range(0, Count).Select(static i => $"note {i}"), received);
    }

    public static TheoryData<int> Indexes => [.. Enumerable.Range(0, 12)];

    [Fact]
    public async Task Posts_over_a_connection_that_breaks_all_the_time_are_each_kept_once_and_in_order()
    {
        const int Count = 250;
        var mine = Somewhere();
        var theirs = Somewhere();
        await using var proxy = TcpProxy.Start(() => service.GrpcPort);
        await using var broken = Connect(proxy.Address);
        await using var whole = Connect(Address);
        await using var session = await broken.JoinChatAsync([theirs]);
        await using var friend = await whole.JoinChatAsync();
        var (posted, resets) = (0, 0);
        using var stop = new CancellationTokenSource();
        var resetting = Task.Run(async () =>
        {
            for (var last = -1; !stop.IsCancellationRequested;)
            {
                await Task.Delay(20);
                if (Volatile.Read(ref posted) is var now && now != last)
                {
                    // Something has come through: on a machine however slow.
                    last = now;
                    proxy.Reset();
                    resets++;
                }
            }
        });
        var reading = TakeAsync(session, 2 * Count);

        for (var i = 0; i < Count; i++)
        {
            await Task.WhenAll(session.PostAsync(mine, $"mine {i}"), friend.PostAsync(theirs, $"theirs {i}")).WaitAsync(Patience);
            Interlocked.Increment(ref posted);
        }

        var notes = await reading;
        await stop.CancelAsync();
        await resetting;
        Assert.Equal(Enumerable.Range(0, Count).Select(static i => $"mine {i}"), notes.Where(note => note.Location == mine).Select(static note => note.Message));
        Assert.Equal(Enumerable.Range(0, Count).Select(static i => $"theirs {i}"), notes.Where(note => note.Location == theirs).Select(static note => note.Message));
        Assert.All(notes, note => Assert.Equal(note.Location == mine, note.IsOwn));
        Assert.True(resets > 5, $"The connection was reset only {resets} times.");

        // And in the log there is nothing twice.
        await using var witness = await whole.JoinChatAsync([mine, theirs], after: 0);
        Assert.Equal(notes.Select(static note => note.Sequence).Order(), (await TakeAsync(witness, 2 * Count)).Select(static note => note.Sequence));
    }

    [Fact]
    public async Task A_stalled_connection_is_left_when_an_acknowledgement_does_not_come()
    {
        var place = Somewhere();
        await using var proxy = TcpProxy.Start(() => service.GrpcPort);
        await using var client = Connect(proxy.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(500), KeepAlive = TimeSpan.FromSeconds(1) });
        await using var session = await client.JoinChatAsync([place]);
        await session.PostAsync(place, "one");

        proxy.Stall();
        var posting = session.PostAsync(place, "two");
        await Task.Delay(1500);
        Assert.False(posting.IsCompleted);
        proxy.Refuse();
        proxy.Flow();
        proxy.Accept();

        await posting.WaitAsync(Patience);
        Assert.Equal(["one", "two"], (await TakeAsync(session, 2)).Select(static note => note.Message));
    }

    [Fact]
    public async Task An_error_that_is_no_break_ends_the_session_for_its_reader_and_its_posts()
    {
        await using var scripted = await ScriptedService.StartAsync(new Script { RouteChat = static (_, _, _, _) => throw Script.Error(StatusCode.PermissionDenied, "not you") });
        await using var client = Connect(scripted.Address);
        await using var session = await client.JoinChatAsync([Here]);

        Assert.Equal(FailureReason.PermissionDenied, (await Assert.ThrowsAsync<RouteServiceException>(() => session.PostAsync(Here, "x"))).Reason);
        Assert.Equal(FailureReason.PermissionDenied, (await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(session))).Reason);
        Assert.Equal(FailureReason.PermissionDenied, (await Assert.ThrowsAsync<RouteServiceException>(() => session.PostAsync(Here, "y"))).Reason);
    }

    [Theory]
    [InlineData(-900_000_001, 0)]
    [InlineData(0, 1_800_000_001)]
    public async Task A_note_that_is_nowhere_is_the_servers_fault(int latitude, int longitude)
    {
        await using var scripted = await ScriptedService.StartAsync(new Script
        {
            RouteChat = (_, stream, _, _) => stream.WriteAsync(new Proto.RouteNote { Location = new Proto.Point { Latitude = latitude, Longitude = longitude }, Sequence = 1 }),
        });
        await using var client = Connect(scripted.Address);
        await using var session = await client.JoinChatAsync([Here]);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(session));

        Assert.Equal((FailureReason.Unexpected, "INTERNAL"), (error.Reason, error.Status));
    }

    [Fact]
    public async Task A_service_that_stays_away_ends_the_session_after_the_time_to_resume()
    {
        var scripted = await ScriptedService.StartAsync(new Script
        {
            RouteChat = static async (_, stream, context, _) =>
            {
                await stream.WriteAsync(new Proto.RouteNote { Location = Feature(1).Location, Message = "x", Sequence = 1 });
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        await using var client = Connect(scripted.Address, static options => options with { ResumeWithin = TimeSpan.FromSeconds(1) });
        await using var session = await client.JoinChatAsync([At(1)]);
        Assert.Single(await TakeAsync(session, 1));

        await scripted.DisposeAsync();

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(session));
        Assert.Equal((FailureReason.Unavailable, 1L), (error.Reason, error.Delivered));
    }

    [Fact]
    public async Task Disposal_ends_posts_and_readers_and_a_second_reader_is_refused()
    {
        await using var scripted = await ScriptedService.StartAsync(new Script { RouteChat = static (_, _, context, _) => Task.Delay(Timeout.Infinite, context.CancellationToken) });
        var client = Connect(scripted.Address);
        var session = await client.JoinChatAsync([Here]);
        var other = await client.JoinChatAsync([Here]);
        var posting = session.PostAsync(Here, "x");
        var reading = ToListAsync(session);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ToListAsync(session));

        await session.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => posting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => reading);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => session.PostAsync(Here, "y"));

        // And the client ends those that are left.
        posting = other.PostAsync(Here, "z");
        await client.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => posting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.JoinChatAsync());
    }

    [Fact]
    public async Task A_post_that_is_cancelled_is_not_waited_for()
    {
        await using var scripted = await ScriptedService.StartAsync(new Script { RouteChat = static (_, _, context, _) => Task.Delay(Timeout.Infinite, context.CancellationToken) });
        await using var client = Connect(scripted.Address);
        await using var session = await client.JoinChatAsync([Here]);
        using var cancel = new CancellationTokenSource(200);

        // More than may be under way at once.
        var posts = Enumerable.Range(0, 100).Select(i => session.PostAsync(Here, $"{i}", cancellationToken: cancel.Token)).ToList();

        foreach (var post in posts)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => post);
        }
    }

    [Fact]
    public async Task Wrong_notes_are_told_before_anything_is_sent()
    {
        await using var client = Connect(Address);
        await using var session = await client.JoinChatAsync();

        Assert.Throws<ArgumentException>("message", () => { _ = session.PostAsync(Here, new string('é', 2049)); });
        Assert.Throws<ArgumentNullException>("message", () => { _ = session.PostAsync(Here, null!); });
        Assert.Throws<ArgumentException>("noteId", () => { _ = session.PostAsync(Here, "x", new string('x', 129)); });
        Assert.Throws<ArgumentException>("noteId", () => { _ = session.PostAsync(Here, "x", ""); });
    }

    [Fact]
    public async Task Joining_where_nobody_is_fails_within_the_timeout()
    {
        await using var client = Connect("http://127.0.0.1:1", static options => options with { Timeout = TimeSpan.FromSeconds(1) });

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.JoinChatAsync([Here]));

        Assert.Equal((FailureReason.Unavailable, true), (error.Reason, error.IsTransient));
    }
}
