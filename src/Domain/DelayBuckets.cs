using System.Diagnostics.Metrics;

namespace RouteService.Domain;

/// <summary>The bounds of histograms of delays.</summary>
internal static class DelayBuckets
{
    /// <summary>1 ms to 10 minutes. The SDK's own bounds are for milliseconds.</summary>
    public static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600],
    };
}
