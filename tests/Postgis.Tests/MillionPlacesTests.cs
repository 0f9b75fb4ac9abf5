using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>More than a million made places, some of them crowded and some at the edges of the map.</summary>
public sealed class MillionPlacesTests(MillionPlacesTests.Places places, ITestOutputHelper output) : IClassFixture<MillionPlacesTests.Places>
{
    [Fact]
    public async Task They_are_all_imported_and_listed()
    {
        var store = await places.StoreAsync();

        Assert.Equal(places.Scan.Count, await store.CountAsync(default));
        Assert.Equal(places.Scan.In(BoundingBox.World), await Scan.OfAsync(store.InAreaAsync(BoundingBox.World, default)));
    }

    [Fact]
    public async Task Rectangles_and_points_are_answered_as_a_scan_answers_them()
    {
        var store = await places.StoreAsync();
        var seed = Environment.TickCount;
        output.WriteLine($"Seed {seed}.");

        await places.Scan.CompareAsync(store, seed, boxes: 1_000, points: 10_000);
    }

    [Fact]
    public async Task The_spatial_index_serves_a_selective_rectangle()
    {
        await places.StoreAsync();
        await using var connection = await places.Database.OpenUnpooledAsync(default);
        await ExecuteAsync(connection, $"PREPARE area(integer, integer, integer, integer, integer) AS {PostgisFeatureStore.AreaSql}");

        // From the sixth time on PostgreSQL may take a plan for all parameters.
        for (var i = 0; i < 8; i++)
        {
            var plan = await PlanAsync(connection, $"EXECUTE area({i}0000000, {i}0000000, {i}1000000, {i}1000000, 1000)");
            Assert.Contains("feature_location", plan);
            Assert.DoesNotContain("Seq Scan", plan);
        }
    }

    [Fact]
    public async Task The_primary_key_serves_a_batch_of_look_ups()
    {
        await places.StoreAsync();
        await using var connection = await places.Database.OpenUnpooledAsync(default);
        foreach (var sql in (string[])[PostgisFeatureStore.LookUpSql, PostgisFeatureStore.CountAtSql])
        {
            foreach (var size in (int[])[1, 500, 10_000])
            {
                var integers = Enumerable.Range(0, size).ToArray();
                var plan = await PlanAsync(connection, sql, integers, integers);
                Assert.Contains("feature_pkey", plan);
                Assert.DoesNotContain("Seq Scan", plan);
            }
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<string> PlanAsync(NpgsqlConnection connection, string sql, params int[][] arrays)
    {
        await using var command = new NpgsqlCommand($"EXPLAIN {sql}", connection);
        foreach (var array in arrays)
        {
            command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = array, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Integer });
        }

        await using var reader = await command.ExecuteReaderAsync();
        var lines = new List<string>();
        while (await reader.ReadAsync())
        {
            lines.Add(reader.GetString(0));
        }

        return string.Join('\n', lines);
    }

    /// <summary>The places in a database; the tests only read it.</summary>
    public sealed class Places : IAsyncDisposable
    {
        private readonly Lazy<Task<TestStore>> _store;

        public Places() => _store = new Lazy<Task<TestStore>>(ImportAsync);

        internal Scan Scan { get; private set; } = new([]);

        internal PostgisDatabase Database { get; private set; } = null!;

        internal async Task<PostgisFeatureStore> StoreAsync() => (await _store.Value).Store;

        public async ValueTask DisposeAsync()
        {
            if (_store is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            {
                await (await _store.Value).DisposeAsync();
            }
        }

        private async Task<TestStore> ImportAsync()
        {
            var store = await TestStore.CreateAsync();
            Database = store.Connections;
            var scattered = Scattered(1_000_000).ToList();
            var crowded = Crowded(new Random(4)).ToList();
            Scan = new Scan(scattered.Concat(crowded));

            Assert.Equal(
                new ImportSummary(Read: scattered.Count, Superseded: 0, Overwritten: 0, Total: scattered.Count),
                await store.Store.ImportAsync(scattered.ToAsyncEnumerable(), replace: false, default));
            var more = await store.Store.ImportAsync(crowded.ToAsyncEnumerable(), replace: false, default);
            Assert.Equal((crowded.Count, Scan.Count), (more.Read, more.Total));
            return store;
        }

        /// <summary>Over the whole map, each sixteenth without a name.</summary>
        private static IEnumerable<Feature> Scattered(int count)
        {
            var seen = new HashSet<Coordinate>();
            var state = 42UL;
            while (seen.Count < count)
            {
                var place = new Coordinate((int)(Next() % 1_800_000_001) - 900_000_000, (int)((long)(Next() % 3_600_000_001) - 1_800_000_000));
                if (seen.Add(place))
                {
                    var i = seen.Count - 1;
                    yield return new Feature(place, i % 16 == 15 ? "" : $"Feature {i:0000000}, Synthetic Road, Testville");
                }
            }

            // SplitMix64.
            ulong Next()
            {
                unchecked
                {
                    state += 0x9E3779B97F4A7C15;
                    var value = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
                    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
                    return value ^ (value >> 31);
                }
            }
        }

        /// <summary>A hundred thousand within a hundred metres, and a thousand along each edge of the map.</summary>
        private static IEnumerable<Feature> Crowded(Random chance)
        {
            for (var i = 0; i < 100_000; i++)
            {
                yield return new Feature(new Coordinate(473_666_700 + chance.Next(10_000), 85_500_000 + chance.Next(10_000)), $"Crowd {i}");
            }

            for (var i = 0; i < 1_000; i++)
            {
                var longitude = chance.Next(-Coordinate.MaxLongitudeE7, Coordinate.MaxLongitudeE7);
                var latitude = chance.Next(-Coordinate.MaxLatitudeE7, Coordinate.MaxLatitudeE7);
                yield return new Feature(new Coordinate(Coordinate.MaxLatitudeE7, longitude), $"North {i}");
                yield return new Feature(new Coordinate(-Coordinate.MaxLatitudeE7, longitude), $"South {i}");
                yield return new Feature(new Coordinate(latitude, Coordinate.MaxLongitudeE7), $"East {i}");
                yield return new Feature(new Coordinate(latitude, -Coordinate.MaxLongitudeE7), $"West {i}");
            }
        }
    }
}
