using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Features in one SQLite file, for a service that runs with nothing installed. The key of its table is the Z-order code of the location:
/// a look-up is one seek, a box is a range scan, and a page continues where the last one ended (docs/adr/0003-sqlite-z-order-key.md).
/// Opening and making the file is in SqliteFeatureStore.Open.cs, import and export in SqliteFeatureStore.Import.cs and .Export.cs, single
/// writes in SqliteFeatureStore.Catalog.cs, the change log in SqliteFeatureStore.Changes.cs.
/// </summary>
/// <remarks>
/// The calls are synchronous inside: SQLite has no asynchronous API, and a look-up takes microseconds. A call rents a reader and returns
/// it before it ends, so there are never more readers than threads.
/// </remarks>
public sealed partial class SqliteFeatureStore : IFeatureStore, IDisposable
{
    // The first page is small, so that the first feature leaves soon.
    private const int FirstPage = 64;
    private const int Page = 1_024;

    // Maximum age of a reader's snapshot: writes of another process are seen after this time, own writes at once.
    private static readonly TimeSpan MaxSnapshotAge = TimeSpan.FromMilliseconds(50);

    // Interval at which unused snapshots are ended: an open one keeps the write-ahead log from starting over.
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(1);

    private const string Content = "features";

    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly ConcurrentQueue<SqliteReader> _idle = [];
    private readonly ITimer _sweep;

    // Open as long as the store, and used by checks alone: it knows which file the store has open.
    private readonly SqliteConnection _file;
    private int _commits;
    private volatile bool _disposed;

    private SqliteFeatureStore(string path, SqliteConnection file, TimeProvider clock)
    {
        // A check waits for another program for as long as its command says.
        Execute(file, "PRAGMA busy_timeout = 0");
        _path = path;
        _file = file;
        _clock = clock;
        _sweep = clock.CreateTimer(static store => ((SqliteFeatureStore)store!).EndIdleReads(), this, SweepPeriod, SweepPeriod);
    }

    public ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken)
    {
        var reader = Rent();
        try
        {
            return ValueTask.FromResult(reader.Find(location) is { } name ? new Feature(location, name) : null);
        }
        finally
        {
            Return(reader);
        }
    }

    public ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken)
    {
        var reader = Rent();
        try
        {
            return ValueTask.FromResult(reader.CountAt(locations.Span, cancellationToken));
        }
        finally
        {
            Return(reader);
        }
    }

    public async IAsyncEnumerable<ReadOnlyMemory<Feature>> PagesInAreaAsync(
        BoundingBox area, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Required by the compiler (CS1998): the reads are synchronous.
        await Task.CompletedTask;
        long? from = ZOrder.Encode(area.SouthWest);
        for (var page = new Feature[FirstPage]; from is { } start; page = page.Length < Page ? new Feature[Page] : page)
        {
            from = ReadPage(area, start, page, out var count, cancellationToken);
            if (count > 0)
            {
                yield return page.AsMemory(0, count);
            }
        }
    }

    public ValueTask<long> CountAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect();
            return ValueTask.FromResult(Scalar(connection, "SELECT count(*) FROM feature"));
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    /// <summary>Closes the file; calls in progress finish.</summary>
    public void Dispose()
    {
        _disposed = true;
        _sweep.Dispose();
        _writing.Dispose();
        DisposeIdle();
        _file.Dispose();
    }

    private long? ReadPage(BoundingBox area, long from, Feature[] page, out int count, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var reader = Rent();
        try
        {
            return reader.ReadPage(area, from, page, out count, cancellationToken);
        }
        finally
        {
            Return(reader);
        }
    }

    /// <summary>A reader for one call, with a snapshot that is young enough.</summary>
    /// <param name="isNew">Whether the snapshot has to be of now, with the writes of other processes.</param>
    private SqliteReader Rent(bool isNew = false)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_idle.TryDequeue(out var reader))
        {
            _file.CheckInPlace(Content);
            reader = new SqliteReader(_path, BusyTimeoutMilliseconds);
        }

        try
        {
            var commits = Volatile.Read(ref _commits);
            if (reader.Snapshot is { } snapshot
                && (isNew || snapshot.Commits != commits || _clock.GetElapsedTime(snapshot.Timestamp) > MaxSnapshotAge))
            {
                reader.EndRead();
            }

            if (reader.Snapshot is null)
            {
                _file.CheckInPlace(Content);
                reader.BeginRead(new ReadSnapshot(_clock.GetTimestamp(), commits));
            }

            return reader;
        }
        catch
        {
            reader.Dispose();
            throw;
        }
    }

    private void Return(SqliteReader reader)
    {
        if (reader.IsBroken)
        {
            // The next call makes a new one, which is how the store recovers.
            reader.Dispose();
            return;
        }

        _idle.Enqueue(reader);
        if (_disposed)
        {
            // Disposed meanwhile, perhaps after the queue had been emptied.
            DisposeIdle();
        }
    }

    private void DisposeIdle()
    {
        while (_idle.TryDequeue(out var reader))
        {
            reader.Dispose();
        }
    }

    private void EndIdleReads()
    {
        for (var left = _idle.Count; left > 0 && _idle.TryDequeue(out var reader); left--)
        {
            try
            {
                if (reader.Snapshot is not null)
                {
                    reader.EndRead();
                }
            }
            catch (StoreUnavailableException)
            {
                // A timer has no caller to report to. The reader is broken now and ends in Return; if the fault stays, the next call
                // reports it.
            }

            Return(reader);
        }
    }
}
