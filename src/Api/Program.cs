using RouteService.Api.Calls;
using RouteService.Api.Commands;
using RouteService.Api.Greetings;
using RouteService.Api.Hosting;
using RouteService.Api.Routes;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Import;
using RouteService.Infrastructure.Sqlite;

return await CommandLine.RunAsync(args, ServeAsync, ImportAsync);

static async Task ServeAsync()
{
    var builder = WebApplication.CreateSlimBuilder();
    var settings = Settings.Read(builder.Configuration);
    builder.AddConsoleLog();
    builder.AddListeners(settings);

    builder.Services.AddSingleton(settings);
    builder.Services.AddSingleton(settings.Greetings);
    builder.Services.AddSingleton(TimeProvider.System);
    builder.Services.AddSingleton<IFeatureStore>(await OpenStoreAsync(settings, SamplePlaces.ReadAllAsync(), CancellationToken.None));
    builder.Services.AddSingleton(StoreDescription.Sqlite(settings.Sqlite));
    builder.Services.AddSingleton<INoteLog>(new MemoryNoteLog(settings.Chat));
    builder.Services.AddSingleton(services => new RouteChat(services.GetRequiredService<INoteLog>(), settings.Chat));

    builder.Services.AddSingleton<CallBoundary>();
    builder.Services.AddSingleton<GreeterService>();
    builder.Services.AddSingleton<HelloService>();
    builder.Services.AddSingleton<RouteGuideService>();
    builder.Services.AddGrpc(options =>
    {
        options.MaxReceiveMessageSize = settings.Grpc.MaxReceiveMessageSize;
        options.Interceptors.Add<CallBoundary>();
    });
    builder.Services.AddGrpcReflection();
    builder.Services.AddHealth();
    builder.Services.AddHostedService<StartupReport>();

    await using var app = builder.Build();
    app.MapGrpcService<GreeterService>();
    app.MapGrpcService<HelloService>();
    app.MapGrpcService<RouteGuideService>();
    app.MapGrpcReflectionService();
    app.MapHealth();
    await app.RunAsync();
}

static async Task ImportAsync(FileInfo file, bool replace, CancellationToken cancellationToken)
{
    var settings = Settings.Read(WebApplication.CreateSlimBuilder().Configuration);
    using var store = await OpenStoreAsync(settings, seed: null, cancellationToken);
    await ImportCommand.RunAsync(store, file.FullName, replace, TimeProvider.System, cancellationToken);
}

static Task<SqliteFeatureStore> OpenStoreAsync(Settings settings, IAsyncEnumerable<Feature>? seed, CancellationToken cancellationToken) =>
    SqliteFeatureStore.OpenAsync(settings.Sqlite, seed, TimeProvider.System, cancellationToken);
