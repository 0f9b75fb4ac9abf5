using System.Diagnostics;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>Clients of all kinds at four locations that no other traffic uses.</summary>
internal sealed class ChatTraffic : IAsyncDisposable
{
    // For a busy machine, and a replica that was stopped for twenty seconds.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static int _last;

    private readonly CancellationTokenSource _stop = new();
    private readonly Coordinate[] _places;
    private readonly ChatReplicas _replicas;
    private readonly List<Traveller> _travellers;
    private readonly List<PublishedTraveller> _published;
    private readonly Task _running;

    private ChatTraffic(ChatReplicas replicas, int replicaCount, int seed)
    {
        var latitude = Interlocked.Increment(ref _last);
        _places = [.. Enumerable.Range(0, 4).Select(i => new Coordinate(latitude, i))];
        _replicas = replicas;
        _travellers =
        [
            // Clients that only listen, clients that listen where they post, and clients that join locations by posts.
            .. Travellers(3, "listener", _places, []),
            .. Travellers(4, "both", _places, _places),
            .. Travellers(4, "some", _places[..2], _places),
            .. Travellers(4, "poster", [], _places),
        ];
        _published = [.. Enumerable.Range(0, 3).Select(i => new PublishedTraveller($"published-{latitude}-{i}", seed + 100 + i, replicas, replicaCount, _places))];
        _running = Task.WhenAll([.. _travellers.Select(each => each.RunAsync(_stop.Token)), .. _published.Select(each => each.RunAsync(_stop.Token))]);

        IEnumerable<Traveller> Travellers(int count, string kind, Coordinate[] listen, Coordinate[] posting) => Enumerable.Range(0, count)
            .Select(i => new Traveller($"{kind}-{latitude}-{i}", (seed * 31) + (kind.Length * 10) + i, replicas, replicaCount, listen, posting));
    }

    /// <summary>The sequenced streams so far.</summary>
    public IEnumerable<SequencedStream> Streams => _travellers.SelectMany(static each => each.History.Streams);

    public static ChatTraffic Start(ChatReplicas replicas, int replicaCount, int seed) => new(replicas, replicaCount, seed);

    /// <summary>Waits until all posts are acknowledged and received, and checks everything against the log.</summary>
    /// <returns>A summary, in a sentence.</returns>
    public async Task<string> FinishAsync()
    {
        _travellers.ForEach(static each => each.IsPosting = false);
        await UntilAsync(static each => each.IsAcknowledged, "has posts that are not acknowledged");
        var notes = await ReadNotesAsync();
        var ends = notes.GroupBy(static note => note.Note.Location).ToDictionary(static notes => notes.Key, static notes => notes.Max(static note => note.Sequence));
        await UntilAsync(each => each.HasReached(ends), "has not come to the end of its places");
        await _stop.CancelAsync();
        await _running;
        _replicas.AssertRunning();

        notes = await ReadNotesAsync();
        Assert.Empty(HistoryChecker.Check(notes, _travellers.Select(static each => each.History), _published.SelectMany(static each => each.Streams)));
        Assert.Equal(_travellers.Sum(static each => each.Posted), notes.Count(static note => note.Id is not null));
        return $"{notes.Count} notes; {Streams.Count()} sequenced streams received {Streams.Sum(static each => each.Received.Count)}, "
            + $"{_published.Sum(static each => each.Streams.Count)} published ones {_published.Sum(static each => each.Streams.Sum(static stream => stream.Received.Count))}.";
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task UntilAsync(Func<Traveller, bool> isSo, string problem)
    {
        var clock = Stopwatch.StartNew();
        while (_travellers.Find(each => !isSo(each)) is { } waiting)
        {
            Assert.False(_running.IsCompleted, "The traffic has ended.");
            Assert.True(clock.Elapsed < Patience, $"{waiting.History.Client} {problem}; its stream {waiting.History.Streams.Count}: {waiting.History.Streams[^1]}.");
            await Task.Delay(50);
        }
    }

    private async Task<List<LoggedNote>> ReadNotesAsync() => [.. (await _replicas.ReadLogAsync()).Where(note => _places.Contains(note.Note.Location))];
}
