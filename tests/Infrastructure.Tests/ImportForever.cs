using System.Diagnostics;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

/// <summary>A second process, to be killed: this test program, told by a variable to import without end instead of to test.</summary>
internal static class ImportForever
{
    private const string Variable = "IMPORT_FOREVER_INTO";

    public static Process Start(string file) => Process.Start(new ProcessStartInfo("dotnet", [typeof(ImportForever).Assembly.Location])
    {
        Environment = { [Variable] = file },
        RedirectStandardOutput = true,
    })!;

    /// <summary>Runs before the test runner, when the assembly is loaded.</summary>
    [System.Runtime.CompilerServices.ModuleInitializer]
    internal static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { } file)
        {
            RunAsync(file).GetAwaiter().GetResult();
        }
    }

    private static async Task RunAsync(string file)
    {
        using var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = file }, seed: null, TimeProvider.System, default);
        await store.ImportAsync(Endless(), replace: true, default);

        static async IAsyncEnumerable<Feature> Endless()
        {
            for (var i = 0; ; i++)
            {
                yield return new Feature(new Coordinate(i % Coordinate.MaxLatitudeE7, i), "new");
                if (i == 100_000)
                {
                    Console.WriteLine("importing");
                    await Task.Yield();
                }
            }
        }
    }
}
