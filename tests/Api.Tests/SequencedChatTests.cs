using System.Diagnostics.Metrics;
using Google.Rpc;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Chat;
using RouteNote = RouteService.Contracts.Routeguide.RouteNote;

namespace RouteService.Api.Tests;

public sealed class SequencedChatTests
{
    private static readonly Metadata Sequenced = new() { { "route-chat-mode", "sequenced" } };

    [Fact]
    public async Task A_post_is_acknowledged_by_itself_with_its_sequence_and_others_see_it_once()
    {
        await using var service = Service.Start();
        using var one = Open(service, Sequenced);
        using var other = Open(service, new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-listen", "1,-2" } });

        await one.RequestStream.WriteAsync(Note(1, -2, "a", "id-a"));
        await one.RequestStream.WriteAsync(Note(1, -2, "a", "id-a"));
        await one.RequestStream.WriteAsync(Note(1, -2, "b", "id-b"));

        foreach (var call in (AsyncDuplexStreamingCall<RouteNote, RouteNote>[])[one, other])
        {
            var (first, second) = (await NextAsync(call), await NextAsync(call));
            Assert.Equal(("a", "id-a", 1L), (first.Message, first.NoteId, first.Sequence));
            Assert.Equal(("b", "id-b"), (second.Message, second.NoteId));
            Assert.True(second.Sequence > 1);
        }
    }

    [Fact]
    public async Task A_stream_resumes_behind_the_sequence_it_has_seen()
    {
        await using var service = Service.Start();
        using (var author = Open(service, Sequenced))
        {
            for (var i = 1; i <= 10; i++)
            {
                await author.RequestStream.WriteAsync(Note(i % 2, 0, $"{i}", ""));
                await NextAsync(author);
            }
        }

        using var resumed = Open(service, new Metadata
        {
            { "route-chat-mode", "sequenced" }, { "route-chat-listen", "0,0" }, { "route-chat-listen", "1,0" }, { "route-chat-after", "7" },
        });
        await resumed.RequestStream.CompleteAsync();

        Assert.Equal(["8", "9", "10"], await resumed.ResponseStream.ReadAllAsync().Select(note => note.Message).ToListAsync());
    }

    [Fact]
    public async Task A_stream_without_the_mode_gets_no_field_more()
    {
        await using var service = Service.Start();
        using var call = Open(service, []);
        await call.RequestStream.WriteAsync(Note(1, 2, "a", "ignored"));
        await call.RequestStream.WriteAsync(Note(1, 2, "b", "ignored"));

        var note = await NextAsync(call);

        Assert.Equal(new RouteNote { Location = new Point { Latitude = 1, Longitude = 2 }, Message = "a" }, note);
    }

    [Theory]
    [InlineData("route-chat-mode", "fast", "route-chat-mode is 'fast'; expected 'sequenced' or no such entry.")]
    [InlineData("route-chat-listen", "1,2,3", "route-chat-listen is '1,2,3'; expected LATITUDE,LONGITUDE in E7")]
    [InlineData("route-chat-listen", "900000001,0", "route-chat-listen.latitude is 900000001; expected -900000000 to 900000000")]
    [InlineData("route-chat-after", "-1", "route-chat-after is '-1'; expected the sequence of a note")]
    [InlineData("route-chat-after", "x", "route-chat-after is 'x'; expected the sequence of a note")]
    public async Task Wrong_metadata_is_told_by_its_key(string key, string value, string message)
    {
        await using var service = Service.Start();
        var metadata = new Metadata { { key, value } };
        if (key != "route-chat-mode")
        {
            metadata.Add("route-chat-mode", "sequenced");
        }

        using var call = Open(service, metadata);
        var end = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.InvalidArgument, end.StatusCode);
        Assert.StartsWith(message, end.Status.Detail);
    }

