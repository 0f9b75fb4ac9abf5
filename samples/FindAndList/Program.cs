using RouteService.Client;

// Finds a place, and lists those of an area. Usage: dotnet run --project samples/FindAndList [ADDRESS]
var address = args is [var given] ? given : "http://localhost:50051";
await using var client = new RouteServiceClient(address);

try
{
    var place = Coordinate.FromDegrees(40.74399, -74.03236);
    var found = await client.GetFeatureAsync(place);
    Console.WriteLine(found is null ? $"There is nothing at {place}." : $"{found.Name} is at {place}.");

    // Features are shown as they come; those behind the tenth are not even sent.
    var shown = 0;
    await foreach (var feature in client.ListFeaturesAsync(BoundingBox.FromDegrees(south: 40, west: -75, north: 42, east: -73)))
    {
        Console.WriteLine($"{feature.Location}  {feature.Name}");
        if (++shown == 10)
        {
            break;
        }
    }

    return 0;
}
catch (RouteServiceException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
