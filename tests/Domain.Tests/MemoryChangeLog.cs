using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Domain.Tests;

/// <summary>A change log in memory with the features that it is about, that several feeds can share, and that can be away.</summary>
internal sealed class MemoryChangeLog(TimeProvider? clock = null) : IChangeLog
{
    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private readonly Lock _gate = new();
    private readonly List<LoggedChange> _changes = [];
    private readonly Dictionary<Coordinate, CatalogFeature> _features = [];
    private readonly List<Channel<bool>> _listeners = [];
    private long _head;

    /// <summary>While true every call fails.</summary>
    public bool IsAway { get; set; }

    /// <summary>Whether others are told of changes; else they are to find out when they look.</summary>
    public bool Notifies { get; set; } = true;

    /// <summary>Reads of features go on when this has completed.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>The reads of features so far, each with its number of places.</summary>
    public List<int> ReadsOfFeatures { get; } = [];

    /// <summary>Creates, updates or, without a name, deletes a feature, as one commit.</summary>
    public long Put(Coordinate place, string? name) => Append(() =>
    {
        var exists = _features.TryGetValue(place, out var before);
        if (name is null)
        {
            _features.Remove(place);
            return (ChangeKind.Deleted, new BoundingBox(place, place));
        }

        var now = _clock.GetUtcNow();
        _features[place] = new CatalogFeature(place, name, Properties.Empty, new Etag(_head), before?.CreatedAt ?? now, now);
        return (exists ? ChangeKind.Updated : ChangeKind.Created, new BoundingBox(place, place));
    });

    public long Reset(BoundingBox box) => Append(() => (ChangeKind.Reset, box));

    /// <summary>Goes back to an earlier state of the log, as a backup does.</summary>
    public void GoBackTo(long sequence)
    {
        lock (_gate)
        {
            _changes.RemoveAll(change => change.Sequence > sequence);
            _head = sequence;
            Notify();
        }
    }

    public Task<long> ReadHeadAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfAway();
            return Task.FromResult(_head);
        }
    }

    public Task<IReadOnlyList<LoggedChange>> ReadFromAsync(long sequence, int limit, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfAway();
            var from = _changes.Count == 0 ? 0 : (int)Math.Clamp(sequence - _changes[0].Sequence, 0, _changes.Count);
            return Task.FromResult<IReadOnlyList<LoggedChange>>(_changes.GetRange(from, Math.Min(limit, _changes.Count - from)));
        }
    }

    public async Task<IReadOnlyList<CatalogFeature>> ReadFeaturesAsync(
        IReadOnlyCollection<Coordinate> places, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ReadsOfFeatures.Add(places.Count);
        }

        await Gate;
        lock (_gate)
        {
            ThrowIfAway();
            return [.. places.Select(place => _features.GetValueOrDefault(place)).OfType<CatalogFeature>()];
        }
    }

    public Task<int> RemoveAsync(TimeSpan age, long keep, int limit, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfAway();
            var old = _changes.Take(limit).Count(change => (change.Time < _clock.GetUtcNow() - age || change.Sequence <= _head - keep) && change.Sequence < _head);
            _changes.RemoveRange(0, old);
            return Task.FromResult(old);
        }
    }

    public async IAsyncEnumerable<bool> ListenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var channel = Channel.CreateUnbounded<bool>();
        lock (_gate)
        {
            ThrowIfAway();
            _listeners.Add(channel);
        }

        yield return true;
        await foreach (var hint in channel.Reader.ReadAllAsync(cancellationToken))
        {
            ThrowIfAway();
            yield return hint;
        }
    }

    private long Append(Func<(ChangeKind Kind, BoundingBox Box)> change)
    {
        lock (_gate)
        {
            var (kind, box) = change();
            _changes.Add(new LoggedChange(++_head, kind, box, _clock.GetUtcNow()));
            Notify();
            return _head;
        }
    }

    private void Notify()
    {
        foreach (var listener in Notifies ? _listeners : [])
        {
            listener.Writer.TryWrite(true);
        }
    }

    private void ThrowIfAway()
    {
        if (IsAway)
        {
            throw new StoreUnavailableException("away");
        }
    }
}
