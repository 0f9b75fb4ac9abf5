using RouteService.Domain.Features;
using RouteService.Infrastructure;
using RouteService.Infrastructure.Import;
using Spectre.Console;

namespace RouteService.Api.Commands;

/// <param name="File">File to import.</param>
/// <param name="Replace">Whether to remove all other features.</param>
/// <param name="AllowEmpty">Whether <paramref name="Replace"/> may leave the store without a feature.</param>
/// <param name="SkipInvalid">Whether to skip and count invalid records, instead of refusing the file.</param>
internal sealed record ImportOptions(FileInfo File, bool Replace, bool AllowEmpty, bool SkipInvalid);

/// <summary>Imports a file and reports the result; with a progress bar on a terminal.</summary>
internal static class ImportCommand
{
    // Records between two updates of the progress bar.
    private const int ReportEvery = 1_000;

    public static async Task RunAsync(IFeatureStore store, ImportOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        using var file = FeatureFile.Open(options.File.FullName);
        var started = clock.GetTimestamp();
        var summary = AnsiConsole.Profile.Capabilities.Interactive
            ? await AnsiConsole.Progress().AutoClear(enabled: true)
                .StartAsync(progress => ImportAsync(progress.AddTask("Reading", maxValue: file.Length)))
            : await ImportAsync(bar: null);

        var time = clock.GetElapsedTime(started);
        StoreTelemetry.HasImported(summary.Read, time);
        CommandReport.Write("The import is complete", () => Report(file, summary, time.TotalSeconds));

        async Task<ImportSummary> ImportAsync(ProgressTask? bar) =>
            await store.ImportAsync(
                Read(file, options, bar, cancellationToken).ToAsyncEnumerable(), new FeatureImport(options.Replace), cancellationToken);
    }

    private static void Report(FeatureFile file, ImportSummary summary, double seconds)
    {
        Console.WriteLine(FormattableString.Invariant(
            $"Imported {summary.Read} records in {seconds:0.0} s ({summary.Read / Math.Max(seconds, 0.001):0} a second)."));
        foreach (var skipped in file.Skipped)
        {
            Console.WriteLine($"{skipped.Count} were skipped because of an invalid {skipped.Subject}. The first: {skipped.First}");
        }

        Console.WriteLine(
            $"{summary.Superseded} were superseded by a later record at the same location; "
            + $"{summary.Overwritten} earlier features were overwritten.");
        Console.WriteLine($"The store has {summary.Total} features.");
        if (file is { Features: > 0, Named: 0 })
        {
            Console.Error.WriteLine("routeservice: warning: no record has a name; expected a column or property 'name' or 'title'.");
        }
    }

    private static IEnumerable<FeatureContent> Read(
        FeatureFile file, ImportOptions options, ProgressTask? bar, CancellationToken cancellationToken)
    {
        foreach (var feature in file.ReadAll(options.SkipInvalid))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (bar is not null && file.Features % ReportEvery == 0)
            {
                bar.Value = file.Position;
            }

            yield return feature;
        }

        if (file.Features == 0 && options is { Replace: true, AllowEmpty: false })
        {
            throw new FeatureFileException(
                $"{options.File.Name} has no features, and --replace would empty the store; add --allow-empty to do that.");
        }

        bar?.Value = file.Length;
        bar?.Description("Merging").IsIndeterminate();
    }
}
