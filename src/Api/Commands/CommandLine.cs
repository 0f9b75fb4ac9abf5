using System.CommandLine;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using Microsoft.Win32.SafeHandles;
using Npgsql;
using RouteService.Api.Errors;
using RouteService.Api.Hosting;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Import;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Api.Commands;

/// <summary>
/// The commands and their arguments. Only here does a failure outside of a call become a line on standard error and an exit code.
/// </summary>
internal static class CommandLine
{
    // SIGXFSZ, of Linux and macOS.
    private const PosixSignal FileSizeExceeded = (PosixSignal)25;

    // The last three are the host's own, which test hosts pass.
    private static readonly string[] SettingRoots =
        ["RouteService", "ConnectionStrings", "Logging", "environment", "contentRoot", "applicationName"];

    /// <param name="args">Arguments of the program.</param>
    /// <param name="serve">
    /// Serves until a signal ends it, with the settings of the command line: <c>--RouteService:Grpc:Port=50052</c>.
    /// </param>
    /// <param name="import">Imports a file.</param>
    /// <param name="export">Exports all features.</param>
    /// <param name="migrate">Migrates the database to this program's schema, and grants roles what the service needs.</param>
    /// <param name="health">Asks whether the service at this management address is ready; null for the service on this machine.</param>
    /// <returns>
    /// 0 for success; 1 for a failure, with the reason on standard error; 130 if a signal ended an import, export or migration.
    /// </returns>
    public static async Task<int> RunAsync(
        string[] args,
        Func<string[], Task> serve,
        Func<ImportOptions, CancellationToken, Task> import,
        Func<ExportOptions, CancellationToken, Task> export,
        Func<IReadOnlyList<string>, CancellationToken, Task> migrate,
        Func<Uri?, CancellationToken, Task> health)
    {
        // A write beyond the limit of a file's size (ulimit -f) then fails, and does not end the program.
        using var limit = OperatingSystem.IsWindows()
            ? null
            : PosixSignalRegistration.Create(FileSizeExceeded, static context => context.Cancel = true);
        var file = new Argument<FileInfo>("FILE")
        {
            Description = "Features: GeoJSON points (a FeatureCollection, or a Feature a line), "
                + "CSV with the columns name,latitude,longitude in degrees and others, which become properties, "
                + "or JSON of the form [{\"location\":{\"latitude\":E7,\"longitude\":E7},\"name\":\"…\"}, …]. A .gz file is decompressed.",
        };
        var replace = new Option<bool>("--replace") { Description = "Remove all other features." };
        var allowEmpty = new Option<bool>("--allow-empty") { Description = "Allow --replace to empty the store by an empty file." };
        var skipInvalid = new Option<bool>("--skip-invalid") { Description = "Skip and count invalid records. Default: refuse the file." };

        var exportFile = new Argument<FileInfo?>("FILE")
        {
            Description = "File to write, whole or not at all: .geojson or .json (a FeatureCollection), .geojsonl or .ndjson (a Feature "
                + "a line), .csv (name,latitude,longitude,properties), and the same with .gz. Default: standard output.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var format = new Option<string>("--format") { Description = "Format, whatever FILE is called.", HelpName = "FORMAT" };
        format.AcceptOnlyFromAmong([.. ExportCommand.Formats.Keys]);

        var address = new Argument<Uri?>("ADDRESS")
        {
            Description = "Address of the management port. Default: http://localhost:8081, with the port that is set here.",
            Arity = ArgumentArity.ZeroOrOne,
            CustomParser = static parsed =>
            {
                var text = parsed.Tokens.Single().Value;
                if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https")
                {
                    return uri;
                }

                parsed.AddError($"'{text}' is not an address such as http://localhost:8081.");
                return null;
            },
        };

        var serveCommand = new Command("serve", "Serve gRPC until SIGINT or SIGTERM. The default.")
        {
            TreatUnmatchedTokensAsErrors = false,
        };
        serveCommand.SetAction((parsed, _) => GuardAsync(() => serve(ToSettings(parsed.UnmatchedTokens))));

        var importCommand = new Command("import", "Import features, all or nothing. Of several at one location the last wins.")
        {
            file,
            replace,
            allowEmpty,
            skipInvalid,
        };
        importCommand.SetAction((parsed, _) => GuardAsync(parsed, cancellationToken => import(
            new ImportOptions(
                parsed.GetRequiredValue(file), parsed.GetValue(replace), parsed.GetValue(allowEmpty), parsed.GetValue(skipInvalid)),
            cancellationToken)));

        var exportCommand = new Command("export", "Export all features as they are at one moment. `import` reads what this writes.")
        {
            exportFile,
            format,
        };
        exportCommand.SetAction((parsed, _) => GuardAsync(parsed, cancellationToken => export(
            new ExportOptions(
                parsed.GetValue(exportFile), parsed.GetValue(format) is { } name ? ExportCommand.Formats[name] : null),
            cancellationToken)));

        var grantTo = new Option<string[]>("--grant-to")
        {
            Description = "A role to grant what the service needs, also on tables of later migrations; may be repeated.",
            HelpName = "ROLE",
        };
        var migrateCommand = new Command(
            "migrate", "Migrate the PostGIS database to this program's schema. Safe to run several times at once.")
        {
            grantTo,
        };
        migrateCommand.SetAction((parsed, _) => GuardAsync(
            parsed,
            cancellationToken => migrate(parsed.GetValue(grantTo) ?? [], cancellationToken),
            "Cancelled; the migrations that were applied before stay, each as a whole. Run 'migrate' again for the others."));

        var healthCommand = new Command("health", "Ask a service whether it is ready: exit code 0 if it is, else 1.")
        {
            address,
        };
        healthCommand.SetAction((parsed, _) => GuardAsync(
            parsed, cancellationToken => health(parsed.GetValue(address), cancellationToken)));

        var root = new RootCommand(
            """
            RouteService: places, routes and travellers' notes over gRPC.

            Settings are environment variables, such as RouteService__Grpc__Port (50051), RouteService__Management__Port (8081),
            RouteService__Sqlite__Path (.data/route-service.db), or ConnectionStrings__RouteService for PostGIS;
            docs/configuration.md lists them all. `serve` takes them as arguments as well, such as --RouteService:Grpc:Port=50052.
            """)
        {
            serveCommand,
            importCommand,
            exportCommand,
            migrateCommand,
            healthCommand,
        };
        root.TreatUnmatchedTokensAsErrors = false;
        root.SetAction((parsed, _) => GuardAsync(() => serve(ToSettings(parsed.UnmatchedTokens))));

        // The host and UntilSignalAsync handle signals, and GuardAsync handles exceptions: here those of a help that cannot be written.
        var exitCode = 0;
        var failure = await GuardAsync(async () => exitCode = await root.Parse(args).InvokeAsync(
            new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }));
        return failure == 0 ? exitCode : failure;
    }

