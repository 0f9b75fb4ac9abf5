using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Helloworld;
using RouteService.Contracts.Routeguide;

// Does with a running service what the gRPC tutorials' clients do. Usage: dotnet run --project samples/Stubs [ADDRESS]
var address = args is [var given] ? given : "http://localhost:50051";
using var channel = GrpcChannel.ForAddress(address);
var guide = new RouteGuide.RouteGuideClient(channel);

try
{
    await GreetAsync();
    await GetFeaturesAsync();
    var features = await ListFeaturesAsync();
    await RecordRouteAsync(features);
    await ChatAsync();
    return 0;
}
catch (RpcException e)
{
    await Console.Error.WriteLineAsync($"{address}: {e.StatusCode}: {e.Status.Detail}");
    return 1;
}

async Task GreetAsync()
{
    Heading("Greeter: one message there, one back");
    var greeter = new Greeter.GreeterClient(channel);
    var request = new HelloRequest { Name = "traveller" };
    Console.WriteLine((await greeter.SayHelloAsync(request)).Message);
    Console.WriteLine((await greeter.SayHelloAgainAsync(request)).Message);
}

async Task GetFeaturesAsync()
{
    Heading("GetFeature: a place that has a name, and one that has none");
    Show(await guide.GetFeatureAsync(E7(40.34872, -74.65905)));
    Show(await guide.GetFeatureAsync(E7(0, 0)));
}

async Task<List<Feature>> ListFeaturesAsync()
{
    Heading("ListFeatures: everything between 40° and 42° N, 73° and 75° W, as a stream");
    var features = new List<Feature>();
    using var call = guide.ListFeatures(new Rectangle { Lo = E7(40, -75), Hi = E7(42, -73) });
    await foreach (var feature in call.ResponseStream.ReadAllAsync())
    {
        features.Add(feature);
    }

    features.Take(5).ToList().ForEach(Show);
    Console.WriteLine($"… {features.Count} features in all");
    return features;
}

async Task RecordRouteAsync(List<Feature> features)
{
    Heading("RecordRoute: a stream of ten random points there, one summary back");
    using var call = guide.RecordRoute();
    var chance = new Random();
    for (var i = 0; i < 10; i++)
    {
        var point = features.Count > 0 ? features[chance.Next(features.Count)].Location : E7((chance.NextDouble() * 180) - 90, (chance.NextDouble() * 360) - 180);
        await call.RequestStream.WriteAsync(point);
        Console.WriteLine($"at {Text(point)}");
        await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
    }

    await call.RequestStream.CompleteAsync();
    var summary = await call.ResponseAsync;
    Console.WriteLine($"{summary.PointCount} points, {summary.FeatureCount} with a feature, {summary.Distance} m in {summary.ElapsedTime} s");
}

async Task ChatAsync()
{
    Heading("RouteChat: notes both ways; each is answered with the earlier ones at its place");
    using var call = guide.RouteChat();
    var receiving = ReceiveAsync();
    foreach (var (point, message) in new[]
    {
        (E7(0, 0), "First message"),
        (E7(0, 0.0000001), "Second message"),
        (E7(0.0000001, 0), "Third message"),
        (E7(0, 0), "Fourth message"),
    })
    {
        Console.WriteLine($"-> {message} at {Text(point)}");
        await call.RequestStream.WriteAsync(new RouteNote { Location = point, Message = message });
    }

    await call.RequestStream.CompleteAsync();
    await receiving;

    async Task ReceiveAsync()
    {
        await foreach (var note in call.ResponseStream.ReadAllAsync())
        {
            Console.WriteLine($"<- {note.Message} at {Text(note.Location)}");
        }
    }
}

static Point E7(double latitude, double longitude) => new() { Latitude = (int)Math.Round(latitude * 1e7), Longitude = (int)Math.Round(longitude * 1e7) };

static string Text(Point point) => string.Create(CultureInfo.InvariantCulture, $"{point.Latitude / 1e7:0.#######},{point.Longitude / 1e7:0.#######}");

static void Show(Feature feature) => Console.WriteLine($"{(feature.Name.Length == 0 ? "(no name)" : feature.Name)} at {Text(feature.Location)}");

static void Heading(string text) => Console.WriteLine($"{Environment.NewLine}== {text}");
