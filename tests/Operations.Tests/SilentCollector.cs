using System.Net;
using System.Net.Sockets;

namespace RouteService.Operations.Tests;

/// <summary>Takes connections and whatever comes over them, and never answers.</summary>
internal sealed class SilentCollector : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly TaskCompletionSource _request = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public SilentCollector()
    {
        _listener.Start();
        Accepting = AcceptAsync();
    }

    public string Endpoint => $"http://{_listener.LocalEndpoint}";

    private Task Accepting { get; }

    /// <summary>Waits until a request has come, or its beginning.</summary>
    public Task RequestAsync() => _request.Task.WaitAsync(ServiceTest.Patience);

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ReadAsync(await _listener.AcceptTcpClientAsync());
            }
        }
        catch (SocketException)
        {
            // Disposed of.
        }
    }

    private async Task ReadAsync(TcpClient client)
    {
        using (client)
        {
            var buffer = new byte[4_096];
            try
            {
                while (await client.GetStream().ReadAsync(buffer) > 0)
                {
                    _request.TrySetResult();
                }
            }
            catch (IOException)
            {
                // The service has ended.
            }
        }
    }
}