    /// <summary>
    /// The settings among the arguments of <c>serve</c>. Their keys and values are validated together with all other settings.
    /// </summary>
    private static string[] ToSettings(IReadOnlyList<string> arguments) =>
        arguments.FirstOrDefault(static argument => !IsSetting(argument)) is { } unknown
            ? throw new SettingException(
                $"Unrecognized command or argument '{Redacted.Argument(unknown)}'; "
                + "expected a command of --help, or --RouteService:SECTION:KEY=VALUE.")
            : [.. arguments];

    private static bool IsSetting(string argument) =>
        argument.StartsWith("--", StringComparison.Ordinal)
        && argument.Split('=') is [var key, _, ..]
        && SettingRoots.Contains(key[2..].Split(':')[0], StringComparer.OrdinalIgnoreCase);

    /// <summary>For a command that takes no settings as arguments: what it does not know is refused, and a signal cancels it.</summary>
    private static Task<int> GuardAsync(
        ParseResult parsed, Func<CancellationToken, Task> command, string cancelled = "Cancelled; nothing was changed.") => GuardAsync(
        () => parsed.UnmatchedTokens is [var unknown, ..]
            ? throw new SettingException($"Unrecognized command or argument '{Redacted.Argument(unknown)}'; expected what --help tells.")
            : UntilSignalAsync(command),
        cancelled);

