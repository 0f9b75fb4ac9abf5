using RouteService.Api.Calls;
using RouteService.Api.Commands;
using RouteService.Api.Greetings;
using RouteService.Api.Hosting;
using RouteService.Api.Routes;
using RouteService.Api.Security;
using RouteService.Api.Telemetry;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Import;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Sqlite;

return await CommandLine.RunAsync(args, ServeAsync, ImportAsync, MigrateAsync, HealthAsync);

static async Task ServeAsync()
{
    var builder = WebApplication.CreateSlimBuilder();
    var settings = Settings.Read(builder.Configuration);
    builder.AddConsoleLog();
    builder.AddTelemetry(settings.Management.Prometheus);
    builder.AddListeners(settings);
    builder.Services.AddSingleton(settings);
    builder.Services.AddSingleton(settings.Greetings);
    builder.Services.AddSingleton(settings.Limits);
    builder.Services.AddSingleton(TimeProvider.System);
    builder.AddAccessControl(settings);
    if (settings.ConnectionString is null)
    {
        var store = await SqliteFeatureStore.OpenAsync(settings.Sqlite, SamplePlaces.ReadAllAsync(), TimeProvider.System, CancellationToken.None);
        builder.Services.AddSingleton<IFeatureStore>(_ => store);
        var notes = SqliteNoteLog.Open(settings.Sqlite, TimeProvider.System);
        builder.Services.AddSingleton<INoteLog>(_ => notes);
        builder.Services.AddSingleton(StoreDescription.Sqlite(settings.Sqlite));
    }
    else
    {
        await builder.Services.AddPostgisAsync(settings);
        builder.Services.AddSingleton<IFeatureStore>(services => new PostgisFeatureStore(services.GetRequiredService<PostgisDatabase>(), settings.Postgres));
        builder.Services.AddSingleton<INoteLog, PostgisNoteLog>();
    }

    builder.Services.AddSingleton(settings.Chat);
    builder.Services.AddSingleton<ChatMetrics>();
    builder.Services.AddSingleton<RouteChat>();
    builder.Services.AddHostedService<ChatFollower>();

    builder.Services.AddSingleton<CallBoundary>();
    builder.Services.AddSingleton<GreeterService>();
    builder.Services.AddSingleton<HelloService>();
    builder.Services.AddSingleton<RouteGuideService>();
    builder.Services.AddGrpc(options =>
    {
        options.MaxReceiveMessageSize = settings.Grpc.MaxReceiveMessageSize;
        if (settings.Auth.Enabled || settings.Limits.CallsPerSecond > 0)
        {
            options.Interceptors.Add<AccessControl>();
        }

        options.Interceptors.Add<CallBoundary>();
    });
    builder.Services.AddGrpcReflection();
    builder.Services.AddHealth();
    builder.Services.AddHostedService<StartupReport>();
    Shutdown.Add(builder.Services, settings.Shutdown);

    await using var app = builder.Build();
    app.UseTelemetry();
    app.MapGrpcService<GreeterService>();
    app.MapGrpcService<HelloService>();
    app.MapGrpcService<RouteGuideService>();
    app.MapGrpcReflectionService();
    app.MapHealth();
    await app.RunAsync();
}

static async Task ImportAsync(FileInfo file, bool replace, CancellationToken cancellationToken)
{
    var configuration = WebApplication.CreateSlimBuilder().Configuration;
    var settings = Settings.Read(configuration);
    await using var telemetry = configuration.StartTelemetry(TimeProvider.System);
    if (settings.ConnectionString is null)
    {
        using var store = await SqliteFeatureStore.OpenAsync(settings.Sqlite, seed: null, TimeProvider.System, cancellationToken);
        await ImportCommand.RunAsync(store, file.FullName, replace, TimeProvider.System, cancellationToken);
    }
    else
    {
        await using var database = PostgisHosting.Connect(settings);
        await PostgisSchema.CheckAsync(database, cancellationToken);
        await using var store = new PostgisFeatureStore(database, settings.Postgres);
        await ImportCommand.RunAsync(store, file.FullName, replace, TimeProvider.System, cancellationToken);
    }
}

static async Task MigrateAsync(CancellationToken cancellationToken)
{
    await using var database = PostgisHosting.Connect(Settings.Read(WebApplication.CreateSlimBuilder().Configuration));
    var applied = await PostgisSchema.MigrateAsync(database, cancellationToken);
    Console.WriteLine(applied.Count > 0
        ? $"The {database.Description} has been migrated: {string.Join(", ", applied)}."
        : $"The {database.Description} is up to date.");
}

static Task HealthAsync(Uri? address, CancellationToken cancellationToken) => HealthCommand.RunAsync(
    address ?? new UriBuilder(Uri.UriSchemeHttp, "localhost", Settings.Read(WebApplication.CreateSlimBuilder().Configuration).Management.Port).Uri, cancellationToken);
