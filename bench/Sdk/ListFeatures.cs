using BenchmarkDotNet.Attributes;
using Grpc.Net.Client;
using RouteService.Client;
using RouteService.Contracts.Routeguide;

namespace RouteService.Sdk.Bench;

/// <summary>A feature of a long listing, without a connection.</summary>
public class ListFeatures
{
    private static readonly Rectangle World = new()
    {
        Lo = new Point { Latitude = -900_000_000, Longitude = -1_800_000_000 },
        Hi = new Point { Latitude = 900_000_000, Longitude = 1_800_000_000 },
    };

    private readonly GrpcChannel _channel = GrpcChannel.ForAddress("http://localhost", new() { HttpHandler = new CannedHandler() });
    private readonly RouteServiceClient _client;
    private readonly RouteGuide.RouteGuideClient _stub;
    private readonly RouteService.Client.Feature[] _features = new RouteService.Client.Feature[1];

    [Params(1, 2, 3)]
    public int Turn { get; set; }

    public ListFeatures()
    {
        _client = new RouteServiceClient(_channel);
        _stub = new RouteGuide.RouteGuideClient(_channel);
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Answers.Features)]
    public async Task<int> Stub()
    {
        var bytes = 0;
        using var call = _stub.ListFeatures(World);
        while (await call.ResponseStream.MoveNext(CancellationToken.None))
        {
            bytes += call.ResponseStream.Current.Name.Length;
        }

        return bytes;
    }

    [Benchmark(OperationsPerInvoke = Answers.Features)]
    public async Task<int> Sdk()
    {
        var bytes = 0;
        await foreach (var feature in _client.ListFeaturesAsync(BoundingBox.World))
        {
            bytes += feature.Name.Length;
        }

        return bytes;
    }

    /// <summary>The features alone: the least that a listing allocates.</summary>
    [Benchmark(OperationsPerInvoke = Answers.Features)]
    public void Features()
    {
        var name = Answers.NameOf(0).AsSpan();
        for (var i = 0; i < Answers.Features; i++)
        {
            _features[0] = new RouteService.Client.Feature(default, new string(name));
        }
    }

    [GlobalCleanup]
    public void Close()
    {
        _client.Dispose();
        _channel.Dispose();
    }
}
