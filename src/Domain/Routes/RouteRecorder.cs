using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Routes;

/// <summary>
/// Measures one route as its points arrive. Points are looked up in batches, one query for many points. The next batch fills while the
/// store looks up the previous one, and a full batch waits for that, so memory does not grow with the route.
/// </summary>
/// <threadsafety>For one caller at a time.</threadsafety>
public sealed class RouteRecorder
{
    private const int BatchSize = 512;

    private readonly IFeatureStore _features;
    private readonly TimeProvider _clock;
    private readonly long _started;

    private Coordinate[] _batch = new Coordinate[BatchSize];
    private int _batched;

    // A query may still be reading this batch, so the next one fills the other array.
    private Coordinate[] _batchBefore = new Coordinate[BatchSize];
    private Task<int> _lookUp = Task.FromResult(0);
    private Coordinate _last;
    private long _points;
    private long _featuresPassed;
    private double _meters;

    /// <summary>Starts the clock: the route's time runs from here.</summary>
    public RouteRecorder(IFeatureStore features, TimeProvider clock)
    {
        _features = features;
        _clock = clock;
        _started = clock.GetTimestamp();
    }

    /// <summary>Travels to the next point.</summary>
    public ValueTask AddAsync(Coordinate point, CancellationToken cancellationToken)
    {
        if (_points > 0)
        {
            _meters += Haversine.Meters(_last, point);
        }

        _points++;
        _last = point;
        _batch[_batched++] = point;
        return _batched == BatchSize ? LookUpBatchAsync(cancellationToken) : ValueTask.CompletedTask;
    }

    public async ValueTask<RouteSummary> FinishAsync(CancellationToken cancellationToken)
    {
        await LookUpBatchAsync(cancellationToken);
        _featuresPassed += await _lookUp;
        return new RouteSummary(_points, _featuresPassed, _meters, _clock.GetElapsedTime(_started));
    }

    private async ValueTask LookUpBatchAsync(CancellationToken cancellationToken)
    {
        _featuresPassed += await _lookUp;
        _lookUp = _features.CountAtAsync(_batch.AsMemory(0, _batched), cancellationToken).AsTask();
        (_batch, _batchBefore) = (_batchBefore, _batch);
        _batched = 0;
    }
}

/// <summary>A recorded route.</summary>
/// <param name="PointCount">Number of points.</param>
/// <param name="FeatureCount">Number of points with a feature, named or not; a point passed twice counts twice.</param>
/// <param name="Meters">Sum of the great-circle distances between neighbouring points (<see cref="Haversine"/>).</param>
/// <param name="Elapsed">Time from the creation of the recorder to the end of the route.</param>
public sealed record RouteSummary(long PointCount, long FeatureCount, double Meters, TimeSpan Elapsed)
{
    /// <summary>The distance as the contract has it: truncated once, after the sum; the largest int32 for anything longer.</summary>
    public int WholeMeters => (int)Math.Min(int.MaxValue, Meters);
}
