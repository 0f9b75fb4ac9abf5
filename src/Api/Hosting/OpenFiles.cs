using System.Globalization;

namespace RouteService.Api.Hosting;

/// <summary>The limit of open files of this process, which sockets share.</summary>
internal static class OpenFiles
{
    // Some 260 at rest, most of them assemblies; the rest is for calls: more assemblies, the database's connections, files.
    private const long MinReserve = 384;

    // What even the lowest limit leaves.
    private const long MinConnections = 48;

    private const string Limits = "/proc/self/limits";

    /// <summary>The limit in force, which .NET has raised to the hard one; null where there is none, or no such file.</summary>
    public static long? Limit => File.Exists(Limits)
        && File.ReadLines(Limits).FirstOrDefault(static line => line.StartsWith("Max open files", StringComparison.Ordinal)) is { } line
        && long.TryParse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3], CultureInfo.InvariantCulture, out var limit)
            ? limit
            : null;

    /// <summary>Number of connections that a limit leaves room for.</summary>
    public static int Connections(long limit) =>
        (int)Math.Clamp(limit - Math.Max(MinReserve, limit / 4), MinConnections, int.MaxValue / 2);
}
