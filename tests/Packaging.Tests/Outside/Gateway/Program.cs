using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using RouteService.Client;
using RouteService.Contracts.Helloworld;
using RouteService.Contracts.Routeguide;

// An application that has gRPC already: a server on Grpc.AspNetCore, a stub from its client factory, and the SDK beside them.
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(static kestrel =>
    kestrel.Listen(IPAddress.Loopback, 0, static listen => listen.Protocols = HttpProtocols.Http2));
builder.Services.AddGrpc(static options => options.Interceptors.Add<DeadlinePropagationInterceptor>());
builder.Services.AddGrpcClient<RouteGuide.RouteGuideClient>(options => options.Address = new Uri(args[0]));
builder.Services.AddRouteServiceClient(configure: (options, _) => options.Address = args[0]);
await using var app = builder.Build();
app.MapGrpcService<Gateway>();
await app.StartAsync();

using var channel = GrpcChannel.ForAddress(app.Urls.First());
var greeter = new Greeter.GreeterClient(channel);
var reply = await greeter.SayHelloAsync(new HelloRequest { Name = "gateway" }, deadline: DateTime.UtcNow.AddSeconds(30));
Console.WriteLine(reply.Message);

internal sealed class Gateway(IRouteServiceClient client, RouteGuide.RouteGuideClient stub) : Greeter.GreeterBase
{
    public override async Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
    {
        var place = Coordinate.FromDegrees(40.74399, -74.03236);
        var hello = await client.SayHelloAsync(request.Name, cancellationToken: context.CancellationToken);
        var found = await client.GetFeatureAsync(place, cancellationToken: context.CancellationToken);
        var point = new Point { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 };
        var same = await stub.GetFeatureAsync(point, cancellationToken: context.CancellationToken);
        return new HelloReply { Message = $"{hello} By the SDK {found?.Name}, by the stub {same.Name}." };
    }
}
