using Microsoft.Extensions.Options;
using RouteService.Api.Commands;
using RouteService.Api.Hosting;
using RouteService.Api.Telemetry;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

return await CommandLine.RunAsync(args, ServeAsync, ImportAsync, ExportAsync, MigrateAsync, HealthAsync);

static async Task ServeAsync(string[] settings)
{
    var builder = CreateBuilder(settings);
    builder.AddRouteService();
    await using var app = builder.Build();
    app.MapRouteService();
    var stopping = app.Lifetime.ApplicationStopping;
    try
    {
        await app.RunAsync();
    }
    catch (OperationCanceledException) when (stopping.IsCancellationRequested)
    {
        // A signal has come before the start was complete.
    }
}

static async Task ImportAsync(ImportOptions options, CancellationToken cancellationToken)
{
    await using var app = BuildWithStore();
    await using var telemetry = app.Configuration.StartTelemetry(TimeProvider.System);
    await app.Services.CheckStoreAsync(mayBeMissing: true, cancellationToken);
    var store = app.Services.GetRequiredService<IFeatureStore>();
    await ImportCommand.RunAsync(store, options, TimeProvider.System, cancellationToken);
}

static async Task ExportAsync(ExportOptions options, CancellationToken cancellationToken)
{
    await using var app = BuildWithStore();
    await app.Services.CheckStoreAsync(mayBeMissing: false, cancellationToken);
    var store = app.Services.GetRequiredService<IFeatureStore>();
    await ExportCommand.RunAsync(store, options, TimeProvider.System, cancellationToken);
}

static async Task MigrateAsync(IReadOnlyList<string> grantTo, CancellationToken cancellationToken)
{
    await using var app = BuildWithStore();
    var database = app.Services.GetDatabase();
    var applied = await PostgisSchema.MigrateAsync(database, grantTo, cancellationToken);
    CommandReport.Write("The migration is complete", () =>
    {
        Console.WriteLine(applied.Count > 0
            ? $"The {database.Description} has been migrated: {string.Join(", ", applied)}."
            : $"The {database.Description} is up to date.");
        foreach (var role in grantTo)
        {
            Console.WriteLine($"The role '{role}' may serve from it.");
        }
    });
}

static async Task HealthAsync(Uri? address, CancellationToken cancellationToken)
{
    await using var app = BuildWithStore();
    var own = new UriBuilder(Uri.UriSchemeHttp, "localhost", app.Services.GetRequiredService<ManagementOptions>().Port);
    await HealthCommand.RunAsync(address ?? own.Uri, cancellationToken);
}

// The settings and the store, for commands that serve nothing: the host is not started.
static WebApplication BuildWithStore()
{
    var builder = CreateBuilder([]);
    builder.AddSettings();
    builder.Services.AddSingleton(TimeProvider.System);
    builder.AddStore(withSamples: false);
    var app = builder.Build();
    app.Services.GetRequiredService<IStartupValidator>().Validate();
    return app;
}

// To follow appsettings.json, the host would watch its folder and all folders below. That takes seconds at the root of a disk, and watches
// that other programs then lack.
static WebApplicationBuilder CreateBuilder(string[] settings)
{
    Settings.CheckFiles(settings);
    return WebApplication.CreateSlimBuilder(
    [
        "--hostBuilder:reloadConfigOnChange=false",

        // ASPNETCORE_FORWARDEDHEADERS_ENABLED would let any client choose its address, and ASPNETCORE_PREFERHOSTINGURLS open other ports.
        "--forwardedHeaders_Enabled=false",
        "--preferHostingUrls=false",

        // AllowedHosts may be set for another program: calls by any other host name would be refused.
        "--allowedHosts=*",
        .. settings,
    ]);
}
