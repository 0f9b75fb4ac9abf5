using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Grpc.Net.Client;
using RouteService.Client;
using RouteService.Contracts.Helloworld;
using RouteService.Contracts.Routeguide;
using RouteService.Sdk.Bench;

// bench/sdk.sh runs it: CALLS FEATURES ROUNDS
var (calls, features, rounds) = (Number(args[0]), Number(args[1]), Number(args[2]));
Answers.Count = features;
var place = Coordinate.FromE7(400_000_000, -750_000_000);
var point = new Point { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 };
var world = new Rectangle { Lo = new Point { Latitude = -900_000_000, Longitude = -1_800_000_000 }, Hi = new Point { Latitude = 900_000_000, Longitude = 1_800_000_000 } };
var route = Enumerable.Repeat(place, features / 10).ToList();

await using var client = new RouteServiceClient(new RouteServiceClientOptions { ConfigureHandler = static _ => new CannedHandler() });
using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = new CannedHandler() });
var stub = new RouteGuide.RouteGuideClient(channel);
var greeter = new Greeter.GreeterClient(channel);

Console.WriteLine("Without a connection: the answers are bytes in memory, and what is measured is the client. CPU time.");
Console.WriteLine();
Console.WriteLine("| | SDK | stub | the SDK's own |");
Console.WriteLine("|---|---:|---:|---:|");
await CompareAsync("GetFeature, µs", calls, 1e6, calls => GetFeaturesAsync(client, calls), calls => GetByStubAsync(stub, calls));
await CompareAsync("SayHello, µs", calls, 1e6, GreetAsync, GreetByStubAsync);
await CompareAsync("a feature received by ListFeatures, ns", features, 1e9, _ => ListAsync(client), _ => ListByStubAsync(stub));
await CompareAsync("a point sent by RecordRoute, ns", route.Count, 1e9, _ => client.RecordRouteAsync(route), _ => RecordByStubAsync());

Console.WriteLine();
Console.WriteLine("| bytes allocated | SDK | stub | the SDK's own |");
Console.WriteLine("|---|---:|---:|---:|");
await AllocatedAsync("GetFeature", calls, () => GetFeaturesAsync(client, calls), () => GetByStubAsync(stub, calls));
await AllocatedAsync("SayHello", calls, () => GreetAsync(calls), () => GreetByStubAsync(calls));
var (received, byStub) = (await BytesAsync(features, () => ListAsync(client)), await BytesAsync(features, () => ListByStubAsync(stub)));
var item = await BytesAsync(10_000, MakeItems);
Console.WriteLine(FormattableString.Invariant($"| a feature received by ListFeatures, of which the Feature and its name are {item:F1} | {received:F1} | {byStub:F1} | {Math.Round(received - item, 1) + 0.0:F1} beyond them |"));
await AllocatedAsync("a point sent by RecordRoute", route.Count, () => client.RecordRouteAsync(route), RecordByStubAsync);

await ListenedToAsync();

await using var server = await Server.StartAsync();
await using var connected = new RouteServiceClient(server.Address());
using var connection = GrpcChannel.ForAddress(server.Address());
var connectedStub = new RouteGuide.RouteGuideClient(connection);
Console.WriteLine();
Console.WriteLine("Over one HTTP/2 connection within the machine, whose server is Kestrel with ready bytes, in the same process:");
Console.WriteLine();
Console.WriteLine("| a second | SDK | stub | ratio |");
Console.WriteLine("|---|---:|---:|---:|");
await RatesAsync("features received by ListFeatures", features, _ => ListAsync(connected), _ => ListByStubAsync(connectedStub));
await RatesAsync("calls of GetFeature, one after the other", calls / 4, calls => GetFeaturesAsync(connected, calls), calls => GetByStubAsync(connectedStub, calls));

async Task GetFeaturesAsync(RouteServiceClient client, int calls)
{
    for (var i = 0; i < calls; i++)
    {
        await client.GetFeatureAsync(place);
    }
}

// As a careful user of the stub writes it: with a deadline and a request of its own.
async Task GetByStubAsync(RouteGuide.RouteGuideClient stub, int calls)
{
    for (var i = 0; i < calls; i++)
    {
        await stub.GetFeatureAsync(new Point { Latitude = point.Latitude, Longitude = point.Longitude }, deadline: DateTime.UtcNow.AddSeconds(10));
    }
}

async Task GreetAsync(int calls)
{
    for (var i = 0; i < calls; i++)
    {
        await client.SayHelloAsync("you");
    }
}

async Task GreetByStubAsync(int calls)
{
    for (var i = 0; i < calls; i++)
    {
        await greeter.SayHelloAsync(new HelloRequest { Name = "you" }, deadline: DateTime.UtcNow.AddSeconds(10));
    }
}

