using BenchmarkDotNet.Attributes;
using Grpc.Net.Client;
using RouteService.Client;
using RouteService.Contracts.Routeguide;

namespace RouteService.Sdk.Bench;

/// <summary>A unary call, without a connection.</summary>
public class GetFeature
{
    private static readonly Coordinate Place = Coordinate.FromE7(400_000_000, -750_000_000);

    private readonly GrpcChannel _channel = GrpcChannel.ForAddress("http://localhost", new() { HttpHandler = new CannedHandler() });
    private readonly RouteServiceClient _client;
    private readonly RouteGuide.RouteGuideClient _stub;

    [Params(1, 2, 3)]
    public int Turn { get; set; }

    public GetFeature()
    {
        _client = new RouteServiceClient(_channel);
        _stub = new RouteGuide.RouteGuideClient(_channel);
    }

    /// <summary>As a careful user writes it: with a deadline, and a request of its own.</summary>
    [Benchmark(Baseline = true)]
    public async Task<string> Stub()
    {
        var request = new Point { Latitude = Place.LatitudeE7, Longitude = Place.LongitudeE7 };
        var feature = await _stub.GetFeatureAsync(request, deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(10));
        return feature.Name;
    }

    [Benchmark]
    public async Task<string> Sdk() => (await _client.GetFeatureAsync(Place))!.Name;

    [GlobalCleanup]
    public void Close()
    {
        _client.Dispose();
        _channel.Dispose();
    }
}
