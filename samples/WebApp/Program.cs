using RouteService.Client;

// Places over HTTP. Usage: dotnet run --project samples/WebApp [--RouteService:Address ADDRESS] [--urls URL]; then GET /places?latitude=40.74399&longitude=-74.03236
var builder = WebApplication.CreateBuilder(args);
builder.Services.AddRouteServiceClient(builder.Configuration.GetSection("RouteService"));
var app = builder.Build();

app.MapGet("/places", async (double latitude, double longitude, IRouteServiceClient client, CancellationToken cancellationToken) =>
{
    try
    {
        var place = Coordinate.FromDegrees(latitude, longitude);
        return await client.GetFeatureAsync(place, cancellationToken: cancellationToken) is { } feature ? Results.Ok(feature) : Results.NotFound();
    }
    catch (ArgumentOutOfRangeException e)
    {
        return Results.Problem(e.Message, statusCode: StatusCodes.Status400BadRequest);
    }
    catch (RouteServiceException e) when (e.IsTransient)
    {
        return Results.Problem(e.Message, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
});

await app.RunAsync();
