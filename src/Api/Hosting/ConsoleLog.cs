using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.Logging.Console;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

internal static class ConsoleLog
{
    /// <summary>
    /// Configures the log: our own categories from Information, the framework's from Warning. The standard "Logging" configuration changes
    /// that. In a container each line is a JSON object with the ids of its trace, elsewhere text. Logging__Console__FormatterName (json,
    /// simple, systemd) overrides the format.
    /// </summary>
    public static void AddConsoleLog(this WebApplicationBuilder builder)
    {
        // The first source of configuration, so that all others override it; a filter in code would override them.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase)
            {
                ["Logging:LogLevel:Microsoft"] = nameof(LogLevel.Warning),
                ["Logging:LogLevel:Grpc"] = nameof(LogLevel.Warning),
                [$"Logging:LogLevel:{StackLog.Calls}"] = nameof(LogLevel.None),

                // Each probe would log an error; our checks log each change once.
                ["Logging:LogLevel:Microsoft.Extensions.Diagnostics.HealthChecks"] = nameof(LogLevel.None),
            },
        });

        // Start-up failures are printed by CommandLine; silence the host's stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Services.AddSingleton<LogThrottle>();
        builder.Services.AddSingleton<ILoggerProvider, StackLog>();
        builder.Logging.AddFilter<StackLog>(static (category, _) => StackLog.Takes(category));
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
        builder.Services.Configure<ConsoleLoggerOptions>(console =>
        {
            console.FormatterName = builder.Configuration["Logging:Console:FormatterName"]
                ?? (builder.Configuration["DOTNET_RUNNING_IN_CONTAINER"]?.ToUpperInvariant() is "TRUE" or "1"
                    ? ConsoleFormatterNames.Json
                    : ConsoleFormatterNames.Simple);

            // Where nobody reads the log any more, calls would wait for somebody to do so. It says how many lines it has dropped.
            console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
        });
    }
}
