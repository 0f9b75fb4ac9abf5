using System.Runtime.CompilerServices;
using RouteService.Client;

// Sends a route while it is travelled. Usage: dotnet run --project samples/RecordRoute [ADDRESS]
var address = args is [var given] ? given : "http://localhost:50051";
await using var client = new RouteServiceClient(address);

try
{
    var route = await client.RecordRouteAsync(TravelAsync());
    Console.WriteLine(FormattableString.Invariant($"{route.Points} points, {route.Features} with a feature, {route.DistanceMeters:F0} m in {route.Elapsed.TotalSeconds} s"));
    return 0;
}
catch (RouteServiceException e)
{
    await Console.Error.WriteLineAsync($"{e.Message} {e.Delivered} points had been sent.");
    return 1;
}

// What a receiver of GPS would give: a point now and then, until the end.
static async IAsyncEnumerable<Coordinate> TravelAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
{
    var (hoboken, fortLee) = (Coordinate.FromDegrees(40.74399, -74.03236), Coordinate.FromDegrees(40.85093, -73.97014));
    const int Steps = 10;
    for (var i = 0; i <= Steps; i++)
    {
        var part = i / (double)Steps;
        yield return Coordinate.FromDegrees(
            hoboken.Latitude + (part * (fortLee.Latitude - hoboken.Latitude)),
            hoboken.Longitude + (part * (fortLee.Longitude - hoboken.Longitude)));
        await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
    }
}
