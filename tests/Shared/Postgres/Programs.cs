using System.Diagnostics;

namespace RouteService.Testing;

/// <summary>PostgreSQL's programs on this machine. They do not run as root, so root runs them as an ordinary user.</summary>
internal sealed class Programs
{
    private const string Install = "Install it (Debian: postgresql-15-postgis-3) or set ROUTESERVICE_TEST_POSTGRES to a connection string.";

    private readonly string _folder;

    private Programs(string folder, string? account)
    {
        _folder = folder;
        Account = account;
    }

    /// <summary>The user that PostgreSQL runs as; null for the current user.</summary>
    public string? Account { get; }

    /// <summary>The newest version on this machine.</summary>
    /// <exception cref="PostgresMissingException">PostgreSQL, or a user to run it, is missing.</exception>
    public static async Task<Programs> FindAsync()
    {
        var folders = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").OrderByDescending(Version).Select(static version => Path.Combine(version, "bin"))
            : [];
        folders = folders.Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries));
        var folder = folders.FirstOrDefault(static folder => File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "postgres")))
            ?? throw new PostgresMissingException($"There is no PostgreSQL on this machine. {Install}");
        var account = Environment.IsPrivilegedProcess
            ? await AccountAsync() ?? throw new PostgresMissingException(
                "PostgreSQL does not run as root, and there is neither a user postgres nor nobody that runuser could run it as.")
            : null;
        return new Programs(folder, account);

        static double Version(string folder) => double.TryParse(Path.GetFileName(folder), out var version) ? version : 0;
    }

    /// <summary>A program of PostgreSQL and its arguments, as a command of this machine.</summary>
    public string[] Command(string program, params string[] arguments) => AsAccount([Path.Combine(_folder, program), .. arguments]);

    /// <summary>Runs a program of PostgreSQL to its end.</summary>
    /// <exception cref="InvalidOperationException">The program failed; the message has its output.</exception>
    public Task<string> RunAsync(string program, params string[] arguments) => RunAsync(Command(program, arguments));

    /// <summary>Creates an empty folder that PostgreSQL may write to.</summary>
    public async Task<string> MakeFolderAsync() =>
        (await RunAsync(AsAccount(["mktemp", "-d", Path.Combine(Path.GetTempPath(), "route-service-postgres-XXXXXX")]))).Trim();

    /// <summary>Appends text to a file of PostgreSQL.</summary>
    public Task AppendAsync(string file, string text) => RunAsync(AsAccount(["sh", "-c", "printf '%s\\n' \"$2\" >> \"$1\"", "sh", file, text]));

    /// <summary>Copies a folder of PostgreSQL.</summary>
    public Task CopyAsync(string folder, string to) => RunAsync(AsAccount(["cp", "-R", folder, to]));

    /// <summary>Removes a folder of <see cref="MakeFolderAsync"/>.</summary>
    public Task RemoveAsync(string folder) => RunAsync(AsAccount(["rm", "-r", folder]));

    private string[] AsAccount(string[] command) => Account is null ? command : ["runuser", "-u", Account, "--", .. command];

    private static async Task<string?> AccountAsync()
    {
        foreach (var account in (string[])["postgres", "nobody"])
        {
            try
            {
                await RunAsync(["runuser", "-u", account, "--", "true"]);
                return account;
            }
            catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // The next one.
            }
        }

        return null;
    }

    private static async Task<string> RunAsync(string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            // Programs complain about a folder that their account may not enter.
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"{string.Join(' ', command)} ended with exit code {process.ExitCode}: {await output}{await error}");
    }
}
