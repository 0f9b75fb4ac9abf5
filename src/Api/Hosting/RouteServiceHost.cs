using Grpc.AspNetCore.Server;
using Grpc.Reflection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Errors;
using RouteService.Api.Features;
using RouteService.Api.Greetings;
using RouteService.Api.Routes;
using RouteService.Api.Security;
using RouteService.Api.Telemetry;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Watch;

namespace RouteService.Api.Hosting;

/// <summary>The composition of the service, for the program and for tests alike.</summary>
internal static class RouteServiceHost
{
    public static void AddRouteService(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        builder.AddSettings();
        services.AddSingleton(TimeProvider.System);
        builder.AddConsoleLog();
        builder.AddTelemetry(Settings.Read<ManagementOptions>(builder.Configuration).Prometheus);
        builder.AddPorts();
        builder.AddStore(withSamples: true);
        services.AddSecurity(Settings.Read<AuthOptions>(builder.Configuration), Settings.Read<LimitOptions>(builder.Configuration));

        services.AddSingleton<ChatMetrics>();
        services.AddSingleton<NoteFeed>();
        services.AddSingleton<NoteWriter>();
        services.AddSingleton<RouteChat>();
        services.AddSingleton<WatchMetrics>();
        services.AddSingleton<ChangeFeed>();
        services.AddSingleton<FeatureWatches>();
        services.AddLogFollowers();

        services.AddSingleton<StreamLifetime>();
        services.AddSingleton<ErrorInterceptor>();
        services.AddSingleton<GreeterService>();
        services.AddSingleton<HelloService>();
        services.AddSingleton<RouteGuideService>();
        services.AddSingleton<FeatureSearch>();
        services.AddSingleton<ImportTurns>();
        services.AddSingleton<FeaturesService>();
        services.AddOptions<GrpcServiceOptions>()
            .Configure<GrpcOptions>(static (server, grpc) => server.MaxReceiveMessageSize = grpc.MaxReceiveMessageSize);
        services.AddGrpc()
            .AddServiceOptions<HelloService>(static options => options.Interceptors.Add<ErrorInterceptor>())
            .AddServiceOptions<RouteGuideService>(static options => options.Interceptors.Add<ErrorInterceptor>())
            .AddServiceOptions<FeaturesService>(static options => options.Interceptors.Add<ErrorInterceptor>())
            .AddServiceOptions<ReflectionServiceImpl>(static options => options.Interceptors.Add<ErrorInterceptor>())
            .AddServiceOptions<ReflectionV1ServiceImpl>(static options => options.Interceptors.Add<ErrorInterceptor>())
            .CountMessages<FeaturesService>()
            .CountMessages<HelloService>()
            .CountMessages<RouteGuideService>();
        services.AddSingleton<MatcherPolicy, ExactMethodPath>();
        services.AddGrpcReflection();
        services.AddHealth();
        services.AddSingleton<IHealthCheckPublisher, StateMetrics>();
        services.AddHostedService<StartupReport>();
        services.AddShutdown();
    }

    public static void MapRouteService(this WebApplication app)
    {
        var auth = app.Services.GetRequiredService<AuthOptions>();
        app.UseTelemetry();
        app.UseSecurity(auth, app.Services.GetRequiredService<LimitOptions>());
        app.UseGrpcTimeouts();
        app.UseCallBodies();
        app.MapGrpcService<GreeterService>();
        app.MapGrpcService<HelloService>();
        app.MapGrpcService<RouteGuideService>();
        app.MapGrpcService<FeaturesService>();
        var reflection = app.MapGrpcReflectionService();
        if (auth.AnonymousReflection)
        {
            reflection.AllowAnonymous();
        }

        app.MapHealth(auth.AnonymousHealth);
    }
}
