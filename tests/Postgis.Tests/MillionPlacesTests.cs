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
    public async Task The_spatial_index_serves_the_boxes_of_a_search()
    {
        await places.StoreAsync();
        await using var connection = await places.Database.OpenUnpooledAsync(default);
        await ExecuteAsync(
            connection, $"PREPARE area(boolean, integer, integer, integer, integer, integer) AS {PostgisFeatureCatalog.AreaSql}");
        for (var i = 0; i < 8; i++)
        {
            var plan = await PlanAsync(connection, $"EXECUTE area(true, {i}0000000, {i}0000000, {i}1000000, {i}1000000, 1002)");
            Assert.Contains("feature_location", plan);
            Assert.DoesNotContain("Seq Scan", plan);
        }
    }

    [Fact]
    public async Task The_index_of_codes_serves_the_ranges_of_a_search_without_a_sort()
    {
        await places.StoreAsync();
        await using var connection = await places.Database.OpenUnpooledAsync(default);
        await ExecuteAsync(connection, $"PREPARE codes(boolean, bigint[], bigint[], integer) AS {PostgisFeatureCatalog.CodesSql}");

        foreach (var size in (int[])[1, 1, 1, 16, 64, 64, 1, 16])
        {
            var firsts = string.Join(",", Enumerable.Range(0, size).Select(static range => range << 20));
            var lasts = string.Join(",", Enumerable.Range(0, size).Select(static range => (range << 20) + 1_000));
            var plan = await PlanAsync(connection, $"EXECUTE codes(true, ARRAY[{firsts}], ARRAY[{lasts}], 1001)");
            Assert.Contains("feature_z_order", plan);
            Assert.DoesNotContain("Seq Scan", plan);
            Assert.DoesNotContain("Sort", plan);
        }
    }

    [Fact]
    public async Task The_spatial_index_serves_the_neighbours_of_a_place()
    {
        await places.StoreAsync();
        await using var connection = await places.Database.OpenUnpooledAsync(default);
        await ExecuteAsync(connection, $"PREPARE nearby(boolean, integer, integer, integer) AS {PostgisFeatureCatalog.NearbySql}");
        for (var i = 0; i < 8; i++)
        {
            var plan = await PlanAsync(connection, $"EXECUTE nearby(true, {i}0000000, {i}0000000, 28)");
            Assert.Contains("feature_location", plan);
            Assert.DoesNotContain("Seq Scan", plan);
        }
    }

    [Fact]
    public async Task The_pages_of_a_search_have_all_of_them_once_in_order()
    {
        await places.StoreAsync();
        var search = new FeatureSearch(new PostgisFeatureCatalog(places.Database));
        var (count, last, times) = (0, -1L, new List<double>());
        var found = new List<Feature>();
        for (long? from = 0; from is { } code; count++)
        {
            var began = TimeProvider.System.GetTimestamp();
            var page = await search.ReadPageAsync(new FeatureFilter(), code, FeatureSearch.MaxPage, withProperties: true, default);
            times.Add(TimeProvider.System.GetElapsedTime(began).TotalMilliseconds);
            foreach (var feature in page.Features)
            {
                Assert.True(ZOrder.Encode(feature.Location) > last);
                last = ZOrder.Encode(feature.Location);
                found.Add(new Feature(feature.Location, feature.Name));
            }

            from = page.GoesOnAfter is { } place ? ZOrder.Encode(place) + 1 : null;
        }

        Assert.Equal(places.Scan.In(BoundingBox.World), await Scan.OfAsync(found.ToAsyncEnumerable()));
        Assert.InRange(count, found.Count / FeatureSearch.MaxPage, (found.Count / FeatureSearch.MaxPage) + 1);
        output.WriteLine($"{count} pages; page 1 {times[0]:0.0} ms, 2 to 20 {times[1..20].Average():0.0} ms, 981 to 1000 {times[980..1000].Average():0.0} ms");
        var near = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            var began = TimeProvider.System.GetTimestamp();
            var nearest = await search.FindNearestAsync(new FeatureFilter(), found[i * 5_000].Location, 10, withProperties: true, default);
            near.Add(TimeProvider.System.GetElapsedTime(began).TotalMilliseconds);
            Assert.Equal(0, nearest[0].Meters);
        }

        output.WriteLine($"nearest 10: median {near.Order().ElementAt(100):0.0} ms");
    }

    [Fact]
    public async Task The_primary_key_serves_a_batch_of_look_ups()
    {
        await places.StoreAsync();
        await using var connection = await places.Database.OpenUnpooledAsync(default);
        foreach (var sql in (string[])[PostgisFeatureStore.LookUpSql, PostgisFeatureStore.CountAtSql, PostgisFeatureCatalog.LockRowsSql])
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
