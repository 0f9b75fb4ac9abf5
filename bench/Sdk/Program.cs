using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;
using RouteService.Sdk.Bench;

// bench/sdk.sh runs it: ARTIFACTS ITERATIONS [CLASS …]. Prints the tables; BenchmarkDotNet's own output goes to standard error.
var (artifacts, iterations) = (args[0], int.Parse(args[1], CultureInfo.InvariantCulture));
Type[] all = [typeof(GetFeature), typeof(ListFeatures), typeof(ConnectedGetFeature), typeof(RecordRoute), typeof(PostAsync)];
var chosen = args[2..] is { Length: > 0 } names ? [.. all.Where(type => names.Contains(type.Name))] : all;
var config = ManualConfig.CreateEmpty()
    .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithWarmupCount(iterations).WithIterationCount(iterations)
        .WithIterationTime(TimeInterval.FromMilliseconds(200)).WithGcServer(false))
    .AddDiagnoser(MemoryDiagnoser.Default)
    .AddColumnProvider(DefaultColumnProviders.Instance)
    .AddLogger(new StreamLogger(new StreamWriter(Console.OpenStandardError()) { AutoFlush = true }))
    .WithArtifactsPath(artifacts);

Console.WriteLine("| | SDK, ns | stub, ns | difference | ratio of rates | SDK, bytes | stub, bytes | difference |");
Console.WriteLine("|---|---:|---:|---:|---:|---:|---:|---:|");
foreach (var type in chosen)
{
    var summary = BenchmarkRunner.Run(type, config);
    if (summary.HasCriticalValidationErrors || summary.Reports.IsEmpty || summary.Reports.Any(static report => !report.Success))
    {
        Console.Error.WriteLine($"{type.Name} has failed.");
        return 1;
    }

    var stub = Result(summary, "Stub");
    foreach (var method in summary.BenchmarksCases.Select(static one => one.Descriptor.WorkloadMethod.Name).Distinct().Where(static name => name != "Stub"))
    {
        var own = Result(summary, method);
        Console.WriteLine(method == "Features"
            ? FormattableString.Invariant($"| of that the features themselves | {own.Nanoseconds:F0} | | | | {own.Bytes:F0} | | |")
            : FormattableString.Invariant(
                $"| {type.Name}{method["Sdk".Length..]} | {own.Nanoseconds:F0} | {stub.Nanoseconds:F0} | {own.Nanoseconds - stub.Nanoseconds:F0} | {stub.Nanoseconds / own.Nanoseconds:F2} | {own.Bytes:F0} | {stub.Bytes:F0} | {own.Bytes - stub.Bytes:F0} |"));
    }
}

return 0;

static (double Nanoseconds, double Bytes) Result(Summary summary, string method)
{
    // The best of all turns, in which the SDK and the stub alternate: other work on the machine only adds time.
    var reports = summary.Reports.Where(report => report.BenchmarkCase.Descriptor.WorkloadMethod.Name == method).ToList();
    return (
        reports.Min(static report => report.ResultStatistics!.Min),
        reports.Average(static report => (double)report.GcStats.GetTotalAllocatedBytes(excludeAllocationQuantumSideEffects: false)! / report.GcStats.TotalOperations));
}
