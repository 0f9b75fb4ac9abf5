using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace RouteService.Domain.Tests;

/// <summary>Meters whose measurements a test reads.</summary>
internal sealed class RecordedMeters : IMeterFactory
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, double> _last = [];

    public RecordedMeters()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope == this)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => _last[instrument.Name] = value);
        _listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => _last[instrument.Name] = value);
        _listener.Start();
    }

    public Meter Create(MeterOptions options) => new(new MeterOptions(options.Name) { Scope = this });

    /// <summary>The last measurement of a histogram, or what a gauge reads now.</summary>
    public double Last(string instrument)
    {
        _listener.RecordObservableInstruments();
        return _last[instrument];
    }

    public void Dispose() => _listener.Dispose();
}
