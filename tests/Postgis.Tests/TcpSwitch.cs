using System.Net;
using System.Net.Sockets;

namespace RouteService.Postgis.Tests;

/// <summary>
/// A host name that moves: new connections go to the port that is set, and those that are open stay where they are, as after a change of DNS.
/// </summary>
internal sealed class TcpSwitch : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly Task _accepting;
    private volatile int _target;

    public TcpSwitch(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public void GoTo(int target) => _target = target;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        var open = new List<Task>();
        try
        {
            while (true)
            {
                open.Add(ForwardAsync(await _listener.AcceptTcpClientAsync(_end.Token)));
            }
        }
        finally
        {
            await Task.WhenAll(open).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ForwardAsync(TcpClient client)
    {
        using var near = client;
        using var far = new TcpClient();
        await far.ConnectAsync(IPAddress.Loopback, _target, _end.Token);
        await Task.WhenAny(
            near.GetStream().CopyToAsync(far.GetStream(), _end.Token),
            far.GetStream().CopyToAsync(near.GetStream(), _end.Token));
    }
}
