using Npgsql;
using NpgsqlTypes;

namespace RouteService.Infrastructure.Postgis;

/// <summary>Parameters of statements.</summary>
internal static class PostgisParameters
{
    /// <summary>An array of elements of this type.</summary>
    public static NpgsqlParameter<T[]> Array<T>(NpgsqlDbType element, IEnumerable<T> values) =>
        new() { TypedValue = [.. values], NpgsqlDbType = NpgsqlDbType.Array | element };
}
