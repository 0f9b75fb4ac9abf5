using System.Globalization;
using System.Runtime.CompilerServices;
using RouteService.Domain.Features;
using RouteService.Infrastructure;
using RouteService.Infrastructure.Import;
using Spectre.Console;

namespace RouteService.Api.Commands;

/// <summary>Imports a file and says what came of it; with a progress bar where a person looks on.</summary>
internal static class ImportCommand
{
    // Records between two looks at how far the file is read.
    private const int ReportEvery = 1_000;

    public static async Task RunAsync(
        IFeatureStore store, string path, bool replace, TimeProvider clock, CancellationToken cancellationToken)
    {
        using var file = FeatureFile.Open(path);
        var started = clock.GetTimestamp();
        var summary = AnsiConsole.Profile.Capabilities.Interactive
            ? await AnsiConsole.Progress().AutoClear(enabled: true)
                .StartAsync(progress => ImportAsync(progress.AddTask("Reading", maxValue: file.Length)))
            : await ImportAsync(bar: null);

        var time = clock.GetElapsedTime(started);
        StoreTelemetry.HasImported(summary.Read, time);
        var seconds = time.TotalSeconds;
        Console.WriteLine(FormattableString.Invariant(
            $"Imported {summary.Read} records in {seconds:0.0} s ({summary.Read / Math.Max(seconds, 0.001):0} a second)."));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{summary.Superseded} were superseded by a later record at the same place; "
                + $"{summary.Overwritten} features there before were overwritten."));
        Console.WriteLine(FormattableString.Invariant($"The store has {summary.Total} features."));

        async Task<ImportSummary> ImportAsync(ProgressTask? bar) =>
            await store.ImportAsync(WithProgress(file, bar, cancellationToken), replace, cancellationToken);
    }

    private static async IAsyncEnumerable<Feature> WithProgress(
        FeatureFile file, ProgressTask? bar, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var records = 0L;
        await foreach (var feature in file.ReadAllAsync(cancellationToken))
        {
            if (bar is not null && ++records % ReportEvery == 0)
            {
                bar.Value = file.Position;
            }

            yield return feature;
        }

        bar?.Value = file.Length;
        bar?.Description("Merging").IsIndeterminate();
    }
}