    [Fact]
    public async Task Listening_is_for_sequenced_streams()
    {
        await using var service = Service.Start();
        using var call = Open(service, new Metadata { { "route-chat-listen", "1,2" } });

        var end = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal((StatusCode.InvalidArgument, true), (end.StatusCode, end.Status.Detail.StartsWith("route-chat-mode is missing", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_client_with_too_many_streams_is_refused()
    {
        await using var service = Service.Start(new ChatOptions { MaxStreamsPerClient = 1 });
        using var one = Open(service, Sequenced);
        await one.RequestStream.WriteAsync(Note(1, 2, "a", ""));
        await NextAsync(one);
        using var two = Open(service, Sequenced);

        var end = await Assert.ThrowsAsync<RpcException>(() => two.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.ResourceExhausted, end.StatusCode);
        Assert.Contains("has 1 RouteChat streams open", end.Status.Detail);
        Assert.Equal(("CHAT_STREAMS_PER_CLIENT", "limit 1"), ReasonOf(end));
    }

    [Fact]
    public async Task A_stream_at_too_many_locations_is_ended_with_a_reason_of_its_own()
    {
        await using var service = Service.Start(new ChatOptions { MaxLocationsPerStream = 1 });
        using var posting = Open(service, Sequenced);
        await posting.RequestStream.WriteAsync(Note(1, 2, "a", ""));
        await NextAsync(posting);
        await posting.RequestStream.WriteAsync(Note(3, 4, "b", ""));
        using var listening = Open(service, new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-listen", "1,2,3,4" } });

        foreach (var call in (AsyncDuplexStreamingCall<RouteNote, RouteNote>[])[posting, listening])
        {
            var end = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal(
                (StatusCode.ResourceExhausted, "This stream is at 1 locations, the limit for one stream; open another."), (end.StatusCode, end.Status.Detail));
            Assert.Equal(("CHAT_LOCATIONS_PER_STREAM", "limit 1"), ReasonOf(end));
            Assert.Null(end.Trailers.GetValue("route-chat-last-sequence"));
        }
    }

    [Theory]
    [InlineData(3, "a")]
    [InlineData(1, "b")]
    public async Task An_id_that_another_note_has_is_refused_by_its_name_after_the_answers_before_it(int latitude, string message)
    {
        await using var service = Service.Start();
        using var first = Open(service, Sequenced);
        await first.RequestStream.WriteAsync(Note(1, 2, "a", "id-a"));
        await NextAsync(first);

        using var other = Open(service, Sequenced);
        await other.RequestStream.WriteAsync(Note(5, 6, "before", ""));
        await other.RequestStream.WriteAsync(Note(latitude, 2, message, "id-a"));
        var received = new List<string>();
        var end = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            await foreach (var note in other.ResponseStream.ReadAllAsync())
            {
                received.Add(note.Message);
            }
        });

        Assert.Contains("before", received);
        Assert.Equal(StatusCode.AlreadyExists, end.StatusCode);
        Assert.Equal("note_id 'id-a' is that of another note, 1; expected the location and the message of that note, or another id.", end.Status.Detail);
        Assert.Equal(("NOTE_ID_TAKEN", "note_id id-a, sequence 1"), ReasonOf(end));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_stream_that_stops_reading_is_ended_with_the_last_sequence_it_was_sent(bool isInOnePage)
    {
        await using var service = Service.Start(new ChatOptions { MaxSecondsBehind = 1 });
        using var fallenBehind = new MeterListener();
        var ended = new TaskCompletionSource();
        fallenBehind.SetMeasurementEventCallback<long>((_, count, _, _) => _ = count > 0 && ended.TrySetResult());
        fallenBehind.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name is "routeservice.chat.fallen_behind" && instrument.Meter.Scope == service.Services.GetService<IMeterFactory>())
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        fallenBehind.Start();
        var listen = new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-listen", "1,2" } };
        using var live = isInOnePage ? null : Open(service, listen);
        using var author = Open(service, Sequenced);
        var text = new string('x', 4_000);

        // More than all windows on the way hold; the author reads, and the other does not.
        for (var i = 0; i < 300; i++)
        {
            await author.RequestStream.WriteAsync(Note(1, 2, text, ""));
            await NextAsync(author);
        }

        using var late = isInOnePage ? Open(service, listen) : null;
        await ended.Task;
        var received = new List<long>();
        var end = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            await foreach (var note in (live ?? late)!.ResponseStream.ReadAllAsync())
            {
                received.Add(note.Sequence);
            }
        });

        Assert.Equal((StatusCode.ResourceExhausted, "This stream has been behind for 1 seconds; open another, and read it faster."), (end.StatusCode, end.Status.Detail));
        Assert.InRange(received.Count, 1, 299);
        Assert.Equal($"{received[^1]}", end.Trailers.GetValue("route-chat-last-sequence"));
        Assert.Equal(("CHAT_SLOW_CONSUMER", "limit 1"), ReasonOf(end));
    }

    private static (string Reason, string Metadata) ReasonOf(RpcException end)
    {
        var info = end.GetRpcStatus()!.GetDetail<ErrorInfo>();
        Assert.Equal("routeservice", info.Domain);
        return (info.Reason, string.Join(", ", info.Metadata.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => $"{entry.Key} {entry.Value}")));
    }

    private static AsyncDuplexStreamingCall<RouteNote, RouteNote> Open(Service service, Metadata metadata) =>
        new RouteGuide.RouteGuideClient(service.Channel).RouteChat(metadata);

    private static RouteNote Note(int latitude, int longitude, string message, string id) =>
        new() { Location = new Point { Latitude = latitude, Longitude = longitude }, Message = message, NoteId = id };

    private static async Task<RouteNote> NextAsync(AsyncDuplexStreamingCall<RouteNote, RouteNote> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        return call.ResponseStream.Current.Clone();
    }
}
