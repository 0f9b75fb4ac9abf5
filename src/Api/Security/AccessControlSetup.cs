using Grpc.AspNetCore.Server;

namespace RouteService.Api.Security;

internal static class AccessControlSetup
{
    public static void AddSecurity(this IServiceCollection services)
    {
        services.AddSingleton<CallerDirectory>();
        services.AddSingleton<CallLimiter>();
        services.AddSingleton<AccessControl>();
        services.AddSingleton<FileReloader>();
        services.AddHostedService(static provider => provider.GetRequiredService<FileReloader>());
        services.AddOptions<GrpcServiceOptions>().Configure<AuthOptions, LimitOptions>(static (grpc, auth, limits) =>
        {
            if (auth.Enabled || limits.CallsPerSecond > 0)
            {
                grpc.Interceptors.Add<AccessControl>();
            }
        });
    }

    public static void UseSecurity(this WebApplication app) => _ = app;
}
