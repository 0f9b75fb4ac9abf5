using System.Text;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using SQLitePCL;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// A connection with the prepared statements of the reads. It calls SQLite's own API, because ADO.NET's objects for each look-up cost
/// several times the look-up. A read transaction is kept over many calls, because beginning and ending one (two file locks) costs ten times
/// a look-up; the owner of the reader ends it with <see cref="EndRead"/> when its snapshot is too old.
/// </summary>
/// <threadsafety>For one caller at a time.</threadsafety>
internal sealed class SqliteReader : IDisposable
{
    public const string GetSql = """
        SELECT name, (SELECT properties FROM feature_properties AS p WHERE p.place = f.place), revision, created_at, updated_at
        FROM feature AS f WHERE place = $place
        """;

    private const string ReadSql = """
        SELECT name, CASE WHEN ? THEN (SELECT properties FROM feature_properties AS p WHERE p.place = f.place) END,
            revision, created_at, updated_at, place
        FROM feature AS f WHERE place BETWEEN ? AND ? ORDER BY place
        """;

    // Rows of a gap in the range of a box that are stepped over before the gap is jumped: a jump costs about as much as these steps.
    private const int StepsBeforeJump = 8;

    // How often a long call checks for cancellation, in rows or look-ups: a few milliseconds.
    private const int RowsPerLook = 4_096;

    // SQLite's default of 2 MB holds a third of 100 000 features; the others are read from the file for each look-up.
    private const int CacheKibibytes = 8 * 1024;

    private readonly sqlite3 _connection;
    private readonly sqlite3_stmt _begin;
    private readonly sqlite3_stmt _end;
    private readonly sqlite3_stmt _find;
    private readonly sqlite3_stmt _get;
    private readonly sqlite3_stmt _read;
    private readonly sqlite3_stmt _scan;

    /// <exception cref="StoreUnavailableException">The file cannot be opened.</exception>
    public SqliteReader(string path, int busyTimeoutMilliseconds)
    {
        // NOMUTEX: a reader has one caller at a time, so SQLite need not lock.
        var opened = raw.sqlite3_open_v2(path, out _connection, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_NOMUTEX, null);
        try
        {
            Check(opened);
            Check(raw.sqlite3_busy_timeout(_connection, busyTimeoutMilliseconds));
            Check(raw.sqlite3_exec(_connection, $"PRAGMA cache_size = -{CacheKibibytes}"));
            _begin = Prepare("BEGIN");
            _end = Prepare("COMMIT");
            _find = Prepare("SELECT name FROM feature WHERE place = ?");
            _get = Prepare(GetSql);
            _read = Prepare(ReadSql);
            _scan = Prepare("SELECT place, name FROM feature WHERE place BETWEEN ? AND ? ORDER BY place");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether a call has failed; the connection's state is then unknown, and it must not be used again.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>The snapshot being read, as <see cref="BeginRead"/> was given it; null for none.</summary>
    public ReadSnapshot? Snapshot { get; private set; }

    /// <summary>Begins a read transaction: until <see cref="EndRead"/> the reads see one state of the file.</summary>
    public void BeginRead(ReadSnapshot snapshot)
    {
        Run(_begin);
        Snapshot = snapshot;
    }

    public void EndRead()
    {
        Snapshot = null;
        Run(_end);
    }

    /// <summary>The name of the feature at this location, or null.</summary>
    public string? Find(Coordinate location)
    {
        try
        {
            return Seek(location) ? Text(_find, 0) : null;
        }
        finally
        {
            raw.sqlite3_reset(_find);
        }
    }

    /// <summary>The feature at this place with all that is kept of it, or null.</summary>
    public CatalogFeature? Get(Coordinate location)
    {
        try
        {
            Check(raw.sqlite3_bind_int64(_get, 1, ZOrder.Encode(location)));
            return Step(_get) ? Feature(_get, location) : null;
        }
        finally
        {
            raw.sqlite3_reset(_get);
        }
    }

    /// <summary>The first features of the boxes from a code, in Z-order.</summary>
    public CatalogPage Read(
        IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken)
    {
        var found = new List<CatalogFeature>();
        var (length, passed) = (0, 0);
        foreach (var range in ZOrder.Ranges(boxes).Where(range => range.Last >= from))
        {
            try
            {
                Check(raw.sqlite3_bind_int(_read, 1, withProperties ? 1 : 0));
                Check(raw.sqlite3_bind_int64(_read, 2, Math.Max(from, range.First)));
                Check(raw.sqlite3_bind_int64(_read, 3, range.Last));
                while (Step(_read))
                {
                    if (passed % RowsPerLook == 0)
                    {
                        cancellationToken.ThrowIfCancellationRequested();
                    }

                    var location = ZOrder.Decode(raw.sqlite3_column_int64(_read, 5));
                    var isFound = boxes.Any(box => box.Contains(location));
                    if (isFound)
                    {
                        found.Add(Feature(_read, location));
                        length += found[^1].Length;
                    }

                    if (found.Count == limit || length >= CatalogPage.MaxLength || (++passed >= CatalogPage.MaxPassed && !isFound))
                    {
                        return new CatalogPage(found, location);
                    }
                }
            }
            finally
            {
                raw.sqlite3_reset(_read);
            }
        }

        return new CatalogPage(found, GoesOnAfter: null);
    }

    public int CountAt(ReadOnlySpan<Coordinate> locations, CancellationToken cancellationToken)
    {
        var count = 0;
        try
        {
            for (var i = 0; i < locations.Length; i++)
            {
                if (i % RowsPerLook == 0)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                }

                count += Seek(locations[i]) ? 1 : 0;
                raw.sqlite3_reset(_find);
            }

            return count;
        }
        finally
        {
            raw.sqlite3_reset(_find);
        }
    }

    /// <summary>Fills a page with features of the box, in Z-order.</summary>
    /// <param name="area">The box.</param>
    /// <param name="from">Z-order code to begin with.</param>
    /// <param name="page">Filled from the start.</param>
    /// <param name="count">Number of features in the page.</param>
    /// <param name="cancellationToken">Cancels a long search.</param>
    /// <returns>Code to continue with; null if there are no more features.</returns>
    public long? ReadPage(BoundingBox area, long from, Span<Feature> page, out int count, CancellationToken cancellationToken)
    {
        count = 0;
        var (first, last) = (ZOrder.Encode(area.SouthWest), ZOrder.Encode(area.NorthEast));
        var wanted = from;
        var stepped = 0;
        var rows = 0;
        try
        {
            Open(from, last);
            while (Step(_scan))
            {
                if (++rows % RowsPerLook == 0)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                }

                var code = raw.sqlite3_column_int64(_scan, 0);
                if (code >= wanted)
                {
                    var location = ZOrder.Decode(code);
                    if (area.Contains(location))
                    {
                        page[count++] = new Feature(location, Text(_scan, 1));
                        if (count == page.Length)
                        {
                            return code == last ? null : code + 1;
                        }

                        continue;
                    }

                    wanted = ZOrder.NextInBox(code, first, last);
                    stepped = 0;
                }

                if (++stepped > StepsBeforeJump)
                {
                    Open(wanted, last);
                    stepped = 0;
                }
            }

            return null;
        }
        finally
        {
            raw.sqlite3_reset(_scan);
        }
    }

