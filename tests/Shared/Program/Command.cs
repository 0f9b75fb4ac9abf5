using System.Diagnostics;
using System.Text;

namespace RouteService.Testing;

/// <summary>A program that was run to its end.</summary>
public sealed record Command(int ExitCode, string Output, string Error)
{
    /// <param name="program">What to run.</param>
    /// <param name="arguments">With what.</param>
    /// <param name="environment">What is set for it beside what is set here.</param>
    /// <param name="folder">Where; the repository's root unless given.</param>
    /// <param name="minutes">After which it is ended.</param>
    /// <exception cref="TimeoutException">It was.</exception>
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
