using System.Collections.Concurrent;
using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Time.Testing;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

/// <summary>The streams of a chat session: how the next is opened after one that broke, and what is posted in it again.</summary>
public sealed class ChatStreamTests
{

    [Fact]
    public async Task What_is_acknowledged_is_forgotten_also_if_nobody_reads()
    {
        const int Count = 200;
        var isBroken = false;
        var chat = new ScriptedChat { OnPost = (_, note) => Break(isBroken && note.Message == "break") };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address, static options => options with { MaxBufferedNotes = 10 });
        var history = chat.Add(At(1), "earlier");
        await using var session = await client.JoinChatAsync();
        var posted = await Task.WhenAll(Enumerable.Range(1, Count).Select(i => session.PostAsync(At(i), $"note {i}", i % 2 == 0 ? $"id {i}" : null)));

        // The stream breaks at a post, which alone is sent again.
        isBroken = true;
        var breaking = session.PostAsync(At(Count), "break");
        await UntilAsync(() => chat.Streams.Count >= 2);
        isBroken = false;
        var last = await breaking;
        await session.CompleteAsync();

        var notes = await ToListAsync(session);
        Assert.Equal(posted.Append(last), notes.Where(static note => note.IsOwn).OrderBy(static note => note.Sequence));
        Assert.Equal(history.Sequence, Assert.Single(notes, static note => !note.IsOwn).Sequence);
        Assert.Equal(Count, chat.Streams[2].Listen.Count);
        Assert.All(chat.Streams.Where(static stream => stream.Key > 1).SelectMany(static stream => stream.Value.Posts), id => Assert.Equal(last.Id, id));
    }

    [Fact]
    public async Task A_stream_that_is_ended_as_too_far_behind_is_resumed_and_one_at_another_limit_ends_the_session()
    {
        var chat = new ScriptedChat
        {
            OnPost = static (stream, note) =>
            {
                if (stream == 1)
                {
                    throw Script.Error(StatusCode.ResourceExhausted, "too slow", ("route-chat-last-sequence", "0"));
                }

                if (note.Message == "too many")
                {
                    throw Script.Error(StatusCode.ResourceExhausted, "This stream is at 3 locations, the limit for one stream; open another.");
                }
            },
        };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([Here]);

        Assert.Equal(1, (await session.PostAsync(Here, "x")).Sequence);
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => session.PostAsync(At(1), "too many"));

        Assert.Equal((FailureReason.Exhausted, StatusCode.ResourceExhausted, 2), (error.Reason, error.StatusCode, chat.Streams.Count));
        Assert.Contains("the limit for one stream", error.Message);
        Assert.DoesNotContain("less often", error.Message);
    }

    [Fact]
    public async Task A_post_whose_id_is_that_of_another_note_fails_alone_and_the_others_are_posted_again()
    {
        var chat = new ScriptedChat
        {
            OnPost = static (_, note) =>
            {
                if (note.NoteId == "taken")
                {
                    throw Script.Refusal(StatusCode.AlreadyExists, "NOTE_ID_TAKEN", ("note_id", "taken"), ("sequence", "7"));
                }
            },
        };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([Here]);

        var posts = Enumerable.Range(1, 20).Select(i => session.PostAsync(Here, $"note {i}", i == 10 ? "taken" : null)).ToList();
        var error = await Assert.ThrowsAsync<ArgumentException>("noteId", () => posts[9]);
        posts.RemoveAt(9);

        Assert.StartsWith("The id 'taken' is that of another note, 7.", error.Message);
        Assert.Equal(Enumerable.Range(1, 20).Where(static i => i != 10).Select(static i => $"note {i}"), (await Task.WhenAll(posts)).Select(static note => note.Message));
        Assert.Equal(2, chat.Streams.Count);
        await session.CompleteAsync();
        Assert.Equal(19, (await ToListAsync(session)).Count);
    }

    [Fact]
    public async Task A_refused_post_that_nobody_waits_for_ends_nothing()
    {
        var (isPosted, refuse) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var chat = new ScriptedChat().Script;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = async (posts, notes, context, call) =>
            {
                if (call == 1)
                {
                    await posts.MoveNext(context.CancellationToken);
                    isPosted.SetResult();
                    await refuse.Task;
                    throw Script.Refusal(StatusCode.AlreadyExists, "NOTE_ID_TAKEN", ("note_id", "taken"), ("sequence", "7"));
                }

                await chat.RouteChat(posts, notes, context, call);
            },
        });
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([Here]);
        using var cancel = new CancellationTokenSource();
        var post = session.PostAsync(Here, "x", "taken", cancel.Token);
        await isPosted.Task;
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => post);
        refuse.SetResult();

        Assert.Equal("y", (await session.PostAsync(Here, "y")).Message);
    }

    [Theory]
    [InlineData(StatusCode.DeadlineExceeded, "STORE_TOO_SLOW")]
    [InlineData(StatusCode.ResourceExhausted, "STORE_OVERLOADED")]
    public async Task A_session_goes_on_when_the_store_is_fast_enough_again(StatusCode status, string reason)
    {
        var chat = new ScriptedChat
        {
            OnPost = (stream, _) =>
            {
                if (stream < 3)
                {
                    throw Script.Refusal(status, reason);
                }
            },
        };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([Here]);

        Assert.Equal(1, (await session.PostAsync(Here, "x")).Sequence);
        Assert.Equal(3, chat.Streams.Count);
    }

    [Fact]
    public async Task The_limit_of_streams_ends_a_session_that_begins_and_is_waited_out_by_one_that_resumes()
    {
        // The service counts the stream that broke until it notices the break.
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = static async (posts, notes, context, call) =>
            {
                await posts.MoveNext(context.CancellationToken);
                switch (call)
                {
                    case 1 or 3 or 4:
                        throw Script.Refusal(StatusCode.ResourceExhausted, "CHAT_STREAMS_PER_CLIENT");
                    case 2:
                        throw Script.Error(StatusCode.Unavailable);
                    default:
                        await notes.WriteAsync(new Proto.RouteNote(posts.Current) { Sequence = 1 });
                        break;
                }
            },
        });
        await using var client = Connect(service.Address);

        await using (var refused = await client.JoinChatAsync([Here]))
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(() => refused.PostAsync(Here, "x"));
            Assert.Equal((FailureReason.Exhausted, 1), (error.Reason, error.Attempts));
        }

        await using var session = await client.JoinChatAsync([Here]);
        Assert.Equal(1, (await session.PostAsync(Here, "x")).Sequence);
    }

    [Fact]
    public async Task Posts_that_are_repeated_keep_their_order()
    {
        var chat = new ScriptedChat { OnPost = static (stream, note) => Break(stream < 3 && note.Message == "note 20") };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([Here]);

        var notes = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => session.PostAsync(Here, $"note {i}", $"{(i * 7) % 60}")));

        Assert.Equal(Enumerable.Range(1, 60), notes.Select(static note => (int)note.Sequence));
        Assert.Equal(3, chat.Streams.Count);
    }

    [Fact]
    public async Task A_place_whose_earlier_notes_came_in_part_is_resumed_after_them_and_nothing_comes_twice()
    {
        var (a, b) = (At(1), At(2));
        var chat = new ScriptedChat { OnSend = static (stream, note) => Break(stream == 1 && note.Message == "b2") };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        chat.Add(b, "b1");
        chat.Add(b, "b2");
        chat.Add(a, "a3");
        await using var session = await client.JoinChatAsync([a], after: 0);
        Assert.Equal("a3", (await TakeAsync(session, 1))[0].Message);

        var post = await session.PostAsync(b, "mine");

        Assert.Equal(["b1", "b2", "mine"], (await TakeAsync(session, 3)).Select(static note => note.Message));
        Assert.Equal(4, post.Sequence);
        Assert.Equal(1, chat.Streams[2].After);
        Assert.Equal([a, b], chat.Streams[2].Listen.OrderBy(static place => place.LatitudeE7));
    }

    [Fact]
    public async Task A_session_that_listens_nowhere_is_resumed_after_the_earlier_notes_that_came_and_not_at_the_beginning_of_the_log()
    {
        var place = At(2);
        var chat = new ScriptedChat { OnSend = static (stream, note) => Break(stream == 1 && note.Message == "3") };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        for (var i = 1; i <= 4; i++)
        {
            chat.Add(place, $"{i}");
        }

        await using var session = await client.JoinChatAsync();
        await session.PostAsync(place, "mine");

        Assert.Equal(["1", "2", "3", "4", "mine"], (await TakeAsync(session, 5)).Select(static note => note.Message));
        Assert.Equal(2, chat.Streams[2].After);
    }

    [Fact]
    public async Task The_acknowledgement_of_a_repeated_post_does_not_hide_what_is_due_before_it()
    {
        // The first stream keeps the post and breaks. Meanwhile others post there and elsewhere. In the second stream the post comes back, and it breaks again.
        var (a, b) = (At(1), At(2));
        ScriptedChat chat = null!;
        chat = new ScriptedChat
        {
            OnSend = (stream, note) =>
            {
                if (stream == 1 && note.Message == "mine")
                {
                    chat.Add(b, "b2");
                    chat.Add(a, "a3");
                    Break(true);
                }

                Break(stream == 2 && note.Message == "b2");
            },
        };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([a]);

        var post = await session.PostAsync(b, "mine");
        Assert.Equal(1, post.Sequence);

        Assert.Equal(["a3", "b2", "mine"], (await TakeAsync(session, 3)).Select(static note => note.Message).Order());
        Assert.Equal(3, chat.Streams.Count);
    }

    [Fact]
    public async Task Own_notes_are_those_that_this_session_has_posted_also_when_they_come_again()
    {
        var chat = new ScriptedChat { OnSend = static (stream, note) => Break(stream == 1 && note.Message == "theirs") };
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address, static options => options with { MaxBufferedNotes = 1 });
        await using var session = await client.JoinChatAsync([Here]);
        await session.PostAsync(Here, "one");
        await session.PostAsync(Here, "two", "an id of mine");
        chat.Add(Here, "theirs", "an id of theirs");

        // The second did not fit in, and came again.
        Assert.Equal([("one", true), ("two", true), ("theirs", false)], (await TakeAsync(session, 3)).Select(static note => (note.Message, note.IsOwn)));
    }

    [Fact]
    public async Task A_post_is_acknowledged_by_its_note_before_it_is_repeated()
    {
        // The stream breaks after it has kept the post; the next sends the note, and reads no posts.
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = static async (posts, notes, context, call) =>
            {
                if (call == 1)
                {
                    await posts.MoveNext(context.CancellationToken);
                    throw Script.Error(StatusCode.Unavailable, posts.Current.NoteId);
                }

                await notes.WriteAsync(new Proto.RouteNote { Location = Feature(1).Location, Message = "x", Sequence = 7, NoteId = "an id" });
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([At(1)]);

        Assert.Equal(7, (await session.PostAsync(At(1), "x", "an id")).Sequence);
    }

    [Fact]
    public async Task Cancelled_posts_make_room_and_the_end_of_a_session_ends_those_that_wait_for_room()
    {
        var fail = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = async (posts, notes, context, _) =>
            {
                var answering = Task.Run(async () =>
                {
                    while (await posts.MoveNext(context.CancellationToken))
                    {
                        if (posts.Current.Message == "answered")
                        {
                            await notes.WriteAsync(new Proto.RouteNote(posts.Current) { Sequence = 1 });
                        }
                    }
                });
                await fail.Task;
                throw Script.Error(StatusCode.PermissionDenied);
            },
        });
        await using var client = Connect(service.Address);
        await using var session = await client.JoinChatAsync([Here]);
        using (var cancel = new CancellationTokenSource())
        {
            var cancelled = Enumerable.Range(0, 64).Select(i => session.PostAsync(Here, $"{i}", cancellationToken: cancel.Token)).ToList();
            await cancel.CancelAsync();
            foreach (var post in cancelled)
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => post);
            }
        }

        Assert.Equal(1, (await session.PostAsync(Here, "answered")).Sequence);

        var waiting = Enumerable.Range(0, 70).Select(i => session.PostAsync(Here, $"{i}")).ToList();
        fail.SetResult();
        foreach (var post in waiting)
        {
            Assert.Equal(FailureReason.PermissionDenied, (await Assert.ThrowsAsync<RouteServiceException>(() => post)).Reason);
        }
    }

    [Fact]
    public async Task A_session_of_several_streams_fails_and_completes_as_one()
    {
        var chat = new ScriptedChat { OnPost = static (_, note) => Fail(note.Message == "forbidden") };
        await using var service = await ScriptedService.StartAsync(chat.Script, listen: AsTheService);
        await using var client = Connect(service.Address);
        await using var whole = await client.JoinChatAsync(Enumerable.Range(1, 4_100).Select(At));
        foreach (var i in (int[])[1, 2_001, 4_100, 5_000])
        {
            await whole.PostAsync(At(i), $"note {i}");
        }

        await whole.CompleteAsync();
        Assert.Equal(4, (await ToListAsync(whole)).Count);
        Assert.Equal([100, 2_000, 2_000], chat.Streams.Values.Select(static stream => stream.Listen.Count).Order());

        await using var failing = await client.JoinChatAsync(Enumerable.Range(1, 4_100).Select(At), after: 0);
        Assert.Equal(3, (await TakeAsync(failing, 3)).Count);
        await Assert.ThrowsAsync<RouteServiceException>(() => failing.PostAsync(At(4_100), "forbidden"));
        Assert.Equal(FailureReason.PermissionDenied, (await Assert.ThrowsAsync<RouteServiceException>(() => failing.PostAsync(At(1), "x"))).Reason);

        static void Fail(bool isSo)
        {
            if (isSo)
            {
                throw Script.Error(StatusCode.PermissionDenied);
            }
        }
    }

    [Fact]
    public async Task The_first_note_of_a_stream_that_another_stream_has_left_no_room_for_comes_when_there_is_room()
    {
        var sent = new ConcurrentDictionary<string, bool>();
        var chat = new ScriptedChat { OnSend = (_, note) => sent[note.Message] = true };
        chat.Add(At(1), "one");
        chat.Add(At(2_100), "two");
        await using var service = await ScriptedService.StartAsync(chat.Script, listen: AsTheService);
        await using var client = Connect(service.Address, static options => options with { MaxBufferedNotes = 1 });
        await using var session = await client.JoinChatAsync(Enumerable.Range(1, 2_100).Select(At));
        await UntilAsync(() => sent.Count == 2);
        var notes = await TakeAsync(session, 2);

        Assert.Equal(["one", "two"], notes.Select(static note => note.Message).Order());
    }

    [Fact]
    public async Task Posts_that_wait_to_be_sent_are_not_overdue()
    {
        // Notes that fill the windows of HTTP/2: most wait until the service reads.
        var (clock, read) = (new FakeTimeProvider(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = async (posts, notes, context, _) =>
            {
                await read.Task.WaitAsync(context.CancellationToken);
                for (var sequence = 1; await posts.MoveNext(context.CancellationToken); sequence++)
                {
                    await notes.WriteAsync(new Proto.RouteNote(posts.Current) { Sequence = sequence });
                }
            },
        });
        await using var client = Connect(service.Address, options => options with { Clock = clock, StreamSilence = TimeSpan.FromMinutes(40), MaxNoteBytes = 200_000 });
        await using var session = await client.JoinChatAsync([Here]);
        var posting = Enumerable.Range(0, 60).Select(_ => session.PostAsync(Here, new string('x', 200_000))).ToList();
        await UntilAsync(() => service.Script.Calls == 1);

        clock.Advance(TimeSpan.FromMinutes(30));
        read.SetResult();
        await Task.WhenAll(posting);

        Assert.Equal(1, service.Script.Calls);
    }

    [Fact]
    public async Task Posts_that_wait_to_be_sent_again_are_not_overdue()
    {
        // The first stream takes all posts, acknowledges none, and breaks. The next reads later, and most posts wait for that.
        const int Posts = 60;
        var (clock, broken, read) = (new FakeTimeProvider(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var taken = 0;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = async (posts, notes, context, call) =>
            {
                if (call == 1)
                {
                    while (taken < Posts && await posts.MoveNext(context.CancellationToken))
                    {
                        Interlocked.Increment(ref taken);
                    }

                    await broken.Task.WaitAsync(context.CancellationToken);
                    throw Script.Error(StatusCode.Unavailable);
                }

                await read.Task.WaitAsync(context.CancellationToken);
                for (var sequence = 1; await posts.MoveNext(context.CancellationToken); sequence++)
                {
                    await notes.WriteAsync(new Proto.RouteNote(posts.Current) { Sequence = sequence });
                }
            },
        });
        await using var client = Connect(service.Address, options => options with { Clock = clock, StreamSilence = TimeSpan.FromMinutes(40), MaxNoteBytes = 200_000 });
        await using var session = await client.JoinChatAsync([Here]);
        var posting = Enumerable.Range(0, Posts).Select(_ => session.PostAsync(Here, new string('x', 200_000))).ToList();
        await UntilAsync(() => Volatile.Read(ref taken) == Posts);

        clock.Advance(TimeSpan.FromMinutes(30));
        broken.SetResult();
        await UntilAsync(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(10));
            return service.Script.Calls == 2;
        });
        clock.Advance(TimeSpan.FromMinutes(30));
        read.SetResult();
        await Task.WhenAll(posting);

        Assert.Equal(2, service.Script.Calls);
    }

    [Fact]
    public async Task A_quiet_session_survives_breaks_that_are_longer_apart_than_the_time_to_resume()
    {
        var clock = new FakeTimeProvider();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RouteChat = async (posts, notes, context, call) =>
            {
                if (call < 4)
                {
                    clock.Advance(TimeSpan.FromMinutes(10));
                    throw Script.Error(StatusCode.Unavailable);
                }

                while (await posts.MoveNext(context.CancellationToken))
                {
                    await notes.WriteAsync(new Proto.RouteNote(posts.Current) { Sequence = 1 });
                }
            },
        });
        await using var client = Connect(service.Address, options => options with { Clock = clock, StreamSilence = TimeSpan.FromDays(1) });
        await using var session = await client.JoinChatAsync([Here]);
        await UntilAsync(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(10));
            return service.Script.Calls == 4;
        });

        Assert.Equal(1, (await session.PostAsync(Here, "x")).Sequence);
    }

    [Fact]
    public async Task Completing_waits_for_a_post_whose_note_the_stream_has_sent_before()
    {
        // More notes with ids than a session remembers.
        const int Count = 1_002;
        var chat = new ScriptedChat();
        await using var service = await ScriptedService.StartAsync(chat.Script);
        await using var client = Connect(service.Address, static options => options with { MaxBufferedNotes = 2 * Count });
        for (var i = 1; i <= Count; i++)
        {
            chat.Add(Here, $"note {i}", $"id {i}");
        }

        await using var session = await client.JoinChatAsync([Here], after: 0);
        await TakeAsync(session, Count);
        var posting = session.PostAsync(Here, "note 1", "id 1");

        // The stream sends no note twice, so the end of it acknowledges nothing; the next one does.
        await session.CompleteAsync();

        Assert.Equal(1, (await posting).Sequence);
        Assert.Empty(await ToListAsync(session));
        Assert.Equal(2, chat.Streams.Count);
    }

    private static void Break(bool isSo)
    {
        if (isSo)
        {
            throw Script.Error(StatusCode.Unavailable);
        }
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (!isSo())
        {
            await Task.Delay(10, patience.Token);
        }
    }

    private static void AsTheService(ListenOptions options)
    {
        options.KestrelServerOptions.Limits.MaxRequestHeadersTotalSize = 65_536;
        options.KestrelServerOptions.Limits.Http2.MaxRequestHeaderFieldSize = 131_072;
    }
}
