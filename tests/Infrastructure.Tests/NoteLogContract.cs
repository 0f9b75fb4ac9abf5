using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Tests;

/// <summary>What every log of notes does. A class for each log derives from it and makes empty ones.</summary>
public abstract class NoteLogContract
{
    private static readonly Coordinate Here = new(1, -2);
    private static readonly Coordinate There = new(-900_000_000, 1_800_000_000);

    /// <summary>A log without notes; it lives as long as the test.</summary>
    protected abstract Task<INoteLog> CreateLogAsync();

    [Fact]
    public async Task That_it_can_be_written_to_is_known_and_leaves_no_note()
    {
        var log = await CreateLogAsync();

        await log.CheckWritableAsync(default);

        Assert.Equal(0, await log.ReadHeadAsync(default));
    }

    [Fact]
    public async Task Notes_are_numbered_from_one_in_the_order_of_the_batch()
    {
        var log = await CreateLogAsync();
        Assert.Equal(0, await log.ReadHeadAsync(default));

        Assert.Equal([1, 2, 3], await AppendAsync(log, (Here, "a"), (There, "b"), (Here, "c")));
        Assert.Equal([4], await AppendAsync(log, (Here, "d")));

        Assert.Equal(4, await log.ReadHeadAsync(default));
        Assert.Equal(["a", "b", "c", "d"], Messages(await log.ReadAfterAsync(0, 10, default)));
    }

    [Fact]
    public async Task A_note_is_kept_as_it_is()
    {
        var log = await CreateLogAsync();
        var author = Guid.NewGuid();

        await log.AppendAsync([new NewNote(author, new RouteNote(There, "Zürich – 東京 👩‍🚀 'x'"), "id"), new NewNote(author, new RouteNote(Here, ""), null)], default);

        Assert.Equal(
            [new LoggedNote(1, author, new RouteNote(There, "Zürich – 東京 👩‍🚀 'x'"), "id"), new LoggedNote(2, author, new RouteNote(Here, ""), null)],
            await log.ReadAfterAsync(0, 10, default));
    }

    /// <summary>Whatever text a caller can send: protobuf has no half of a surrogate pair, and U+0000 is refused before it comes here.</summary>
    [Theory]
    [MemberData(nameof(Texts.Kinds), MemberType = typeof(Texts))]
    public async Task Any_text_is_kept_as_it_is(string kind)
    {
        var text = Texts.Of(kind);
        var log = await CreateLogAsync();
        var notes = (NewNote[])
        [
            Note(text, text), Note($"{kind}: {text}", $"{text} of {kind}"), Note(string.Concat(Enumerable.Repeat(text, 5_000)), null),
        ];
        await log.AppendAsync(notes, default);

        var kept = await log.ReadAfterAsync([Here], 0, 10, default);

        Assert.Equal(notes.Select(static note => (note.Note.Message, note.Id)), kept.Select(static note => (note.Note.Message, note.Id)));
        Assert.Equal([1], (await log.AppendAsync([Note(text, text)], default)).Select(static note => note.Sequence));
    }

    [Fact]
    public async Task Places_are_read_forward_from_a_sequence_and_backward_from_one()
    {
        var log = await CreateLogAsync();
        Coordinate elsewhere = new(5, 6);
        for (var i = 1; i <= 30; i++)
        {
            await AppendAsync(log, ((i % 3) switch { 0 => Here, 1 => There, _ => elsewhere }, $"{i}"));
        }

        Assert.Equal(["6", "9"], Messages(await log.ReadAfterAsync([Here], 3, 2, default)));
        Assert.Equal(["4", "6", "7"], Messages(await log.ReadAfterAsync([Here, There], 3, 3, default)));
        Assert.Equal([], Messages(await log.ReadAfterAsync([Here, There], 30, 3, default)));
        Assert.Equal(["21", "24"], Messages(await log.ReadBeforeAsync([Here], 27, 2, default)));
        Assert.Equal(["22", "24", "25"], Messages(await log.ReadBeforeAsync([Here, There], 27, 3, default)));
        Assert.Equal([], Messages(await log.ReadBeforeAsync([new(7, 8)], 27, 3, default)));
        Assert.Equal(["29", "30"], Messages(await log.ReadAfterAsync(28, 10, default)));
    }

