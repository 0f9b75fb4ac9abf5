using System.Collections.Concurrent;
using BenchmarkDotNet.Attributes;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Client;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Sdk.Bench;

/// <summary>Calls over an HTTP/2 connection to a server in this process.</summary>
public abstract class Connected
{
    private Server _server = null!;
    private GrpcChannel _channel = null!;

    [Params(1, 2, 3)]
    public int Turn { get; set; }

    protected RouteServiceClient Client { get; private set; } = null!;

    protected Proto.RouteGuide.RouteGuideClient Guide { get; private set; } = null!;

    [GlobalSetup]
    public async Task StartAsync()
    {
        _server = await Server.StartAsync();
        _channel = GrpcChannel.ForAddress(_server.Address);

        // Room for the notes of a round, for a session that is not read.
        Client = new RouteServiceClient(_channel, new RouteServiceClientOptions { MaxBufferedNotes = 10_000 });
        Guide = new Proto.RouteGuide.RouteGuideClient(_channel);
    }

    [GlobalCleanup]
    public async Task StopAsync()
    {
        await Client.DisposeAsync();
        _channel.Dispose();
        await _server.DisposeAsync();
    }
}

/// <summary>A unary call, one after the other.</summary>
public class ConnectedGetFeature : Connected
{
    private static readonly Coordinate Place = Coordinate.FromE7(400_000_000, -750_000_000);

    [Benchmark(Baseline = true)]
    public async Task<string> Stub()
    {
        var request = new Proto.Point { Latitude = Place.LatitudeE7, Longitude = Place.LongitudeE7 };
        var feature = await Guide.GetFeatureAsync(request, deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(10));
        return feature.Name;
    }

    [Benchmark]
    public async Task<string> Sdk() => (await Client.GetFeatureAsync(Place))!.Name;
}

/// <summary>A point of a long route.</summary>
public class RecordRoute : Connected
{
    private const int Points = 20_000;

    private static readonly Coordinate[] Route = [.. Enumerable.Range(0, Points).Select(static i => Coordinate.FromE7(400_000_000 + i, -750_000_000))];

    [Benchmark(Baseline = true, OperationsPerInvoke = Points)]
    public async Task<int> Stub()
    {
        using var call = Guide.RecordRoute();
        foreach (var point in Route)
        {
            await call.RequestStream.WriteAsync(new Proto.Point { Latitude = point.LatitudeE7, Longitude = point.LongitudeE7 });
        }

        await call.RequestStream.CompleteAsync();
        return (await call).PointCount;
    }

    [Benchmark(OperationsPerInvoke = Points)]
    public async Task<int> Sdk() => (await Client.RecordRouteAsync(Route)).Points;
}

/// <summary>A note that is posted and acknowledged, 64 at once, as many as the service takes; the notes that arrive are read, or not.</summary>
public class PostAsync : Connected
{
    private const int Notes = 6_400;
    private const int AtOnce = 64;

    private static readonly Coordinate Place = Coordinate.FromE7(400_000_000, -750_000_000);

    [Benchmark(Baseline = true, OperationsPerInvoke = Notes)]
    public async Task Stub()
    {
        using var call = Guide.RouteChat(new Metadata { { "route-chat-mode", "sequenced" } });
        var prefix = Guid.NewGuid().ToString("N");
        var waiting = new ConcurrentDictionary<string, TaskCompletionSource>(StringComparer.Ordinal);
        var reading = Task.Run(async () =>
        {
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
                if (waiting.TryRemove(call.ResponseStream.Current.NoteId, out var acknowledged))
                {
                    acknowledged.SetResult();
                }
            }
        });
        var (turn, last) = (new SemaphoreSlim(1), 0);
        await PostAllAsync(async () =>
        {
            var id = $"{prefix}-{Interlocked.Increment(ref last)}";
            var acknowledged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waiting[id] = acknowledged;
            await turn.WaitAsync();
            try
            {
                await call.RequestStream.WriteAsync(new Proto.RouteNote
                {
                    Location = new Proto.Point { Latitude = Place.LatitudeE7, Longitude = Place.LongitudeE7 },
                    Message = "Is anybody here?",
                    NoteId = id,
                });
            }
            finally
            {
                turn.Release();
            }

            await acknowledged.Task;
        });
        await call.RequestStream.CompleteAsync();
        await reading;
    }

    [Benchmark(OperationsPerInvoke = Notes)]
    public async Task Sdk()
    {
        await using var session = await Client.JoinChatAsync();
        await PostAllAsync(() => session.PostAsync(Place, "Is anybody here?"));
        await session.CompleteAsync();
    }

    [Benchmark(OperationsPerInvoke = Notes)]
    public async Task SdkRead()
    {
        await using var session = await Client.JoinChatAsync();
        var reading = Task.Run(async () =>
        {
            await foreach (var note in session)
            {
            }
        });
        await PostAllAsync(() => session.PostAsync(Place, "Is anybody here?"));
        await session.CompleteAsync();
        await reading;
    }

    private static Task PostAllAsync(Func<Task> postAsync) => Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
    {
        for (var i = 0; i < Notes / AtOnce; i++)
        {
            await postAsync();
        }
    }));
}
