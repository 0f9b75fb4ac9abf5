using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Google.Protobuf;
using RouteService.Contracts.Routeguide;

namespace RouteService.Runtime.Bench;

/// <summary>The load client, a program of its own: what this process allocates meanwhile is the server's.</summary>
internal sealed class Load(string program) : IDisposable
{
    private readonly string _body = Path.GetTempFileName();

    /// <summary>Runs it, and gives a figure of what it prints.</summary>
    public async Task<double> RunAsync(string figure, string method, IEnumerable<IMessage> request, string address, string options)
    {
        await using (var body = File.Create(_body))
        {
            foreach (var message in request)
            {
                body.Write([0, 0, 0, 0, (byte)message.CalculateSize()]);
                message.WriteTo(body);
            }
        }

        var start = new ProcessStartInfo(program, $"{method} {_body} {address} {options} --expect {Expected(method, request)}") { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{start.Arguments} failed: {output}");
        }

        return double.Parse(Regex.Match(output, $@" {figure}=([\d.]+)").Groups[1].Value, CultureInfo.InvariantCulture);
    }

    public void Dispose() => File.Delete(_body);

    private static int Expected(string method, IEnumerable<IMessage> request) =>
        method == "ListFeatures" ? ((Rectangle)request.First()).Lo.Latitude : 1;
}