    public void Dispose()
    {
        // Null when the constructor failed before it.
        _begin?.Dispose();
        _end?.Dispose();
        _find?.Dispose();
        _get?.Dispose();
        _read?.Dispose();
        _scan?.Dispose();
        _connection.Dispose();
    }

    private void Run(sqlite3_stmt statement)
    {
        try
        {
            Step(statement);
        }
        finally
        {
            raw.sqlite3_reset(statement);
        }
    }

    private bool Seek(Coordinate location)
    {
        Check(raw.sqlite3_bind_int64(_find, 1, ZOrder.Encode(location)));
        return Step(_find);
    }

    private void Open(long from, long last)
    {
        raw.sqlite3_reset(_scan);
        Check(raw.sqlite3_bind_int64(_scan, 1, from));
        Check(raw.sqlite3_bind_int64(_scan, 2, last));
    }

    private bool Step(sqlite3_stmt statement)
    {
        var result = raw.sqlite3_step(statement);
        if (result is raw.SQLITE_ROW or raw.SQLITE_DONE)
        {
            return result == raw.SQLITE_ROW;
        }

        throw Failure(result);
    }

    private sqlite3_stmt Prepare(string sql)
    {
        Check(raw.sqlite3_prepare_v2(_connection, sql, out var statement));
        return statement;
    }

    private void Check(int result)
    {
        if (result != raw.SQLITE_OK)
        {
            throw Failure(result);
        }
    }

    private StoreUnavailableException Failure(int result)
    {
        IsBroken = true;
        return SqliteErrors.Unavailable(new SqliteException(raw.sqlite3_errmsg(_connection).utf8_to_string(), result & 0xFF, result));
    }

    private static CatalogFeature Feature(sqlite3_stmt statement, Coordinate location) => SqliteFeatureStore.Feature(
        location,
        Text(statement, 0),
        raw.sqlite3_column_blob(statement, 1),
        raw.sqlite3_column_int64(statement, 2),
        raw.sqlite3_column_int64(statement, 3),
        raw.sqlite3_column_type(statement, 4) == raw.SQLITE_NULL ? null : raw.sqlite3_column_int64(statement, 4));

    // As bytes: SQLite's text is UTF-8 already, and may be empty.
    private static string Text(sqlite3_stmt statement, int column) => Encoding.UTF8.GetString(raw.sqlite3_column_blob(statement, column));
}

/// <summary>The start of a read transaction: the clock's timestamp, and the number of writes until then.</summary>
internal readonly record struct ReadSnapshot(long Timestamp, int Commits);