async Task ListAsync(RouteServiceClient client)
{
    var count = 0;
    await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
    {
        count += feature.Name.Length > 0 ? 1 : 0;
    }

    Check(count, features);
}

async Task ListByStubAsync(RouteGuide.RouteGuideClient stub)
{
    var count = 0;
    using var call = stub.ListFeatures(world);
    while (await call.ResponseStream.MoveNext(CancellationToken.None))
    {
        count += call.ResponseStream.Current.Name.Length > 0 ? 1 : 0;
    }

    Check(count, features);
}

async Task RecordByStubAsync()
{
    using var call = stub.RecordRoute();
    foreach (var at in route)
    {
        await call.RequestStream.WriteAsync(new Point { Latitude = at.LatitudeE7, Longitude = at.LongitudeE7 });
    }

    await call.RequestStream.CompleteAsync();
    await call.ResponseAsync;
}

Task MakeItems()
{
    var items = new RouteService.Client.Feature[1];
    var name = Answers.NameOf(0).AsSpan();
    for (var i = 0; i < 10_000; i++)
    {
        items[0] = new RouteService.Client.Feature(place, new string(name));
    }

    return Task.CompletedTask;
}

// As the SDKs of OpenTelemetry do it: every span is recorded.
async Task ListenedToAsync()
{
    using var spans = new ActivityListener
    {
        ShouldListenTo = static source => source.Name == RouteServiceTelemetry.ActivitySourceName,
        Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
    };
    ActivitySource.AddActivityListener(spans);
    using var metrics = new MeterListener
    {
        InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == RouteServiceTelemetry.MeterName)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        },
    };
    metrics.SetMeasurementEventCallback<double>(static (_, _, _, _) => { });
    metrics.Start();

    var (sdk, byHand) = await TurnsAsync(calls, calls => GetFeaturesAsync(client, calls), calls => GetByStubAsync(stub, calls), static () => Environment.CpuUsage.TotalTime);
    var bytes = await BytesAsync(calls, () => GetFeaturesAsync(client, calls)) - await BytesAsync(calls, () => GetByStubAsync(stub, calls));
    Console.WriteLine();
    Console.WriteLine(FormattableString.Invariant(
        $"With a listener for its spans and one for its metrics, the SDK's own part of GetFeature is {(sdk - byHand) * 1e6 / calls:F2} µs and {bytes:F0} bytes."));
}

static void Check(int count, int expected)
{
    if (count != expected)
    {
        throw new InvalidOperationException($"{count} features came of {expected}.");
    }
}

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

// Both take turns after a warm-up, so that a slow moment of the machine meets both.
async Task CompareAsync(string label, int count, double unit, Func<int, Task> sdk, Func<int, Task> stub)
{
    var (ours, theirs) = await TurnsAsync(count, sdk, stub, static () => Environment.CpuUsage.TotalTime);
    Console.WriteLine(FormattableString.Invariant($"| {label} | {ours * unit / count:F2} | {theirs * unit / count:F2} | {(ours - theirs) * unit / count:F2} |"));
}

async Task RatesAsync(string label, int count, Func<int, Task> sdk, Func<int, Task> stub)
{
    var clock = Stopwatch.StartNew();
    var (ours, theirs) = await TurnsAsync(count, sdk, stub, () => clock.Elapsed);
    Console.WriteLine(FormattableString.Invariant($"| {label} | {count / ours:F0} | {count / theirs:F0} | {theirs / ours:F2} |"));
}

async Task<(double Sdk, double Stub)> TurnsAsync(int count, Func<int, Task> sdk, Func<int, Task> stub, Func<TimeSpan> clock)
{
    // .NET compiles hot code again while it warms up, in the background.
    for (var i = 0; i < 3; i++)
    {
        await sdk(count);
        await stub(count);
        await Task.Delay(200);
    }

    var (ours, theirs) = (new List<double>(), new List<double>());
    for (var round = 0; round < rounds; round++)
    {
        ours.Add(await TimeAsync(sdk));
        theirs.Add(await TimeAsync(stub));
    }

    return (ours.Order().ElementAt(rounds / 2), theirs.Order().ElementAt(rounds / 2));

    async Task<double> TimeAsync(Func<int, Task> run)
    {
        var start = clock();
        await run(count);
        return (clock() - start).TotalSeconds;
    }
}

async Task AllocatedAsync(string label, int count, Func<Task> sdk, Func<Task> stub)
{
    var (ours, theirs) = (await BytesAsync(count, sdk), await BytesAsync(count, stub));
    Console.WriteLine(FormattableString.Invariant($"| {label} | {ours:F1} | {theirs:F1} | {ours - theirs:F1} |"));
}

static async Task<double> BytesAsync(int count, Func<Task> run)
{
    await run();
    var before = GC.GetTotalAllocatedBytes(precise: true);
    await run();
    return (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)count;
}
