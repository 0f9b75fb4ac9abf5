using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RouteService.Client;

// A program of the SDK alone, with options from configuration.
var configuration = new ConfigurationBuilder()
    .AddInMemoryCollection([new("RouteService:Address", args[0]), new("RouteService:Retry:MaxAttempts", "2"), new("RouteService:Hedging:MaxHedges", "1")])
    .Build();
var registered = new ServiceCollection();
registered.AddRouteServiceClient(configuration.GetSection("RouteService"));
await using var services = registered.BuildServiceProvider();
var client = services.GetRequiredService<IRouteServiceClient>();

Console.WriteLine($"health: {await client.CheckHealthAsync()}");
Console.WriteLine($"hello: {await client.SayHelloAsync("trip")}");

var hoboken = Coordinate.FromDegrees(40.74399, -74.03236);
Console.WriteLine($"feature: {await client.GetFeatureAsync(hoboken)}");
var listed = new List<Coordinate>();
await foreach (var feature in client.ListFeaturesAsync(BoundingBox.FromDegrees(40, -75, 42, -73)))
{
    listed.Add(feature.Location);
}

Console.WriteLine($"listed: {listed.Count > 100}, {listed.Contains(hoboken)}");
var route = await client.RecordRouteAsync([hoboken, Coordinate.FromDegrees(40.85093, -73.97014)]);
Console.WriteLine(FormattableString.Invariant($"route: {route.Points}, {route.Features}, {route.DistanceMeters:F0} m"));

await using (var chat = await client.JoinChatAsync())
{
    await chat.PostAsync(hoboken, "from outside");
    await foreach (var note in chat)
    {
        if (note.IsOwn)
        {
            Console.WriteLine($"note: {note.Message}");
            break;
        }
    }
}

try
{
    await using var nobody = new RouteServiceClient("http://localhost:1");
    await nobody.SayHelloAsync("nobody");
}
catch (RouteServiceException e)
{
    Console.WriteLine($"error: {e.Reason}, {e.Status}, {e.IsTransient}");
}