    [Fact]
    public async Task A_note_whose_id_is_there_is_not_kept_again_and_has_the_sequence_of_the_first()
    {
        var log = await CreateLogAsync();
        var first = await AppendAsync(log, Note("a", "id-a"), Note("b", "id-b"));

        var again = (await AppendAsync(log, Note("c", "id-c"), Note("a", "id-a"), Note("d", null), Note("b", "id-b"), Note("c", "id-c"))).ToList();

        Assert.Equal([1, 2], first);
        Assert.Equal((1L, 2L), (again[1], again[3]));
        Assert.Equal(again[0], again[4]);
        Assert.True(again[2] > again[0] && again[0] > 2);
        Assert.Equal(["a", "b", "c", "d"], Messages(await log.ReadAfterAsync(0, 10, default)));
    }

    [Fact]
    public async Task An_append_returns_what_is_kept_also_if_that_is_another_note_with_the_id()
    {
        var log = await CreateLogAsync();
        var first = Note("a", "id");
        var kept = new LoggedNote(1, first.Author, first.Note, "id");
        Assert.Equal([kept], await log.AppendAsync([first], default));

        var elsewhere = new NewNote(Guid.NewGuid(), new RouteNote(There, "a"), "id");
        var next = Note("c", "id-c");
        var appended = await log.AppendAsync([Note("b", "id"), next, elsewhere, Note("d", "id-c")], default);

        var added = new LoggedNote(appended[1].Sequence, next.Author, next.Note, "id-c");
        Assert.Equal([kept, added, kept, added], appended);
        Assert.Equal([kept, added], await log.ReadAfterAsync(0, 10, default));
    }

    [Fact]
    public async Task What_is_removed_is_the_oldest_and_no_sequence_is_given_again()
    {
        var log = await CreateLogAsync();
        await AppendAsync(log, (Here, "1"), (Here, "2"), (Here, "3"));

        Assert.Equal(0, await log.RemoveAsync(TimeSpan.FromDays(1), 10, default));
        Assert.Equal(2, await log.RemoveAsync(TimeSpan.FromDays(-1), 2, default));
        Assert.Equal(["3"], Messages(await log.ReadAfterAsync(0, 10, default)));
        Assert.Equal(1, await log.RemoveAsync(TimeSpan.FromDays(-1), 2, default));

        Assert.Equal(3, await log.ReadHeadAsync(default));
        Assert.Equal([4], await AppendAsync(log, (Here, "4")));
    }

    [Fact]
    public async Task Who_reads_on_while_others_write_misses_nothing()
    {
        var log = await CreateLogAsync();
        const int Writers = 4, Batches = 25, Size = 10;
        var writing = Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            for (var batch = 0; batch < Batches; batch++)
            {
                await AppendAsync(log, [.. Enumerable.Range(0, Size).Select(i => (Here, $"{writer}:{batch}:{i}"))]);
            }
        })));

        var read = new List<LoggedNote>();
        while (read.Count < Writers * Batches * Size)
        {
            var isAll = writing.IsCompleted;
            var page = await log.ReadAfterAsync(read.Count > 0 ? read[^1].Sequence : 0, 37, default);
            Assert.False(writing.IsFaulted, $"{writing.Exception}");
            Assert.False(isAll && page.Count == 0, $"{read.Count} notes were read, and no more come");
            read.AddRange(page);
        }

        await writing;
        Assert.Equal(read.Count, read.Select(note => note.Note.Message).Distinct().Count());
    }

    private static Task<IEnumerable<long>> AppendAsync(INoteLog log, params (Coordinate Place, string Message)[] notes) =>
        AppendAsync(log, [.. notes.Select(note => new NewNote(Guid.NewGuid(), new RouteNote(note.Place, note.Message), null))]);

    private static async Task<IEnumerable<long>> AppendAsync(INoteLog log, params NewNote[] notes) =>
        (await log.AppendAsync(notes, default)).Select(note => note.Sequence);

    private static NewNote Note(string message, string? id) => new(Guid.NewGuid(), new RouteNote(Here, message), id);

    private static IEnumerable<string> Messages(IEnumerable<LoggedNote> notes) => notes.Select(note => note.Note.Message);
}
