using Grpc.Net.Client;
using RouteService.Client;
using RouteService.Contracts.Routeguide;

// An application with stubs of its own, generated from the service's .proto files as they are, and the SDK on the same channel.
using var channel = GrpcChannel.ForAddress(args[0]);
await using var client = new RouteServiceClient(channel);
var stub = new RouteGuide.RouteGuideClient(channel);

var place = Coordinate.FromDegrees(40.74399, -74.03236);
var found = await client.GetFeatureAsync(place);
var same = await stub.GetFeatureAsync(new Point { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 });
Console.WriteLine($"{typeof(Point).Assembly.GetName().Name}: {same.Name}");
Console.WriteLine($"{typeof(RouteServiceClient).Assembly.GetName().Name}: {found?.Name}");
