using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace RouteService.Testing;

/// <summary>The built program, started as a user starts it, on free ports and with a fresh data folder.</summary>
public sealed partial class RunningService : IAsyncLifetime
{
    private static readonly HttpClient Http = new();

    private readonly StringBuilder _output = new();
    private Process? _process;

    // Start of the output of the current process, after that of earlier ones.
    private int _outputStart;

    public string Folder { get; } = Directory.CreateTempSubdirectory("route-service-test-").FullName;

    /// <summary>The gRPC port, from the start-up lines.</summary>
    public int GrpcPort => Port(GrpcPortLine());

    public int ManagementPort => Port(ManagementPortLine());

    public int ProcessId => _process!.Id;

    public bool HasExited => _process is null or { HasExited: true };

    public string Address => $"localhost:{GrpcPort}";

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    public static Dictionary<string, string> Environment => new()
    {
        ["RouteService__Grpc__Port"] = "0",
        ["RouteService__Management__Port"] = "0",
    };

    /// <summary>Variables of its environment.</summary>
    public Dictionary<string, string> Settings { get; } = Environment;

    /// <summary>Pattern of the lines that it may log as errors; null for none.</summary>
    public string? ExpectedErrors { get; init; }

    public async ValueTask InitializeAsync() => await StartAsync("dotnet", Repository.Program);

    /// <summary>Starts it and waits until it is ready.</summary>
    public async Task StartAsync(string program, params string[] arguments)
    {
        await LaunchAsync(program, arguments);
        await WaitForReadinessAsync(HttpStatusCode.OK);
    }

    /// <summary>Starts it and waits until it has logged its ports.</summary>
    public async Task LaunchAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in Settings)
        {
            start.Environment[name] = value;
        }

        lock (_output)
        {
            _outputStart = _output.Length;
        }

        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) => Append(line.Data);
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();

        await WaitAsync("up", () => Task.FromResult(ManagementPort > 0));
    }

    /// <summary>Waits until /healthz/ready has this answer.</summary>
    public Task WaitForReadinessAsync(HttpStatusCode status) =>
        WaitAsync($"{status} by readiness", async () => (await HealthAsync("ready")).StatusCode == status);

    /// <summary>Waits until its output has this text.</summary>
    /// <returns>The whole output.</returns>
    public async Task<string> OutputAsync(string text)
    {
        await WaitAsync($"saying \"{text}\"", () => Task.FromResult(Output.Contains(text, StringComparison.Ordinal)));
        return Output;
    }

    /// <summary>Status and text of the answer to a probe; 0 while nothing listens.</summary>
    public async Task<(HttpStatusCode StatusCode, string Text)> HealthAsync(string probe)
    {
        try
        {
            using var answer = await Http.GetAsync($"http://localhost:{ManagementPort}/healthz/{probe}");
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }
        catch (HttpRequestException)
        {
            return default;
        }
    }

    private async Task WaitAsync(string state, Func<Task<bool>> isReached)
    {
        var patience = Stopwatch.StartNew();
        while (!await isReached())
        {
            Assert.False(_process!.HasExited, $"The service has ended:\n{Output}");
            Assert.True(patience.Elapsed < TimeSpan.FromMinutes(2), $"The service is not {state} after 2 minutes:\n{Output}");
            await Task.Delay(50);
        }
    }

    /// <summary>Sends a signal and waits for the end of the process.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync(int signal = SigTerm)
    {
        Send(signal);
        return await WaitForExitAsync();
    }

    /// <summary>Sends a signal.</summary>
    public void Send(int signal) => Send(signal, ProcessId);

    /// <summary>Sends a signal to any process; the program "kill" is not on every machine.</summary>
    public static void Send(int signal, int process) => Assert.Equal(0, Kill(process, signal));

    /// <summary>Sends a signal to a program that may have ended meanwhile.</summary>
    public bool TrySend(int signal) => TrySend(signal, ProcessId);

    /// <inheritdoc cref="TrySend(int)"/>
    public static bool TrySend(int signal, int process) => Kill(process, signal) == 0;

    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(40));
        await _process!.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    public const int SigHup = 1;
    public const int SigInt = 2;
    public const int SigKill = 9;
    public const int SigTerm = 15;
    public const int SigCont = 18;
    public const int SigStop = 19;

    /// <summary>Stops it as an operator does, and checks that it ends cleanly and has logged no error.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_process is { HasExited: false })
            {
                Assert.True(await StopAsync() == 0, $"The service has ended with exit code {_process.ExitCode}:\n{Output}");
                var errors = Regex.Matches(Output, ExpectedErrors is null ? "(fail|crit): .*" : $"(fail|crit): (?!{ExpectedErrors}).*");
                Assert.True(errors.Count == 0, $"The service has logged errors:\n{string.Join('\n', errors)}");
            }
        }
        finally
        {
            if (_process is { HasExited: false })
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync();
            }

            _process?.Dispose();
            Directory.Delete(Folder, recursive: true);
        }
    }

    private int Port(Regex line) => line.Match(Output, _outputStart) is { Success: true } match ? int.Parse(match.Groups[1].Value) : 0;

    private void Append(string? line)
    {
        lock (_output)
        {
            _output.AppendLine(line);
        }
    }

    [GeneratedRegex(@"gRPC on port (\d+)")]
    private static partial Regex GrpcPortLine();

    [GeneratedRegex(@"http://localhost:(\d+)/healthz")]
    private static partial Regex ManagementPortLine();

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);
}