    private static async Task<int> GuardAsync(Func<Task> command, string cancelled = "Cancelled.")
    {
        // Opened now: that no more files can be opened may be the failure to tell.
        var error = OpenError();
        try
        {
            await command();
            return 0;
        }
        catch (OperationCanceledException)
        {
            return End(error, cancelled, 130);
        }
        catch (Exception e)
        {
            return End(error, $"routeservice: {ExplainOrQuote(e).ReplaceLineEndings(" ")}", 1);
        }
    }

    /// <summary>The standard error; nothing if it is closed, because the exit code reports the failure.</summary>
    private static TextWriter OpenError()
    {
        try
        {
            return Console.Error;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return TextWriter.Null;
        }
    }

    private static int End(TextWriter error, string line, int exitCode)
    {
        try
        {
            error.WriteLine(line);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            EndWithoutConsole(line);
        }

        return exitCode;
    }

    /// <summary>Writes the line without the console, whose first use opens files.</summary>
    private static void EndWithoutConsole(string line)
    {
        const int StandardError = 2;
        try
        {
            using var handle = new SafeFileHandle(StandardError, ownsHandle: false);
            using var error = new FileStream(handle, FileAccess.Write, bufferSize: 0);
            error.Write(Encoding.UTF8.GetBytes($"{line}\n"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            // The reader of standard error is gone.
        }
    }

    private static string ExplainOrQuote(Exception exception)
    {
        try
        {
            return Explain(exception);
        }
        catch (IOException)
        {
            // An assembly that explains it cannot be loaded, because no file can be opened. The failure itself is usually of that kind, and
            // says that a file is missing.
            return $"{exception.Message} No more files can be opened: raise the limit of open files (ulimit -n).";
        }
    }

    /// <summary>One line for any failure: what is wrong, and which setting to correct.</summary>
    private static string Explain(Exception exception) => exception switch
    {
        OptionsValidationException invalid => invalid.Failures.First(),
        AggregateException { InnerExceptions: [var first, ..] } => Explain(first),

        // The message is for any caller; who runs a command is to know what PostgreSQL says.
        StoreUnavailableException { InnerException: PostgresException answer } =>
            $"{exception.Message} PostgreSQL says: {answer.MessageText} (SQLSTATE {answer.SqlState}).",
        StoreUnavailableException
        {
            InnerException: NpgsqlException or SocketException or CryptographicException or FormatException
                or FileNotFoundException or UnauthorizedAccessException,
        } => $"{exception.Message} {exception.GetBaseException().Message.TrimEnd('.')}.",
        SettingException or SchemaException or StoreUnavailableException or FeatureFileException or NotReadyException
            or NotReportedException => exception.Message,
        IOException { InnerException: SocketException or Microsoft.AspNetCore.Connections.AddressInUseException } io =>
            $"{io.Message.TrimEnd('.')}. Another program has the port; set {Settings.Variable("RouteService:Grpc:Port")} or "
                + $"{Settings.Variable("RouteService:Management:Port")} to a free one.",
        SocketException { SocketErrorCode: SocketError.AccessDenied } =>
            $"This user may not listen on a port below 1024. Set {Settings.Variable("RouteService:Grpc:Port")} and "
                + $"{Settings.Variable("RouteService:Management:Port")} to others, or give the program the capability NET_BIND_SERVICE.",
        DirectoryNotFoundException missing =>
            $"The folder '{missing.Message}' does not exist; expected that of the files of settings (DOTNET_CONTENTROOT).",

        // The outer message names a configuration file or a value, and the innermost says what is wrong with it.
        _ when exception.InnerException is not null => $"{exception.Message} {exception.GetBaseException().Message}",
        _ => $"{exception.Message} ({exception.GetType().Name})",
    };

    private static async Task UntilSignalAsync(Func<CancellationToken, Task> command)
    {
        using var cancellation = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
        await command(cancellation.Token);

        // A second signal ends the program, whatever it waits for.
        void Cancel(PosixSignalContext signal)
        {
            signal.Cancel = !cancellation.IsCancellationRequested;
            cancellation.Cancel();
        }
    }
}
