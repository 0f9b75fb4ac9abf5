using Microsoft.Extensions.Logging.Console;

namespace RouteService.Api.Hosting;

internal static class ConsoleLog
{
    /// <summary>
    /// Configures the log: our own categories from Information on, the framework's from Warning on; the standard "Logging" configuration
    /// changes that. In a container each line is a JSON object with the ids of its trace, elsewhere it is text for people;
    /// Logging__Console__FormatterName (json, simple, systemd) overrides the format.
    /// </summary>
    public static void AddConsoleLog(this WebApplicationBuilder builder)
    {
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.Logging.AddFilter("Grpc", LogLevel.Warning);

        // Start-up failures are printed by CommandLine; silence the host's stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Logging.Configure(static options =>
            options.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId);
        builder.Logging.AddSimpleConsole(static console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
            console.ColorBehavior = LoggerColorBehavior.Default;
        });
        builder.Logging.AddJsonConsole(static console =>
        {
            console.IncludeScopes = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
        });
        builder.Services.Configure<ConsoleLoggerOptions>(console => console.FormatterName =
            builder.Configuration["Logging:Console:FormatterName"]
            ?? (builder.Configuration.GetValue<bool>("DOTNET_RUNNING_IN_CONTAINER")
                ? ConsoleFormatterNames.Json
                : ConsoleFormatterNames.Simple));
    }
}
