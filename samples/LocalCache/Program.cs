using RouteService.Client;

// Keeps a copy of an area's features, which is right at any time, by watching their changes. Usage: dotnet run --project samples/LocalCache [ADDRESS]
var address = args is [var given] ? given : "http://localhost:50051";
await using var client = new RouteServiceClient(address);
var area = new Area.Circle(Coordinate.FromDegrees(40.74, -74.03), radiusMeters: 20_000);
var pier = Coordinate.FromDegrees(40.735, -74.0275);
var places = new Dictionary<Coordinate, CatalogFeature>();

try
{
    Task? writing = null;
    await foreach (var change in client.Features.WatchFeaturesAsync(area))
    {
        switch (change)
        {
            // First of all, and whenever the watch cannot tell what has changed.
            case FeatureChange.Reset:
                places = await ListAsync();
                Console.WriteLine($"{places.Count} places are known.");
                break;
            case FeatureChange.Written { Feature: var feature, IsNew: var isNew }:
                places[feature.Location] = feature;
                Console.WriteLine($"{(isNew ? "New" : "Changed")}: {feature.Name}, {feature.Properties}");
                break;
            case FeatureChange.Deleted { Location: var location }:
                places.Remove(location);
                Console.WriteLine($"Gone: {location}");
                break;
        }

        writing ??= WriteAsync();
        if (change == new FeatureChange.Deleted(pier, change.Sequence) || (writing.IsCompleted && !places.ContainsKey(pier)))
        {
            await writing;
            break;
        }
    }

    var isRight = places.Count > 0 && (await ListAsync()).OrderBy(static place => place.Key.ToString()).SequenceEqual(places.OrderBy(static place => place.Key.ToString()));
    Console.WriteLine(isRight ? $"The cache has the {places.Count} places that the service has." : "The cache differs from the service.");
    return isRight ? 0 : 1;
}
catch (RouteServiceException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}

async Task<Dictionary<Coordinate, CatalogFeature>> ListAsync()
{
    var listed = new Dictionary<Coordinate, CatalogFeature>();
    await foreach (var feature in client.Features.StreamFeaturesAsync(new FeatureFilter { Area = area }))
    {
        listed[feature.Location] = feature;
    }

    return listed;
}

// Somebody else, in another program.
async Task WriteAsync()
{
    for (var boats = 1; boats <= 3; boats++)
    {
        await client.Features.PutFeatureAsync(pier, "Pier", new() { ["boats"] = boats });
        await Task.Delay(TimeSpan.FromMilliseconds(200));
    }

    await client.Features.DeleteFeatureAsync(pier);
}
