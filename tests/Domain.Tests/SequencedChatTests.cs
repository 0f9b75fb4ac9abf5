using System.Threading.Channels;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class SequencedChatTests : IAsyncLifetime
{
    private static readonly Coordinate Here = new(1, 2);
    private static readonly Coordinate There = new(3, 4);

    private readonly MemoryNoteLog _log = new();
    private readonly ChatFixture _chat;

    public SequencedChatTests() => _chat = new ChatFixture(_log);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _chat.DisposeAsync();

    [Fact]
    public async Task A_post_comes_back_with_its_sequence_after_the_earlier_notes_there()
    {
        await using var one = new Member(_chat);
        await one.Post(Here, "a", "id-a");
        Assert.Equal((1, "a", "id-a"), await one.Next());

        await using var other = new Member(_chat);
        await other.Post(Here, "b", "id-b");

        Assert.Equal((1, "a", "id-a"), await other.Next());
        Assert.Equal((2, "b", "id-b"), await other.Next());
        Assert.Equal((2, "b", "id-b"), await one.Next());
    }

    [Fact]
    public async Task Each_note_comes_once_however_often_the_stream_posts()
    {
        await using var member = new Member(_chat);
        for (var i = 0; i < 100; i++)
        {
            await member.Post(i % 2 == 0 ? Here : There, $"{i}");
        }

        Assert.Equal(Enumerable.Range(1, 100).Select(i => (long)i), (await member.Leave()).Select(note => note.Sequence));
    }

    [Fact]
    public async Task A_post_repeated_in_the_same_stream_is_kept_once_and_sent_once()
    {
        await using var member = new Member(_chat);
        await member.Post(Here, "a", "id");
        await member.Post(Here, "a", "id");
        await member.Post(Here, "b", "id-b");

        Assert.Equal([("a", "id"), ("b", "id-b")], (await member.Leave()).Select(note => (note.Message, note.Id)));
        Assert.Equal(2, _log.All.Count);
    }

    [Fact]
    public async Task A_post_repeated_in_a_later_stream_is_answered_with_the_sequence_it_has()
    {
        await using (var before = new Member(_chat))
        {
            await before.Post(Here, "a", "id");
            await before.Leave();
        }

        // Joined by listening behind the note, and joined by the post itself.
        await using var listening = new Member(_chat, new ChatJoin { Listen = [Here], After = 1 });
        await listening.Post(Here, "a", "id");
        Assert.Equal([(1, "a", "id")], await listening.Leave());

        await using var joining = new Member(_chat);
        await joining.Post(Here, "a", "id");
        Assert.Equal([(1, "a", "id")], await joining.Leave());
    }

    [Fact]
    public async Task One_who_listens_gets_the_newest_notes_and_then_what_comes()
    {
        await using var author = new Member(_chat);
        for (var i = 1; i <= 3; i++)
        {
            await author.Post(Here, $"{i}");
            await author.Post(There, $"{i}");
        }

        await author.Wait(6);
        await using var listener = new Member(_chat, new ChatJoin { Listen = [Here] });
        Assert.Equal(["1", "2", "3"], [await listener.NextMessage(), await listener.NextMessage(), await listener.NextMessage()]);

        await author.Post(There, "4");
        await author.Post(Here, "4");
        Assert.Equal((8, "4", null), await listener.Next());
    }

    [Fact]
    public async Task A_log_that_is_longer_than_one_read_of_it_is_read_to_its_end_before_the_first_stream_begins()
    {
        var author = Guid.NewGuid();
        await _log.AppendAsync([.. Enumerable.Range(1, 10_000).Select(i => new NewNote(author, new RouteNote(Here, $"{i}"), Id: null))], default);

        await using var listener = new Member(_chat, new ChatJoin { Listen = [Here] });

        Assert.Contains((10_000, "10000", null), await listener.Leave());
    }

    [Fact]
    public async Task A_post_whose_note_came_with_the_newest_is_not_sent_again()
    {
        await using var before = new Member(_chat);
        await before.Post(Here, "a", "id-a");
        await before.Post(Here, "b", "id-b");
        await before.Wait(2);

        await using var listener = new Member(_chat, new ChatJoin { Listen = [Here] });
        await listener.Wait(2);
        await listener.Post(Here, "a", "id-a");
        await listener.Post(Here, "c", "id-c");

        Assert.Equal(["c"], (await listener.Leave()).Select(static note => note.Message));
    }

    [Fact]
    public async Task One_who_resumes_gets_what_came_since_and_nothing_again()
    {
        await using var author = new Member(_chat);
        for (var i = 1; i <= 1_000; i++)
        {
            await author.Post(i % 3 == 0 ? Here : There, $"{i}");
        }

        await author.Wait(1_000);
        await using var listener = new Member(_chat, new ChatJoin { Listen = [Here, There], After = 400 });

        Assert.Equal(Enumerable.Range(401, 600).Select(i => $"{i}"), (await listener.Wait(600)).Select(note => note.Message));
    }

    [Fact]
    public async Task A_place_joined_in_mid_stream_brings_its_history_once()
    {
        await using var author = new Member(_chat);
        await author.Post(There, "old");
        await author.Wait(1);

        await using var member = new Member(_chat, new ChatJoin { Listen = [Here] });
        await author.Post(Here, "x");
        Assert.Equal("x", await member.NextMessage());
        await member.Post(There, "mine");
        await author.Post(There, "new");
        await author.Post(Here, "y");

        Assert.Equal(["old", "mine", "new", "y"], (await member.Wait(4)).Select(note => note.Message));
    }

    [Fact]
    public async Task Before_the_history_of_a_place_comes_what_is_due_elsewhere_up_to_there()
    {
        await using var author = new Member(_chat);
        await author.Post(Here, "1");
        await author.Wait(1);
        await using var stream = _chat.Join(new ChatJoin { IsSequenced = true, Listen = [Here], After = 0 });
        await using var reading = stream.ReadAllAsync(default).GetAsyncEnumerator();
        Assert.True(await reading.MoveNextAsync());
        List<long> received = [reading.Current.Span[0].Sequence];
        foreach (var place in (Coordinate[])[There, Here, There])
        {
            await author.Post(place, "x");
        }

        await author.Wait(3);
        await stream.PostAsync(new RouteNote(There, "mine"), null, default);
        stream.Complete();
        while (await reading.MoveNextAsync())
        {
            received.AddRange(reading.Current.ToArray().Select(note => note.Sequence));
        }

        // Whoever resumes after 4 has had 3.
        Assert.Equal([1, 3, 2, 4, 5], received);
    }

    [Fact]
    public async Task What_comes_while_a_place_is_joined_is_sent_in_order_with_none_passed_over()
    {
        await using var author = new Member(_chat);
        await author.Post(There, "1");
        await author.Post(Here, "2");
        await author.Wait(2);
        await using var stream = _chat.Join(new ChatJoin { IsSequenced = true, Listen = [Here], After = 1 });
        await using var reading = stream.ReadAllAsync(default).GetAsyncEnumerator();
        List<long> received = [];
        await ReadAsync(2);

        // While the reader stands: a notification, a first post elsewhere, and a note that needs no further notification.
        await author.Post(Here, "3");
        await author.Wait(1);
        await stream.PostAsync(new RouteNote(There, "4"), null, default);
        await author.Wait(1);
        await author.Post(Here, "5");
        await author.Wait(1);
        await ReadAsync(3);

        // The reader stands between the notes before the joined place and those of it.
        await author.Post(Here, "6");
        await author.Wait(1);
        await ReadAsync(6);

        Assert.Equal([2, 3, 1, 4, 5, 6], received);

        async Task ReadAsync(long upTo)
        {
            while (received.LastOrDefault() < upTo && await reading.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30)))
            {
                received.AddRange(reading.Current.ToArray().Select(note => note.Sequence));
            }
        }
    }

    [Fact]
    public async Task A_stream_that_has_left_is_kept_by_nobody()
    {
        var left = await StayAsync();
        await using var other = new Member(_chat);
        await other.Post(There, "later");
        await other.Wait(1);

        // A thread that has run a part of the stream may keep it a little longer.
        while (left.TryGetTarget(out _))
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Yield();
        }

        async Task<WeakReference<ChatStream>> StayAsync()
        {
            await using var stream = _chat.Join(new ChatJoin { IsSequenced = true, Listen = [There] });
            await stream.PostAsync(new RouteNote(Here, "a"), null, default);
            stream.Complete();
            Assert.Single(await stream.ReadAllAsync(default).ToListAsync());
            return new WeakReference<ChatStream>(stream);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_place_that_is_joined_brings_its_history_where_the_stream_is_ahead_of_the_replica(int notes)
    {
        var log = new MemoryNoteLog { Notifies = false };
        await using var ahead = new ChatFixture(log);
        await using var behind = new ChatFixture(log);
        await using (var first = new Member(behind))
        {
            await first.Post(new Coordinate(5, 6), "0");
            await first.Wait(1);
        }

        await using var author = new Member(ahead);
        var posted = ((List<(Coordinate Place, string Message)>)[(There, "2"), (Here, "3"), (There, "4")])[..notes];
        foreach (var (place, message) in posted)
        {
            await author.Post(place, message);
        }

        await author.Wait(notes);
        var hold = new TaskCompletionSource();
        log.Hold = hold.Task;
        await using var resumed = new Member(behind, new ChatJoin { Listen = [Here], After = 1 + notes });
        try
        {
            await resumed.Post(There, "5");
            var history = posted.FindAll(static note => note.Place == There).ConvertAll(static note => note.Message);
            Assert.Equal(history, (await resumed.Wait(history.Count)).Select(note => note.Message));
        }
        finally
        {
            hold.SetResult();
        }

        Assert.Equal((notes + 2, "5", null), await resumed.Next());
    }

    [Fact]
    public async Task One_who_resumes_at_a_replica_that_has_just_started_gets_what_its_memory_does_not_hold()
    {
        await using var author = new Member(_chat);
        for (var i = 1; i <= 4_000; i++)
        {
            await author.Post(Here, $"{i}");
        }

        await author.Wait(4_000);
        await using var started = new ChatFixture(_log, new ChatOptions { CacheMegabytes = 1 });
        await using var resumed = new Member(started, new ChatJoin { Listen = [Here], After = 10 });
        using var stop = new CancellationTokenSource();
        var following = FollowAsync(started, notifies: true, stop.Token);

        Assert.Equal(Enumerable.Range(11, 3_990).Select(i => (long)i), (await resumed.Wait(3_990)).Select(note => note.Sequence));
        await stop.CancelAsync();
        await following;
    }

    [Fact]
    public async Task An_id_over_its_limit_is_refused()
    {
        await using var stream = _chat.Join(new ChatJoin { IsSequenced = true });

        var refusal = await Assert.ThrowsAsync<ChatLimitException>(
            async () => await stream.PostAsync(new RouteNote(Here, "a"), new string('x', 129), default));

        Assert.Equal((ChatLimit.IdBytes, 129L, 128L), (refusal.Limit, refusal.Value, refusal.Maximum));
        await stream.PostAsync(new RouteNote(Here, "a"), new string('x', 128), default);
        await stream.PostAsync(new RouteNote(Here, "b"), new string('é', 64), default);
    }

    [Fact]
    public async Task A_client_has_no_more_streams_than_it_may()
    {
        await using var chat = new ChatFixture(_log, new ChatOptions { MaxStreamsPerClient = 2 });
        var first = chat.Join(new ChatJoin { Client = "a" });
        await using var second = chat.Join(new ChatJoin { Client = "a" });
        await using var other = chat.Join(new ChatJoin { Client = "b" });

        Assert.Equal(ChatLimit.StreamsPerClient, Assert.Throws<ChatLimitException>(() => chat.Join(new ChatJoin { Client = "a" })).Limit);
        await first.DisposeAsync();
        await using var third = chat.Join(new ChatJoin { Client = "a" });
    }

    [Fact]
    public async Task Posts_that_come_while_a_commit_is_under_way_share_the_next()
    {
        var hold = new TaskCompletionSource();
        _log.Hold = hold.Task;
        await using var first = new Member(_chat);
        await first.Post(Here, "first");
        await Task.Delay(50); // The commit loop has taken it, or takes it with the others: either way there are at most two commits.
        var members = Enumerable.Range(0, 50).Select(_ => new Member(_chat)).ToList();
        foreach (var member in members)
        {
            await member.Post(Here, "x");
        }

        hold.SetResult();
        foreach (var member in members)
        {
            await member.Leave();
            await member.DisposeAsync();
        }

        Assert.Equal(51, _log.Batches.Sum());
        Assert.InRange(_log.Batches.Count, 1, 2);
    }

    [Fact]
    public async Task An_id_that_another_note_has_ends_the_stream_by_its_name_after_the_answers_before_it()
    {
        foreach (var (location, message) in (List<(Coordinate, string)>)[(There, "a"), (Here, "b")])
        {
            await using var chat = new ChatFixture(new MemoryNoteLog());
            await using var first = new Member(chat);
            await first.Post(Here, "a", "id");
            await first.Wait(1);

            await using var other = new Member(chat);
            await other.Post(Here, "before", "id-before");
            await other.Post(location, message, "id");
            var error = await Assert.ThrowsAsync<NoteIdTakenException>(() => other.End.WaitAsync(TimeSpan.FromSeconds(30)));

            Assert.Equal(("id", 1L), (error.Id, error.Sequence));
            Assert.Equal(["a", "before"], (await other.Wait(2)).Select(note => note.Message));
            Assert.Equal("before", await first.NextMessage());
        }
    }

    [Fact]
    public async Task Two_notes_with_one_id_in_one_commit_are_kept_once_and_the_other_is_refused()
    {
        var hold = new TaskCompletionSource();
        _log.Hold = hold.Task;
        await using var one = new Member(_chat);
        await using var other = new Member(_chat);
        await one.Post(Here, "first", "id-first");
        await one.Post(Here, "a", "id");
        await other.Post(There, "b", "id");
        hold.SetResult();

        Assert.Equal(["first", "a"], (await one.Wait(2)).Select(note => note.Message));
        Assert.Equal("id", (await Assert.ThrowsAsync<NoteIdTakenException>(() => other.End.WaitAsync(TimeSpan.FromSeconds(30)))).Id);
        Assert.Equal(["first", "a"], _log.All.Select(note => note.Note.Message));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(40)]
    public async Task A_note_that_the_log_refuses_fails_alone_and_the_others_of_its_commit_are_kept_in_their_order(int refused)
    {
        var hold = new TaskCompletionSource();
        var log = new MemoryNoteLog { Refused = "bad", Hold = hold.Task };
        await using var chat = new ChatFixture(log);
        var members = Enumerable.Range(0, 40).Select(_ => new Member(chat)).ToList();
        await using var bad = new Member(chat);
        for (var i = 0; i < members.Count; i++)
        {
            await members[i].Post(Here, $"{i}");
            if (i + 1 == refused)
            {
                await bad.Post(There, "good");
                await bad.Post(There, "bad");
            }
        }

        hold.SetResult();
        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => bad.End.WaitAsync(TimeSpan.FromSeconds(30)));
        foreach (var member in members)
        {
            await member.Leave();
            await member.DisposeAsync();
        }

        Assert.Equal(StoreFailure.Refused, error.Failure);
        Assert.Equal("good", await bad.NextMessage());
        var kept = log.All.Select(note => note.Note.Message).ToList();
        Assert.Equal(Enumerable.Range(0, 40).Select(i => $"{i}"), kept.Where(message => message != "good"));
        Assert.Equal(refused, kept.IndexOf("good"));
    }

    [Fact]
    public async Task A_note_that_the_log_drops_fails_alone_and_the_others_of_its_commit_are_answered()
    {
        var hold = new TaskCompletionSource();
        var log = new MemoryNoteLog { Dropped = "bad", Hold = hold.Task };
        await using var chat = new ChatFixture(log);
        await using var good = new Member(chat);
        await using var bad = new Member(chat);
        await good.Post(Here, "first");
        await bad.Post(Here, "bad");
        await good.Post(Here, "second", "an id");
        hold.SetResult();

        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => bad.End.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal(StoreFailure.Refused, error.Failure);
        Assert.Equal(["first", "second"], (await good.Wait(2)).Select(note => note.Message));
    }

    [Fact]
    public async Task A_log_that_is_away_ends_the_streams_that_post_and_not_those_that_listen()
    {
        await using var listener = new Member(_chat, new ChatJoin { Listen = [Here] });
        await using var poster = new Member(_chat);
        await poster.Post(Here, "first");
        await poster.Wait(1);
        Assert.Equal("first", await listener.NextMessage());
        _log.IsAway = true;
        await poster.Post(Here, "lost");

        // While it waits for the answer, and has not half-closed.
        await Assert.ThrowsAsync<StoreUnavailableException>(() => poster.End.WaitAsync(TimeSpan.FromSeconds(30)));

        _log.IsAway = false;
        await using var again = new Member(_chat);
        await again.Post(Here, "kept");
        Assert.Equal("kept", await listener.NextMessage());
    }

    [Fact]
    public async Task What_is_too_old_is_removed_in_batches()
    {
        var clock = new Calendar();
        var log = new MemoryNoteLog { Clock = clock };
        await using var chat = new ChatFixture(log, new ChatOptions { KeepDays = 2 }, clock);
        await using var member = new Member(chat);
        for (var i = 0; i < 2_500; i++)
        {
            await member.Post(Here, "old");
        }

        await member.Wait(2_500);
        clock.Now += TimeSpan.FromDays(3);
        await member.Post(Here, "new");
        await member.Wait(1);

        Assert.Equal(2_500, await chat.Writer.RemoveOldAsync(default));
        Assert.Equal(["new"], log.All.Select(note => note.Note.Message));
    }

    [Fact]
    public async Task A_stream_that_does_not_keep_up_is_ended()
    {
        var clock = new Calendar();
        await using var chat = new ChatFixture(_log, new ChatOptions { MaxSecondsBehind = 60 }, clock);
        await using var slow = chat.Join(new ChatJoin { IsSequenced = true, Listen = [Here] });
        await using var fast = new Member(chat, new ChatJoin { Listen = [Here] });
        await using var author = new Member(chat);
        await using var reading = slow.ReadAllAsync(default).GetAsyncEnumerator();
        var error = await Assert.ThrowsAsync<ChatLimitException>(async () =>
        {
            for (var i = 0; i < 1_000; i++)
            {
                // Ten seconds to take what one post brings, while two come in that time.
                await author.Post(Here, $"{i}a");
                await author.Post(There, $"{i}b");
                await author.Post(Here, $"{i}c");
                await fast.Wait(2);
                Assert.True(await reading.MoveNextAsync());
                clock.Now += TimeSpan.FromSeconds(1_000);
                await author.Post(Here, $"{i}d");
                await fast.Wait(1);
            }
        });

        Assert.Equal(ChatLimit.SecondsBehind, error.Limit);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(3, false)]
    public async Task Over_replicas_and_drops_every_stream_sees_each_note_once_and_in_one_order(int seed, bool notifies)
    {
        const int Replicas = 3, Authors = 6, Posts = 200;
        var log = new MemoryNoteLog { Notifies = notifies };
        using var stop = new CancellationTokenSource();
        var replicas = Enumerable.Range(0, Replicas).Select(_ => new ChatFixture(log, new ChatOptions { CacheMegabytes = 1 })).ToList();
        var following = replicas.Select(chat => FollowAsync(chat, notifies, stop.Token)).ToList();
        Coordinate[] places = [Here, There, new(5, 6)];

        var authors = Enumerable.Range(0, Authors).Select(a => Task.Run(async () =>
        {
            var chance = new Random((seed * 1_000) + a);
            for (var i = 0; i < Posts;)
            {
                // A stream of some posts, the last of which are not waited for: after the drop they are repeated.
                await using var member = new Member(replicas[chance.Next(Replicas)]);
                for (var last = Math.Min(Posts, i + chance.Next(1, 40)); i < last; i++)
                {
                    await member.Post(places[((a * 7) + i) % places.Length], $"{a}", $"{a}:{i}");
                }

                i = chance.Next(2) == 0 ? i : Math.Max(0, i - chance.Next(5));
            }
        })).ToList();

        var listeners = Enumerable.Range(0, 6).Select(l => Task.Run(async () =>
        {
            var chance = new Random((seed * 1_000) + 500 + l);
            var seen = new List<(long Sequence, string Message, string? Id)>();
            while (seen.Select(note => note.Id).Distinct().Count() < Authors * Posts)
            {
                await using var member = new Member(
                    replicas[chance.Next(Replicas)], new ChatJoin { Listen = places, After = seen.Count > 0 ? seen[^1].Sequence : 0 });
                for (var left = chance.Next(1, 300); left > 0 && seen.Select(note => note.Id).Distinct().Count() < Authors * Posts; left--)
                {
                    seen.Add(await member.Next());
                }
            }

            return seen;
        })).ToList();

        await Task.WhenAll(authors);
        var views = await Task.WhenAll(listeners);

        var kept = log.All;
        Assert.Equal(Authors * Posts, kept.Count);
        Assert.All(views, view => Assert.Equal(kept.Select(note => note.Sequence), view.Select(note => note.Sequence)));
        await stop.CancelAsync();
        await Task.WhenAll(following);
        foreach (var chat in replicas)
        {
            await chat.DisposeAsync();
        }
    }

    private static async Task FollowAsync(ChatFixture chat, bool notifies, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            // Without notifications, the log is looked at again all the time.
            using var look = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            if (!notifies)
            {
                look.CancelAfter(20);
            }

            await chat.Feed.FollowAsync(look.Token).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    /// <summary>A sequenced stream that reads all the time.</summary>
    private sealed class Member : IAsyncDisposable
    {
        private readonly ChatStream _stream;
        private readonly Channel<(long, string, string?)> _received = Channel.CreateUnbounded<(long, string, string?)>();
        private readonly Task _reading;

        public Member(ChatFixture chat, ChatJoin? join = null)
        {
            _stream = chat.Join((join ?? new ChatJoin()) with { IsSequenced = true });
            _reading = ReadAsync();
        }

        /// <summary>The end of what it is sent.</summary>
        public Task End => _reading;

        public ValueTask Post(Coordinate place, string message, string? id = null) => _stream.PostAsync(new RouteNote(place, message), id, default);

        public ValueTask<(long Sequence, string Message, string? Id)> Next() =>
            _received.Reader.ReadAsync(new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token);

        public async Task<string> NextMessage() => (await Next()).Message;

        public async Task<List<(long Sequence, string Message, string? Id)>> Wait(int notes)
        {
            var received = new List<(long, string, string?)>();
            while (received.Count < notes)
            {
                received.Add(await Next());
            }

            return received;
        }

        /// <summary>Half-closes; what has come and not been taken.</summary>
        public async Task<List<(long Sequence, string Message, string? Id)>> Leave()
        {
            _stream.Complete();
            await _reading;
            return await _received.Reader.ReadAllAsync().ToListAsync();
        }

        public ValueTask DisposeAsync() => _stream.DisposeAsync();

        private async Task ReadAsync()
        {
            try
            {
                await foreach (var page in _stream.ReadAllAsync(default))
                {
                    foreach (var logged in page.ToArray())
                    {
                        _received.Writer.TryWrite((logged.Sequence, logged.Note.Message, logged.Id));
                    }
                }
            }
            finally
            {
                _received.Writer.Complete();
            }
        }
    }

    /// <summary>A clock that stands still until it is moved.</summary>
    private sealed class Calendar : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => Now;

        public override long GetTimestamp() => Now.Ticks;
    }
}
