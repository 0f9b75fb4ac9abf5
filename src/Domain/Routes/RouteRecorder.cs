using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Routes;

/// <summary>
/// Measures one route while it is travelled. Points are looked up in batches, one query for many points. The next batch fills while the
/// store looks up the previous one; a full one waits for that, so memory does not grow with the route.
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

/// <summary>A route that was travelled.</summary>
/// <param name="PointCount">The points of it.</param>
/// <param name="FeatureCount">The points at which there is a feature, named or not; one passed twice counts twice.</param>
/// <param name="Meters">The sum of the ways between neighbours.</param>
/// <param name="Elapsed">From the making of the recorder to the end.</param>
public sealed record RouteSummary(long PointCount, long FeatureCount, double Meters, TimeSpan Elapsed);
