using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>The checker finds what it is there to find: forged histories, each with one thing wrong.</summary>
public sealed class HistoryCheckerTests
{
    private static readonly Coordinate Here = new(1, 2);
    private static readonly Coordinate There = new(3, 4);

    private readonly List<LoggedNote> _log = [.. Enumerable.Range(1, 12).Select(static i => Note(i, i % 3 == 0 ? There : Here))];

    [Fact]
    public void What_is_as_promised_has_no_violation()
    {
        // It listens, is dropped, and resumes; 4 is its own post, repeated after the drop and so acknowledged again.
        Assert.Empty(Check(Stream([Here], 0, 1, 2, 4), Stream([Here], 4, 4, 5, 7, 8) with { Posted = ["id-4"] }, Stream([Here], 8, 10)));

        // It joins a place by a post in mid-stream, whose earlier notes then come below what it has had.
        Assert.Empty(Check(Stream([Here], 0, 1, 2, 4, 5, 3, 6, 7, 8, 9), Stream([Here, There], 9, 10, 11, 12)));

        // The drop is in the middle of these; so it joins anew by the post that it repeats.
        Assert.Empty(Check(Stream([Here], 0, 1, 2, 4, 5, 7, 8, 3), Stream([Here], 8, 10, 3, 6, 9, 11, 12)));
        Assert.Empty(Check(Published(There, "6", 3, 9, 12)));
    }

    [Fact]
    public void A_note_that_was_received_and_is_not_in_the_log_is_found()
    {
        _log.RemoveAt(3);
        AssertFound("Sequence = 4", Stream([Here], 0, 1, 2, 4, 5));
        AssertFound("does not have its note", Published(Here, "4", 1, 2));
    }

    [Fact]
    public void A_note_that_is_in_the_log_twice_is_found()
    {
        _log.Add(_log[3] with { Sequence = 13 });
        AssertFound("the note id-4 twice", Stream([Here], 0, 1, 2));
    }

    [Fact]
    public void A_note_that_comes_with_another_text_or_place_is_found()
    {
        AssertFound("was sent", new SequencedStream([Here], 0) { Received = { Note(1, There) } });
        AssertFound("was sent", new SequencedStream([Here], 0) { Received = { Note(1, Here) with { Id = "id-2" } } });
    }

    [Theory]
    [InlineData("sent 2 twice", 1, 2, 2, 4)]
    [InlineData("sent 1 twice", 1, 2, 4, 1)]
    [InlineData("sent 2 after 4", 1, 4, 2, 5)]
    [InlineData("sent 4 without 2", 1, 4, 5)]
    [InlineData("sent 2 without 1", 2, 4, 5)]
    public void A_stream_with_a_repeat_a_swap_or_a_gap_is_found(string violation, params int[] received) => AssertFound(violation, Stream([Here], 0, received));

    [Fact]
    public void Notes_of_two_places_that_are_swapped_are_found() => AssertFound("sent 3 after 4", Stream([Here, There], 0, 1, 2, 4, 3));

    [Fact]
    public void A_gap_in_the_earlier_notes_of_a_place_that_is_joined_is_found() => AssertFound("sent 9 without 6", Stream([Here], 9, 3, 9));

    [Fact]
    public void A_gap_on_resume_is_found()
    {
        AssertFound("resumes behind 8, and 7 had not come", Stream([Here], 0, 1, 2, 4, 5), Stream([Here], 8, 10));
        AssertFound("sent 10 without 8", Stream([Here], 0, 1, 2, 4, 5, 7), Stream([Here], 7, 10));
        AssertFound("resumes behind 9, and 6 had not come", Stream([Here], 8, 3), Stream([There], 9, 12));
        AssertFound("resumes behind 5, and 1 had not come", Stream([Here], 0), Stream([Here], 5, 7));
    }

    [Fact]
    public void A_repeat_on_resume_is_found() => AssertFound("sent 4 after 4", Stream([Here], 0, 1, 2, 4), Stream([Here], 4, 4, 5));

    [Theory]
    [InlineData(9, 3)]
    [InlineData(3, 12)]
    [InlineData(3, 9, 9)]
    [InlineData(3, 6, 9)]
    public void A_published_stream_with_a_swap_a_gap_a_repeat_or_its_own_note_is_found(params int[] received) =>
        AssertFound("in their order", Published(There, "6", received));

    private static LoggedNote Note(long sequence, Coordinate place) => new(sequence, default, new RouteNote(place, $"{sequence}"), $"id-{sequence}");

    private static SequencedStream Stream(Coordinate[] listen, long? after, params int[] received) => new(listen, after) { Received = Notes(received) };

    private static PublishedStream Published(Coordinate place, string posted, params int[] received) =>
        new(place, posted) { Received = [.. Notes(received).Select(static note => note.Note)] };

    private static List<LoggedNote> Notes(int[] sequences) => [.. sequences.Select(static i => Note(i, i % 3 == 0 ? There : Here))];

    private List<string> Check(params SequencedStream[] streams) => HistoryChecker.Check(_log, [new ClientHistory("client", streams)], []);

    private List<string> Check(PublishedStream stream) => HistoryChecker.Check(_log, [], [stream]);

    private void AssertFound(string violation, params SequencedStream[] streams) => Assert.Contains(Check(streams), found => found.Contains(violation));

    private void AssertFound(string violation, PublishedStream stream) => Assert.Contains(Check(stream), found => found.Contains(violation));
}
