using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace RouteService.Infrastructure.Tests;

public sealed class StoreTelemetryTests
{
    // Numbers that no other test measures.
    private const int Points = 987_001, RoutePoints = 987_002, Records = 987_003;

    [Fact]
    public void A_measurement_has_its_name_its_caller_and_its_unit()
    {
        var measured = new ConcurrentBag<(string Name, double Value, object? Caller)>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == StoreTelemetry.Name)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.Start();

        StoreTelemetry.LooksUpForGetFeature(Points);
        StoreTelemetry.LooksUpForRecordRoute(RoutePoints);
        StoreTelemetry.HasImported(Records, TimeSpan.FromSeconds(Records));
        StoreTelemetry.HasWaited(TimeSpan.FromSeconds(Points));

        Assert.Equal(
            [
                ("routeservice.import.duration", Records, null),
                ("routeservice.import.records", Records, null),
                ("routeservice.lookups.batch.size", Points, "get_feature"),
                ("routeservice.lookups.batch.size", RoutePoints, "record_route"),
                ("routeservice.lookups.wait", Points, null),
            ],
            measured.Where(static one => one.Value is >= Points and <= Records).OrderBy(static one => one.Name, StringComparer.Ordinal).ThenBy(static one => one.Value));

        void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            measured.Add((instrument.Name, value, tags.ToArray().FirstOrDefault(static tag => tag.Key == "caller").Value));
    }
}
