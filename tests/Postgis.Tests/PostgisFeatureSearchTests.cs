using System.Text;
using Npgsql;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisFeatureSearchTests : FeatureSearchContract, IAsyncDisposable
{
    private TestStore? _store;

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    [Fact]
    public async Task The_keys_of_all_characters_are_those_that_the_database_makes()
    {
        await CreateAsync();
        await using var connection = await _store!.Connections.OpenUnpooledAsync(default);
        await using var command = new NpgsqlCommand(
            "SELECT i, search_key(chr(i)) FROM generate_series(1, 1114111) AS i WHERE i NOT BETWEEN 55296 AND 57343", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var count = 0;
        while (await reader.ReadAsync())
        {
            var character = char.ConvertFromUtf32(reader.GetInt32(0));
            if (SearchKey.Of(TextFold.Fold(character)) != reader.GetString(1))
            {
                Assert.Fail($"U+{reader.GetInt32(0):X}: '{SearchKey.Of(TextFold.Fold(character))}' and '{reader.GetString(1)}'");
            }

            count++;
        }

        Assert.Equal(1_112_063, count);
    }

    [Theory]
    [InlineData("abc", "%abc%")]
    [InlineData("ab", null)]
    [InlineData("ab c", null)]
    [InlineData("%_\\", null)]
    [InlineData("% a\\b_c%def", "%def%")]
    [InlineData("abc%_\\", @"%abc\%\_\\%")]
    [InlineData("京", "%fjg%")]
    public void A_pattern_begins_with_a_trigram(string folded, string? pattern) => Assert.Equal(pattern, SearchKey.Pattern(folded));

    [Theory]
    [InlineData("needle", null)]
    [InlineData("NÉEDLE", null)]
    [InlineData("針", null)]
    [InlineData("", """{"rare":true}""")]
    [InlineData("hay", """{"rare":true}""")]
    [InlineData("needle", """{"often":1}""")]
    public async Task One_of_many_is_found_by_an_index(string text, string? properties)
    {
        var catalog = await CreateAsync();
        await FillAsync();
        var filter = new FeatureFilter(null, text, properties is null ? null : Of(properties));

        var found = await catalog.FindAsync(filter, 10, withProperties: true, default);
        var nearest = await new FeatureSearch(catalog).FindNearestAsync(filter, new Coordinate(900_000_000, 0), 1, withProperties: true, default);

        Assert.Equal([new Coordinate(20_000, 20_000)], found!.Select(static feature => feature.Location));
        Assert.Equal(found, nearest.Select(static feature => feature.Feature));
        Assert.Equal(found![0], await catalog.GetAsync(found[0].Location, default));
        Assert.Equal([], await catalog.FindAsync(
            new FeatureFilter(new Circle(default, 1), text, filter.Properties), 10, withProperties: true, default));
    }

    [Fact]
    public async Task What_many_have_and_what_no_index_serves_is_not_found()
    {
        var catalog = await CreateAsync();
        await FillAsync();

        Assert.Null(await FindAsync(new FeatureFilter(text: "hay"), 20_000));
        Assert.Null(await FindAsync(new FeatureFilter(text: "ne"), 20_000));
        Assert.Null(await FindAsync(new FeatureFilter(properties: Of("""{"often":1}""")), 19_999));
        Assert.Equal(20_001, (await FindAsync(new FeatureFilter(text: "hay"), 20_001))!.Count);
        Assert.Equal(20_000, (await FindAsync(new FeatureFilter(properties: Of("""{"often":1}""")), 20_000))!.Count);
        await _store!.Database.ExecuteAsync("DROP INDEX feature_search_key, feature_properties_values");
        Assert.Null(await FindAsync(new FeatureFilter(text: "needle"), 10));
        Assert.Null(await FindAsync(new FeatureFilter(properties: Of("""{"rare":true}""")), 10));

        Task<IReadOnlyList<CatalogFeature>?> FindAsync(FeatureFilter filter, int limit) =>
            catalog.FindAsync(filter, limit, withProperties: false, default);
    }

    [Fact]
    public async Task An_index_that_does_not_answer_in_a_second_is_done_without()
    {
        var catalog = await CreateAsync();
        await using var other = await _store!.Connections.OpenUnpooledAsync(default);
        await using var transaction = await other.BeginTransactionAsync();
        await using var block = new NpgsqlCommand("LOCK TABLE feature", other, transaction);
        await block.ExecuteNonQueryAsync();

        Assert.Null(await catalog.FindAsync(new FeatureFilter(text: "needle"), 10, withProperties: false, default));
        using var ending = new CancellationTokenSource();
        var search = catalog.FindAsync(new FeatureFilter(text: "needle"), 10, withProperties: false, ending.Token);
        await ending.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => search);
    }

    [Fact]
    public async Task A_query_for_candidates_reads_an_index_whatever_the_statistics_say()
    {
        await CreateAsync();
        await FillAsync();
        await _store!.Database.ExecuteAsync("VACUUM ANALYZE");
        (string Sql, string Type, string Often, string Index)[] queries =
        [
            (PostgisFeatureCatalog.FindByTextSql, "text", "%hay%", "feature_search_key"),
            (PostgisFeatureCatalog.FindByPropertiesSql, "jsonb", """{"often":1}""", "feature_properties_values"),
        ];
        foreach (var mode in (string[])["force_custom_plan", "force_generic_plan"])
        {
            foreach (var (sql, type, often, index) in queries)
            {
                await using var connection = await _store.Connections.OpenUnpooledAsync(default);
                await using var transaction = await connection.BeginTransactionAsync();
                await RunAsync(PostgisFeatureCatalog.FindSettingsSql);
                await RunAsync($"SET plan_cache_mode = {mode}; PREPARE find (int[], int[], int[], int[], bigint, boolean, {type}) AS {sql}");

                var plan = await RunAsync($"EXPLAIN EXECUTE find ('{{0}}', '{{0}}', '{{9}}', '{{9}}', 10001, true, '{often}')");

                Assert.Contains($"Bitmap Index Scan on {index}", plan);
                Assert.DoesNotContain("Seq Scan", plan);

                async Task<string> RunAsync(string text)
                {
                    await using var command = new NpgsqlCommand(text, connection);
                    await using var reader = await command.ExecuteReaderAsync();
                    var lines = new List<string>();
                    while (await reader.ReadAsync())
                    {
                        lines.Add(reader.GetString(0));
                    }

                    return string.Join('\n', lines);
                }
            }
        }
    }

    /// <summary>Twenty thousand of one kind, and one of another.</summary>
    private Task FillAsync() => _store!.Database.ExecuteAsync("""
        INSERT INTO feature (latitude, longitude, name) SELECT i, i, CASE i WHEN 20000 THEN 'Hay, Nëedle 針' ELSE 'Hay ' || i END
        FROM generate_series(0, 20000) AS i;
        INSERT INTO feature_properties SELECT i, i, CASE i WHEN 20000 THEN '{"rare":true,"often":1}' ELSE '{"often":1}' END::jsonb
        FROM generate_series(1, 20000) AS i
        """);

    private static Properties Of(string json) => Properties.Parse(Encoding.UTF8.GetBytes(json));

    protected override async Task<IFeatureCatalog> CreateAsync()
    {
        _store = await TestStore.CreateAsync();
        return new PostgisFeatureCatalog(_store.Connections);
    }
}
