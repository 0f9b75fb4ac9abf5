using Npgsql;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The indexes that are built beside readers and writers, which no migration can do, because it is a transaction, and those that an import
/// drops and builds again. After the migrations, one that is missing or was left invalid by a build that failed is built.
/// </summary>
internal static class PostgisIndexes
{
    /// <summary>Of names, for searches by a text.</summary>
    public const string Texts = "feature_search_key";

    /// <summary>Of members of properties with their values.</summary>
    public const string Properties = "feature_properties_values";

    public static readonly IReadOnlyList<PostgisIndex> All =
    [
        new("feature_location", "feature", "USING gist (location)"),
        new("feature_z_order", "feature", "(z_order(latitude, longitude))", IsUnique: true),

        // A name has dozens of keys. Written in lots of half a megabyte they cost a third of what they would one by one, and each search,
        // which reads the lot, a fraction of a millisecond. Properties have few.
        new(Texts, "feature", "USING gin (search_key(name) gin_trgm_ops) WITH (gin_pending_list_limit=512)"),
        new(Properties, "feature_properties", "USING gin (properties jsonb_path_ops) WITH (fastupdate=false)"),
    ];

    /// <summary>Builds all, and blocks writers meanwhile: for a table that is empty or locked anyway.</summary>
    public static readonly string BuildSql = string.Join("; ", All.Select(static index => index.Create("INDEX IF NOT EXISTS")));

    /// <summary>Drops all, and blocks readers meanwhile.</summary>
    public static readonly string DropSql = $"DROP INDEX IF EXISTS {string.Join(", ", All.Select(static index => index.Name))}";

    // Only the owner of a table may build its indexes; for others there is nothing to do, and neither on a standby.
    private const string LackingSql = """
        SELECT wanted.i::integer - 1, found.indexrelid::regclass::text
        FROM unnest($1, $2) WITH ORDINALITY AS wanted (name, relation, i)
            JOIN pg_class AS owned ON owned.oid = to_regclass(wanted.relation) AND pg_has_role(owned.relowner, 'USAGE')
            LEFT JOIN (pg_index AS found JOIN pg_class AS named ON named.oid = found.indexrelid)
                ON found.indrelid = owned.oid AND named.relname = wanted.name
        WHERE found.indisvalid IS NOT TRUE AND NOT current_setting('transaction_read_only')::boolean
        ORDER BY wanted.i
        """;

    /// <summary>The indexes that this role may build and that are missing, or invalid: those with their name in SQL.</summary>
    public static async Task<List<(PostgisIndex Index, string? Invalid)>> LackingAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(LackingSql, connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. All.Select(static index => index.Name)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. All.Select(static index => index.Table)] });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var lacking = new List<(PostgisIndex, string?)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            lacking.Add((All[reader.GetInt32(0)], reader.GetValue(1) as string));
        }

        return lacking;
    }

    /// <summary>Creates the extension of the index of texts where it was dropped, and the index with it.</summary>
    public static async Task CreateExtensionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("CREATE EXTENSION IF NOT EXISTS pg_trgm", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Builds one beside readers and writers; it takes as long as it takes.</summary>
    /// <param name="connection">Without a transaction, and without time limits.</param>
    /// <param name="index">The index.</param>
    /// <param name="invalid">The name, in SQL, of what a build that failed has left; null for nothing.</param>
    /// <param name="cancellationToken">Leaves it invalid.</param>
    public static async Task BuildAsync(
        NpgsqlConnection connection, PostgisIndex index, string? invalid, CancellationToken cancellationToken)
    {
        if (invalid is not null)
        {
            await ExecuteAsync($"DROP INDEX CONCURRENTLY IF EXISTS {invalid}");
        }

        await ExecuteAsync(index.Create("INDEX CONCURRENTLY"));

        async Task ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}

/// <summary>An index of a table, with what follows the table's name in its definition.</summary>
internal sealed record PostgisIndex(string Name, string Table, string Definition, bool IsUnique = false)
{
    /// <param name="kind">INDEX, with what it shall do.</param>
    public string Create(string kind) => $"CREATE {(IsUnique ? "UNIQUE " : "")}{kind} {Name} ON {Table} {Definition}";
}
