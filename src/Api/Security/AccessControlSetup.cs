using RouteService.Api.Hosting;

namespace RouteService.Api.Security;

internal static class AccessControlSetup
{
    /// <summary>What <see cref="AccessControl"/> needs, and the watch over every file that is reloaded.</summary>
    /// <exception cref="SettingException">Callers are to be told apart, and what the settings name cannot be used.</exception>
    public static void AddAccessControl(this WebApplicationBuilder builder, Settings settings)
    {
        // Read now, so that a file that cannot be used ends the start with its one line.
        var callers = new CallerDirectory(settings.Auth, TimeProvider.System);
        builder.Services.AddSingleton(_ => callers);
        builder.Services.AddSingleton(settings.Auth);
        foreach (var file in callers.Files)
        {
            builder.Services.AddSingleton(file);
        }

        builder.Services.AddSingleton<CallLimiter>();
        builder.Services.AddSingleton<AccessControl>();
        builder.Services.AddHostedService<FileReloader>();
    }
}
