using System.Text;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using SQLitePCL;

namespace RouteService.Store.Bench;

/// <summary>
/// Another layout of features in SQLite, measured with the same raw calls and pragmas as the store's. Parameters of the statements: 1 and 2
/// are latitude and longitude, or south and west; 3 is the name, or 3 and 4 are north and east.
/// </summary>
internal sealed record Layout(string Name, string Create, string Insert, string Find, string InArea)
{
    public static Layout RTree { get; } = new(
        "rtree_i32",
        "CREATE VIRTUAL TABLE feature USING rtree_i32(id, south, north, west, east, +name TEXT)",
        "INSERT INTO feature (south, north, west, east, name) VALUES (?1, ?1, ?2, ?2, ?3)",
        "SELECT name FROM feature WHERE south >= ?1 AND north <= ?1 AND west >= ?2 AND east <= ?2",
        "SELECT south, west, name FROM feature WHERE south >= ?1 AND north <= ?3 AND west >= ?2 AND east <= ?4");

    public static Layout Columns { get; } = new(
        "latitude, longitude",
        "CREATE TABLE feature (latitude INTEGER, longitude INTEGER, name TEXT NOT NULL, PRIMARY KEY (latitude, longitude)) WITHOUT ROWID",
        "INSERT INTO feature VALUES (?1, ?2, ?3)",
        "SELECT name FROM feature WHERE latitude = ?1 AND longitude = ?2",
        "SELECT latitude, longitude, name FROM feature WHERE latitude BETWEEN ?1 AND ?3 AND longitude BETWEEN ?2 AND ?4");
}

/// <summary>A file in a <see cref="Layout"/>, written and read on one connection.</summary>
internal sealed class LayoutFile : IDisposable
{
    private readonly sqlite3 _connection;
    private readonly Layout _layout;
    private sqlite3_stmt? _find;
    private sqlite3_stmt? _inArea;

    public LayoutFile(string path, Layout layout)
    {
        _layout = layout;
        Batteries_V2.Init();
        Check(raw.sqlite3_open_v2(path, out _connection, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | raw.SQLITE_OPEN_NOMUTEX, null));
        Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
        Execute(layout.Create);
    }

    /// <summary>Inserts in the order of the latitude, which suits both layouts.</summary>
    public void Import(IEnumerable<Feature> features)
    {
        Execute("BEGIN");
        using (var insert = Prepare(_layout.Insert))
        {
            foreach (var feature in features.OrderBy(feature => feature.Location.LatitudeE7).ThenBy(feature => feature.Location.LongitudeE7))
            {
                Bind(insert, 1, feature.Location);
                Check(raw.sqlite3_bind_text(insert, 3, feature.Name));
                raw.sqlite3_step(insert);
                Check(raw.sqlite3_reset(insert));
            }
        }

        Execute("COMMIT");
        Execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// <summary>Begins a read transaction, because the store keeps one over many look-ups.</summary>
    public void BeginRead()
    {
        _find = Prepare(_layout.Find);
        _inArea = Prepare(_layout.InArea);
        Execute("BEGIN");
    }

    public Feature? Find(Coordinate place)
    {
        Bind(_find!, 1, place);
        var feature = raw.sqlite3_step(_find) == raw.SQLITE_ROW ? new Feature(place, Text(_find!, 0)) : null;
        Check(raw.sqlite3_reset(_find));
        return feature;
    }

    public IEnumerable<Feature> InArea(BoundingBox area)
    {
        Bind(_inArea!, 1, area.SouthWest);
        Bind(_inArea!, 3, area.NorthEast);
        while (raw.sqlite3_step(_inArea) == raw.SQLITE_ROW)
        {
            yield return new Feature(
                new Coordinate(raw.sqlite3_column_int(_inArea, 0), raw.sqlite3_column_int(_inArea, 1)), Text(_inArea!, 2));
        }

        Check(raw.sqlite3_reset(_inArea));
    }

    public void Dispose()
    {
        _find?.Dispose();
        _inArea?.Dispose();
        _connection.Dispose();
    }

    private static void Bind(sqlite3_stmt statement, int parameter, Coordinate place)
    {
        Check(raw.sqlite3_bind_int(statement, parameter, place.LatitudeE7));
        Check(raw.sqlite3_bind_int(statement, parameter + 1, place.LongitudeE7));
    }

    private static string Text(sqlite3_stmt statement, int column) => Encoding.UTF8.GetString(raw.sqlite3_column_blob(statement, column));

    private sqlite3_stmt Prepare(string sql)
    {
        Check(raw.sqlite3_prepare_v2(_connection, sql, out var statement));
        return statement;
    }

    private void Execute(string sql) => Check(raw.sqlite3_exec(_connection, sql));

    private static void Check(int result)
    {
        if (result != raw.SQLITE_OK)
        {
            throw new InvalidOperationException($"SQLite answers {result}: {raw.sqlite3_errstr(result).utf8_to_string()}");
        }
    }
}
