using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class MemoryNoteLogTests
{
    private static readonly Coordinate Here = new(1, 2);
    private static readonly Coordinate There = new(3, 4);

    [Fact]
    public async Task Notes_are_numbered_from_one_over_all_places()
    {
        var log = new MemoryNoteLog(new ChatOptions());

        Assert.Equal(1, await Append(log, Here, "a"));
        Assert.Equal(2, await Append(log, There, "b"));
        Assert.Equal(3, await Append(log, Here, "c"));
        Assert.Equal(["a", "c"], await After(log, Here, 0));
        Assert.Equal(["b"], await After(log, There, 0));
    }

    [Fact]
    public async Task A_read_after_starts_with_the_next_and_a_read_before_ends_with_the_last()
    {
        var log = new MemoryNoteLog(new ChatOptions());
        foreach (var message in (string[])["1", "2", "3", "4", "5"])
        {
            await Append(log, Here, message);
        }

        Assert.Equal(["3", "4"], await After(log, Here, 2, limit: 2));
        Assert.Equal([], await After(log, Here, 5));
        Assert.Equal(["2", "3"], await Before(log, Here, 4, limit: 2));
        Assert.Equal(["1", "2", "3", "4", "5"], await Before(log, Here, long.MaxValue));
        Assert.Equal([], await Before(log, Here, 1));
        Assert.Equal([], await Before(log, There, long.MaxValue));
    }

    [Fact]
    public async Task Beyond_its_bound_the_oldest_notes_go_wherever_they_are()
    {
        var log = new MemoryNoteLog(new ChatOptions { MaxNotes = 3 });
        await Append(log, Here, "1");
        await Append(log, There, "2");
        await Append(log, Here, "3");
        await Append(log, Here, "4");
        await Append(log, Here, "5");

        Assert.Equal(["3", "4", "5"], await After(log, Here, 0));
        Assert.Equal([], await After(log, There, 0));
    }

    [Fact]
    public async Task What_a_reader_holds_does_not_change_under_it()
    {
        var log = new MemoryNoteLog(new ChatOptions { MaxNotes = 2 });
        await Append(log, Here, "1");
        await Append(log, Here, "2");
        var held = await log.ReadAfterAsync(Here, 0, 10, default);

        for (var i = 3; i < 100; i++)
        {
            await Append(log, Here, $"{i}");
        }

        Assert.Equal(["1", "2"], held.ToArray().Select(logged => logged.Note.Message));
        Assert.Equal(["98", "99"], await After(log, Here, 0));
    }

    private static ValueTask<long> Append(MemoryNoteLog log, Coordinate place, string message) =>
        log.AppendAsync(Guid.NewGuid(), new RouteNote(place, message), default);

    private static async Task<IEnumerable<string>> After(MemoryNoteLog log, Coordinate place, long after, int limit = 100) =>
        (await log.ReadAfterAsync(place, after, limit, default)).ToArray().Select(logged => logged.Note.Message);

    private static async Task<IEnumerable<string>> Before(MemoryNoteLog log, Coordinate place, long before, int limit = 100) =>
        (await log.ReadBeforeAsync(place, before, limit, default)).ToArray().Select(logged => logged.Note.Message);
}
