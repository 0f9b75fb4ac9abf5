using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace RouteService.Testing;

/// <summary>HAProxy as a gateway before a service, to which it goes on in HTTP/2 without TLS.</summary>
public sealed class HAProxy : IAsyncDisposable
{
    private const string Program = "/usr/sbin/haproxy";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Process _process;

    private HAProxy(Process process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    /// <summary>Starts it, or skips the test where it is missing.</summary>
    /// <param name="folder">For its configuration.</param>
    /// <param name="listening">How it listens: the options of its <c>bind</c>.</param>
    /// <param name="servicePort">Port of the service.</param>
    public static async Task<HAProxy> StartAsync(string folder, string listening, int servicePort)
    {
        Assert.SkipUnless(File.Exists(Program), "haproxy is missing: apt-get install haproxy");
        var (port, configuration) = (FreePort.Next(), Path.Combine(folder, "haproxy.cfg"));
        await File.WriteAllTextAsync(configuration, $"""
            defaults
              mode http
              timeout client 60s
              timeout server 60s
              timeout connect 5s
            frontend gateway
              bind 127.0.0.1:{port} {listening}
              default_backend service
            backend service
              server one 127.0.0.1:{servicePort} proto h2

            """);
        var haproxy = new HAProxy(
            Process.Start(new ProcessStartInfo(Program, ["-db", "-f", configuration]) { RedirectStandardError = true })!, port);
        try
        {
            await haproxy.WaitAsync();
            return haproxy;
        }
        catch
        {
            await haproxy.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task WaitAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            Assert.False(_process.HasExited, _process.HasExited ? await _process.StandardError.ReadToEndAsync(patience.Token) : "");
            try
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync(IPAddress.Loopback, Port, patience.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(50, patience.Token);
            }
        }
    }
}
