using Microsoft.Extensions.Logging.Console;

namespace RouteService.Api.Hosting;

internal static class ConsoleLog
{
    /// <summary>Our own lines from Information on, the framework's from Warning on; the standard "Logging" configuration changes that.</summary>
    public static void AddConsoleLog(this WebApplicationBuilder builder)
    {
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);

        // What keeps the host from starting is told in one line on standard error (CommandLine).
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Logging.AddSimpleConsole(static console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
            console.ColorBehavior = LoggerColorBehavior.Default;
        });
    }
}
