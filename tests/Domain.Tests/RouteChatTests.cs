using System.Threading.Channels;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class RouteChatTests
{
    private static readonly Coordinate Here = new(1, 2);
    private static readonly Coordinate There = new(3, 4);

    private readonly ChatFixture _chat = CreateChat(new ChatOptions());

    [Fact]
    public async Task The_first_note_at_a_place_is_answered_with_nothing() => Assert.Empty(await Talk(_chat, (Here, "a")));

    [Fact]
    public async Task Each_note_is_answered_with_all_earlier_ones_there_without_itself()
    {
        Assert.Equal(["a", "a", "b"], await Talk(_chat, (Here, "a"), (Here, "b"), (Here, "c")));
    }

    [Fact]
    public async Task Notes_of_other_places_are_not_mixed_in()
    {
        Assert.Equal(["x", "a"], await Talk(_chat, (Here, "a"), (There, "x"), (There, "y"), (Here, "b")));
    }

    [Fact]
    public async Task What_others_left_before_comes_with_the_answer_and_again_with_the_next()
    {
        await Talk(_chat, (Here, "old"));

        Assert.Equal(["old", "old", "new"], await Talk(_chat, (Here, "new"), (Here, "newer")));
    }

    [Fact]
    public async Task A_stream_that_has_posted_is_sent_what_others_post_there()
    {
        await using var listener = new Traveller(_chat);
        await listener.Post(Here, "mine");

        await Talk(_chat, (Here, "theirs"));

        Assert.Equal("theirs", await listener.Next());
    }

    [Fact]
    public async Task A_stream_is_not_sent_what_is_posted_where_it_has_not_posted()
    {
        await using var listener = new Traveller(_chat);
        await listener.Post(Here, "mine");

        await Talk(_chat, (There, "elsewhere"));
        await Talk(_chat, (Here, "here"));

        Assert.Equal(["here"], await listener.Leave());
    }

    [Fact]
    public async Task Its_own_notes_are_not_sent_back_live()
    {
        await using var one = new Traveller(_chat);
        await using var other = new Traveller(_chat);
        await one.Post(Here, "1");
        await other.Post(Here, "2");

        // Posting hands a note in; what comes live comes when it is committed.
        Assert.Equal("2", await one.Next());
        Assert.Empty(await one.Leave());
        Assert.Equal(["1"], await other.Leave());
    }

    [Fact]
    public async Task A_second_post_repeats_what_came_live()
    {
        await using var one = new Traveller(_chat);
        await one.Post(Here, "1");
        await Talk(_chat, (Here, "2"));
        Assert.Equal("2", await one.Next());

        await one.Post(Here, "3");

        Assert.Equal(["1", "2"], await one.Leave());
    }

    [Fact]
    public async Task What_others_post_before_and_after_an_own_note_is_sent_also_if_it_is_read_at_once()
    {
        await using var stream = _chat.Join(new ChatJoin());
        await stream.PostAsync(new RouteNote(Here, "1"), id: null, default);
        await Talk(_chat, (Here, "2"));
        await stream.PostAsync(new RouteNote(Here, "3"), id: null, default);
        await Talk(_chat, (Here, "4"));
        stream.Complete();

        // The second live, the answer to the third, the fourth live.
        Assert.Equal(["2", "1", "2", "4"], await ReadToEnd(stream));
    }

    [Fact]
    public async Task After_the_half_close_what_is_owed_still_comes()
    {
        await using var stream = _chat.Join(new ChatJoin());
        for (var i = 0; i < 40; i++)
        {
            await stream.PostAsync(new RouteNote(Here, $"{i}"), id: null, default);
        }

        stream.Complete();

        Assert.Equal(40 * 39 / 2, (await ReadToEnd(stream)).Count);
    }

    [Fact]
    public async Task An_error_comes_after_what_is_owed()
    {
        await using var stream = _chat.Join(new ChatJoin());
        await stream.PostAsync(new RouteNote(Here, "a"), id: null, default);
        await stream.PostAsync(new RouteNote(Here, "b"), id: null, default);
        stream.Complete(new InvalidDataException("the third note"));
        var read = new List<string>();

        var error = await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            await foreach (var page in stream.ReadAllAsync(default))
            {
                read.AddRange(Messages(page));
            }
        });

        Assert.Equal("the third note", error.Message);
        Assert.Equal(["a"], read);
    }

    [Fact]
    public async Task The_answer_is_the_newest_part_of_a_long_history()
    {
        var chat = CreateChat(new ChatOptions { HistoryPerPost = 3 });
        await Talk(chat, (Here, "1"), (Here, "2"), (Here, "3"), (Here, "4"));

        Assert.Equal(["2", "3", "4"], await Talk(chat, (Here, "5")));
    }

    [Fact]
    public async Task A_stream_that_does_not_read_is_not_read_from()
    {
        var chat = CreateChat(new ChatOptions { MaxUnansweredPosts = 2 });
        await using var stream = chat.Join(new ChatJoin());
        await stream.PostAsync(new RouteNote(Here, "1"), id: null, default);
        await stream.PostAsync(new RouteNote(Here, "2"), id: null, default);

        var third = stream.PostAsync(new RouteNote(Here, "3"), id: null, default).AsTask();
        Assert.False(third.IsCompleted);

        await using var reading = stream.ReadAllAsync(default).GetAsyncEnumerator();
        Assert.True(await reading.MoveNextAsync());
        var more = reading.MoveNextAsync().AsTask();
        await third;
        Assert.True(await more);
        Assert.Equal(["1", "2"], Messages(reading.Current));
    }

    [Fact]
    public async Task A_stream_that_does_not_read_holds_up_nobody()
    {
        await using var stalled = _chat.Join(new ChatJoin());
        await stalled.PostAsync(new RouteNote(Here, "stalled"), id: null, default);

        for (var i = 0; i < 5_000; i++)
        {
            await Talk(_chat, (Here, $"{i}"));
        }

        stalled.Complete();
        Assert.Equal(5_000, (await ReadToEnd(stalled)).Count);
    }

    [Fact]
    public async Task A_message_over_its_limit_is_refused_and_not_kept()
    {
        var chat = CreateChat(new ChatOptions { MaxMessageBytes = 4 });
        await using var stream = chat.Join(new ChatJoin());

        // Four characters, five bytes of UTF-8.
        var refusal = await Assert.ThrowsAsync<ChatLimitException>(async () => await stream.PostAsync(new RouteNote(Here, "caf\u00e9"), id: null, default));

        Assert.Equal((ChatLimit.MessageBytes, 5L, 4L), (refusal.Limit, refusal.Value, refusal.Maximum));
        Assert.Empty(await Talk(chat, (Here, "next")));
    }

    [Fact]
    public async Task A_stream_posts_at_no_more_places_than_it_may()
    {
        var chat = CreateChat(new ChatOptions { MaxLocationsPerStream = 1 });
        await using var stream = chat.Join(new ChatJoin());
        await stream.PostAsync(new RouteNote(Here, "a"), id: null, default);
        await stream.PostAsync(new RouteNote(Here, "b"), id: null, default);

        var refusal = await Assert.ThrowsAsync<ChatLimitException>(async () => await stream.PostAsync(new RouteNote(There, "c"), id: null, default));

        Assert.Equal(ChatLimit.LocationsPerStream, refusal.Limit);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Everybody_sees_everything_of_the_others_once_and_in_one_order(int seed)
    {
        const int Travellers = 8;
        const int Posts = 300;
        var travellers = Enumerable.Range(0, Travellers).Select(_ => new Traveller(_chat)).ToList();
        foreach (var traveller in travellers)
        {
            await traveller.Post(Here, "join");
        }

        // No second post of one's own from here on: with the answers left out, what comes is the live notes alone.
        var authors = Enumerable.Range(0, Travellers).Select(_ => new Traveller(_chat)).ToList();
        await Task.WhenAll(authors.Select((author, a) => Task.Run(async () =>
        {
            var chance = new Random((seed * 100) + a);
            for (var i = 0; i < Posts; i++)
            {
                await author.Post(Here, $"{a}:{i}");
                if (chance.Next(4) == 0)
                {
                    await Task.Yield();
                }
            }
        })));

        foreach (var author in authors)
        {
            await author.Leave();
        }

        var seen = new List<List<string>>();
        foreach (var traveller in travellers)
        {
            seen.Add([.. (await traveller.Leave()).Where(message => message != "join")]);
            await traveller.DisposeAsync();
        }

        Assert.Equal(Travellers * Posts, seen[0].Distinct().Count());
        Assert.All(seen, each => Assert.Equal(seen[0], each));
        for (var a = 0; a < Travellers; a++)
        {
            Assert.Equal(Enumerable.Range(0, Posts).Select(i => $"{a}:{i}"), seen[0].Where(message => message.StartsWith($"{a}:")));
        }

        foreach (var author in authors)
        {
            await author.DisposeAsync();
        }
    }

    private static ChatFixture CreateChat(ChatOptions options) => new(new MemoryNoteLog(), options);

    /// <summary>One stream that posts all this, half-closes and reads to the end.</summary>
    private static async Task<List<string>> Talk(ChatFixture chat, params (Coordinate Place, string Message)[] notes)
    {
        await using var stream = chat.Join(new ChatJoin());
        foreach (var (place, message) in notes)
        {
            await stream.PostAsync(new RouteNote(place, message), id: null, default);
        }

        stream.Complete();
        return await ReadToEnd(stream);
    }

    private static async Task<List<string>> ReadToEnd(ChatStream stream)
    {
        var read = new List<string>();
        await foreach (var page in stream.ReadAllAsync(default))
        {
            read.AddRange(Messages(page));
        }

        return read;
    }

    private static List<string> Messages(ReadOnlyMemory<LoggedNote> page) => [.. page.ToArray().Select(logged => logged.Note.Message)];

    /// <summary>A stream that reads all the time, as a live client does.</summary>
    private sealed class Traveller : IAsyncDisposable
    {
        private readonly ChatStream _stream;
        private readonly Channel<string> _received = Channel.CreateUnbounded<string>();

        public Traveller(ChatFixture chat)
        {
            _stream = chat.Join(new ChatJoin());
            _ = ReceiveAsync();
        }

        public ValueTask Post(Coordinate place, string message) => _stream.PostAsync(new RouteNote(place, message), id: null, default);

        public ValueTask<string> Next() => _received.Reader.ReadAsync(new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token);

        /// <summary>Half-closes; what has come and not been taken.</summary>
        public async Task<List<string>> Leave()
        {
            _stream.Complete();
            return await _received.Reader.ReadAllAsync().ToListAsync();
        }

        public ValueTask DisposeAsync() => _stream.DisposeAsync();

        private async Task ReceiveAsync()
        {
            await foreach (var page in _stream.ReadAllAsync(default))
            {
                foreach (var message in Messages(page))
                {
                    _received.Writer.TryWrite(message);
                }
            }

            _received.Writer.Complete();
        }
    }
}
