using System.Diagnostics;
using System.Text;

namespace RouteService.Testing;

/// <summary>A program that has run to its end.</summary>
public sealed record Command(int ExitCode, string Output, string Error)
{
    /// <param name="program">Program.</param>
    /// <param name="arguments">Arguments.</param>
    /// <param name="environment">Further variables of the environment.</param>
    /// <param name="folder">Working directory; default the root of the repository.</param>
    /// <param name="minutes">Time limit, after which the program is killed.</param>
    /// <exception cref="TimeoutException">The time limit has passed.</exception>
    public static async Task<Command> RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null, int minutes = 3)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder ?? Repository.Root,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(minutes));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(patience.Token);
            var error = process.StandardError.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            return new Command(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} has not ended after {minutes} minutes.");
        }
    }

    /// <summary>The built service with these arguments.</summary>
    public static Task<Command> RunServiceAsync(string[] arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null) =>
        RunAsync("dotnet", [Repository.Program, .. arguments], environment, folder);

    public Command AssertSuccess()
    {
        Assert.True(ExitCode == 0, $"Exit code {ExitCode}.\n{Output}\n{Error}");
        return this;
    }
}
