using System.Diagnostics;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

/// <summary>A second process, to be killed: this test program, told by a variable to import without end instead of to test.</summary>
internal static class ImportForever
{
    public const int GenerationSize = 20_000;

    private const string Variable = "IMPORT_FOREVER_INTO";
    private const string GenerationsVariable = "IMPORT_GENERATIONS_INTO";

    /// <summary>One import that never ends. Says a line when it is well under way.</summary>
    public static Process Start(string file) => Start(Variable, file);

    /// <summary>
    /// One import after the other, each of as many features that all have its number for a name, replacing those of the last. Says a line
    /// after each.
    /// </summary>
    public static Process StartGenerations(string file) => Start(GenerationsVariable, file);

    private static Process Start(string variable, string file) => Process.Start(new ProcessStartInfo("dotnet", [typeof(ImportForever).Assembly.Location])
    {
        Environment = { [variable] = file },
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

        if (Environment.GetEnvironmentVariable(GenerationsVariable) is { } generations)
        {
            RunGenerationsAsync(generations).GetAwaiter().GetResult();
        }
    }

    private static async Task RunGenerationsAsync(string file)
    {
        using var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = file }, seed: null, TimeProvider.System, default);
        for (var generation = 0; ; generation++)
        {
            var name = $"{generation}";
            var features = Enumerable.Range(0, GenerationSize).Select(i => new Feature(new Coordinate(i * 1_000, -i * 7_919), name));
            await store.ImportAsync(features.ToAsyncEnumerable(), replace: true, default);
            Console.WriteLine(name);
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
