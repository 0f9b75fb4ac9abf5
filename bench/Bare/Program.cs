using System.Globalization;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using RouteService.Bare.Bench;

var builder = WebApplication.CreateSlimBuilder();

// As in the gRPC template's appsettings.json: a log line for each call would dominate the measurement.
builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
var port = int.Parse(args[0], CultureInfo.InvariantCulture);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(port, static listen => listen.Protocols = HttpProtocols.Http2));
builder.Services.AddGrpc();

await using var app = builder.Build();
app.MapGrpcService<GreeterService>();
await app.RunAsync();
