using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Features in one SQLite file, for a service that runs with nothing installed. One table, whose key is the Z-order code of the place: a look-up
/// is one seek, a box is a scan of a range, and a page goes on where the last one ended (docs/adr/0003-sqlite-z-order-key.md).
/// Opening and making the file is in SqliteFeatureStore.Open.cs, import in SqliteFeatureStore.Import.cs.
/// </summary>
/// <remarks>
/// The calls are synchronous inside: SQLite has no other, and a look-up takes microseconds. A reader is taken for one of them and is back when it
/// returns, so there are never more than threads.
/// </remarks>
public sealed partial class SqliteFeatureStore : IFeatureStore, IDisposable
{
    // The first page is small, so that the first feature leaves soon.
    private const int FirstPage = 64;
    private const int Page = 1_024;

    // How old a reader's snapshot may be: what another process imports is seen after so long, and its own import at once.
    private static readonly TimeSpan MaxSnapshotAge = TimeSpan.FromMilliseconds(50);

    // How often snapshots that nobody reads from are ended: an open one keeps the write-ahead log from starting over.
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly ConcurrentQueue<SqliteReader> _idle = [];
    private readonly ITimer _sweep;
    private int _imports;

    private SqliteFeatureStore(string path, TimeProvider clock)
    {
        _path = path;
        _clock = clock;
        _sweep = clock.CreateTimer(static store => ((SqliteFeatureStore)store!).EndIdleReads(), this, SweepPeriod, SweepPeriod);
    }

    public ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken)
    {
        var reader = Rent();
        var name = reader.Find(location);
        _idle.Enqueue(reader);
        return ValueTask.FromResult(name is null ? null : new Feature(location, name));
    }

    public ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken)
    {
        var reader = Rent();
        var count = reader.CountAt(locations.Span);
        _idle.Enqueue(reader);
        return ValueTask.FromResult(count);
    }

    public async IAsyncEnumerable<Feature> InAreaAsync(BoundingBox area, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Gives the caller its thread back once; from there on it is the caller who waits between the pages.
        await Task.CompletedTask;
        long? from = ZOrder.Encode(area.SouthWest);
        var page = new Feature[FirstPage];
        while (from is { } start)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var reader = Rent();
            from = reader.ReadPage(area, start, page, out var count, cancellationToken);
            _idle.Enqueue(reader);
            for (var i = 0; i < count; i++)
            {
                yield return page[i];
            }

            if (page.Length < Page)
            {
                page = new Feature[Page];
            }
        }
    }

    public ValueTask<long> CountAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect(_path);
            return ValueTask.FromResult(Scalar(connection, "SELECT count(*) FROM feature"));
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(_path, e);
        }
    }

    public void Dispose()
    {
        _sweep.Dispose();
        while (_idle.TryDequeue(out var reader))
        {
            reader.Dispose();
        }
    }

    /// <summary>
    /// A reader for one call, with a snapshot that is young enough. It is given back when the call succeeded; after a failure it is left, and a
    /// new one is made.
    /// </summary>
    private SqliteReader Rent()
    {
        if (!_idle.TryDequeue(out var reader))
        {
            reader = new SqliteReader(_path, BusyTimeoutMilliseconds);
        }

        var imports = Volatile.Read(ref _imports);
        if (reader.Snapshot is { } snapshot && (snapshot.Imports != imports || _clock.GetElapsedTime(snapshot.Timestamp) > MaxSnapshotAge))
        {
            reader.EndRead();
        }

        if (reader.Snapshot is null)
        {
            reader.BeginRead(new ReadSnapshot(_clock.GetTimestamp(), imports));
        }

        return reader;
    }

    private void EndIdleReads()
    {
        for (var left = _idle.Count; left > 0 && _idle.TryDequeue(out var reader); left--)
        {
            if (reader.Snapshot is not null)
            {
                reader.EndRead();
            }

            _idle.Enqueue(reader);
        }
    }
}
