using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class NoteCacheTests
{
    private static readonly Coordinate Here = new(1, 2);
    private static readonly Coordinate There = new(3, 4);

    [Fact]
    public void A_read_after_starts_with_the_next_and_a_read_before_ends_with_the_last()
    {
        var cache = Started(new NoteCache(1_000_000));
        cache.Append([Note(1, Here), Note(2, There), Note(3, Here), Note(4, Here), Note(5, Here)]);

        Assert.Equal([3, 4], After(cache, Here, 1, limit: 2));
        Assert.Equal([], After(cache, Here, 5));
        Assert.Equal([1, 3], Before(cache, Here, 4, limit: 2));
        Assert.Equal([1, 3, 4, 5], Before(cache, Here, long.MaxValue));
        Assert.Equal([], Before(cache, Here, 1));
        Assert.Equal([2], After(cache, There, 0));
    }

    [Fact]
    public void Before_the_start_nothing_is_known()
    {
        var cache = new NoteCache(1_000_000);

        Assert.False(cache.TryReadAfter(Here, 0, 10, out _));
        Assert.False(cache.TryReadBefore(Here, 100, 10, out _, out _));
    }

    [Fact]
    public void Of_a_log_that_was_there_before_only_what_is_newer_is_known()
    {
        var cache = new NoteCache(1_000_000);
        cache.Start(10);
        cache.Append([Note(11, Here)]);

        Assert.False(cache.TryReadAfter(Here, 9, 10, out _));
        Assert.Equal([11], After(cache, Here, 10));
        Assert.Equal([], After(cache, There, 10));
        Assert.False(cache.TryReadBefore(Here, 12, 2, out var notes, out var completeAbove));
        Assert.Equal((1, 10L), (notes.Length, completeAbove));
        Assert.Equal([11], Before(cache, Here, 12, limit: 1));
    }

    [Fact]
    public void What_was_missing_can_be_added_and_is_then_known()
    {
        var cache = new NoteCache(1_000_000);
        cache.Start(10);
        cache.Append([Note(11, Here)]);

        cache.Prepend(Here, [Note(7, Here), Note(9, Here)], upTo: 10, areAll: false);
        Assert.Equal([9, 11], After(cache, Here, 7));
        Assert.False(cache.TryReadBefore(Here, 12, 10, out _, out var completeAbove));
        Assert.Equal(6, completeAbove);

        cache.Prepend(Here, [Note(2, Here)], upTo: 6, areAll: true);
        Assert.Equal([2, 7, 9, 11], Before(cache, Here, 12));
    }

    [Fact]
    public void What_was_read_for_a_state_that_has_passed_is_not_added()
    {
        var cache = new NoteCache(1_000_000);
        cache.Start(10);
        cache.Append([Note(11, Here)]);
        cache.Prepend(Here, [Note(7, Here), Note(9, Here)], upTo: 10, areAll: true);

        cache.Prepend(Here, [Note(7, Here), Note(9, Here)], upTo: 10, areAll: true);

        Assert.Equal([7, 9, 11], Before(cache, Here, 12));
    }

    [Fact]
    public void Beyond_its_bound_the_oldest_notes_go_wherever_they_are_and_are_known_to_be_missing()
    {
        // Each of these counts as 160 bytes and two for each of its 20 characters.
        var cache = Started(new NoteCache(3 * 200));
        cache.Append([Note(1, Here), Note(2, There), Note(3, Here), Note(4, Here), Note(5, Here)]);

        Assert.Equal([3, 4, 5], After(cache, Here, 2));
        Assert.False(cache.TryReadAfter(Here, 0, 10, out _));
        Assert.False(cache.TryReadAfter(There, 1, 10, out _));
        Assert.Equal([], After(cache, There, 2));
        Assert.Equal(5, cache.Head);

        var tighter = Started(new NoteCache((3 * 200) - 1));
        tighter.Append([Note(1, Here), Note(2, Here), Note(3, Here)]);
        Assert.False(tighter.TryReadAfter(Here, 0, 10, out _));
        Assert.Equal([2, 3], After(tighter, Here, 1));
    }

    [Fact]
    public void A_place_of_which_only_old_notes_were_read_goes_without_a_claim_to_know_newer_ones_of_others()
    {
        var cache = new NoteCache(2 * 200);
        cache.Start(10);
        cache.Append([Note(11, Here), Note(12, Here)]);
        cache.Prepend(There, [Note(1, There)], upTo: 10, areAll: true);
        cache.Append([Note(13, Here), Note(14, Here), Note(15, Here)]);

        // 11, 12 and the note there are gone.
        Assert.False(cache.TryReadAfter(There, 0, 10, out _));
        Assert.False(cache.TryReadAfter(There, 9, 10, out _));
        Assert.False(cache.TryReadAfter(new Coordinate(5, 6), 9, 10, out _));
        Assert.Equal([14, 15], After(cache, Here, 13));
    }

    [Fact]
    public void What_a_reader_holds_does_not_change_under_it()
    {
        var cache = Started(new NoteCache(2 * 200));
        cache.Append([Note(1, Here), Note(2, Here)]);
        Assert.True(cache.TryReadAfter(Here, 0, 10, out var held));

        for (var i = 3; i < 100; i++)
        {
            cache.Append([Note(i, Here)]);
        }

        Assert.Equal([1, 2], held.ToArray().Select(note => note.Sequence));
        Assert.Equal([98, 99], After(cache, Here, 97));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Whatever_it_says_it_knows_is_what_the_log_has(int seed)
    {
        var chance = new Random(seed);
        var places = Enumerable.Range(0, 5).Select(i => new Coordinate(i, 0)).ToArray();
        var log = new List<LoggedNote>();
        for (var i = 1; i <= 50; i++)
        {
            log.Add(Note(i, places[chance.Next(places.Length)]));
        }

        var cache = new NoteCache(40 * 200);
        cache.Start(50);
        for (var step = 0; step < 5_000; step++)
        {
            var place = places[chance.Next(places.Length)];
            var bound = chance.Next(log.Count + 2);
            var limit = chance.Next(1, 20);
            switch (chance.Next(3))
            {
                case 0:
                    log.Add(Note(log.Count + 1, place));
                    cache.Append([log[^1]]);
                    break;
                case 1:
                    if (cache.TryReadAfter(place, bound, limit, out var after))
                    {
                        Assert.Equal(log.Where(note => note.Note.Location == place && note.Sequence > bound).Take(limit), after.ToArray());
                    }

                    break;
                default:
                    var older = log.Where(note => note.Note.Location == place && note.Sequence < bound).TakeLast(limit).ToList();
                    if (cache.TryReadBefore(place, bound, limit, out var before, out var completeAbove))
                    {
                        Assert.Equal(older, before.ToArray());
                    }
                    else if (bound > completeAbove)
                    {
                        var missing = older.Where(note => note.Sequence <= completeAbove).ToList();
                        Assert.Equal(older, missing.Concat(before.ToArray()));
                        cache.Prepend(place, missing, completeAbove, areAll: older.Count < limit);
                    }

                    break;
            }
        }
    }

    private static NoteCache Started(NoteCache cache)
    {
        cache.Start(0);
        return cache;
    }

    private static LoggedNote Note(long sequence, Coordinate place) => new(sequence, default, new RouteNote(place, $"{sequence,20}"), null);

    private static IEnumerable<long> After(NoteCache cache, Coordinate place, long after, int limit = 100)
    {
        Assert.True(cache.TryReadAfter(place, after, limit, out var notes));
        return notes.ToArray().Select(note => note.Sequence);
    }

    private static IEnumerable<long> Before(NoteCache cache, Coordinate place, long before, int limit = 100)
    {
        Assert.True(cache.TryReadBefore(place, before, limit, out var notes, out _));
        return notes.ToArray().Select(note => note.Sequence);
    }
}
