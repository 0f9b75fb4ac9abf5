using System.Net;
using System.Net.Sockets;

namespace RouteService.Client.Tests;

/// <summary>Connections to a server that a test can have refused, reset, or left hanging.</summary>
internal sealed class TcpProxy : IAsyncDisposable
{
    private readonly IPAddress _address;
    private readonly Func<int> _target;
    private readonly Lock _lock = new();
    private readonly HashSet<Socket> _sockets = [];
    private readonly List<Task> _running = [];
    private TaskCompletionSource _flowing = Flowing();
    private Socket? _listener;

    private TcpProxy(IPAddress address, Func<int> target)
    {
        _address = address;
        _target = target;
    }

    public int Port { get; private set; }

    public string Address => $"http://{_address}:{Port}";

    /// <summary>Connections taken.</summary>
    public int Connections { get; private set; }

    /// <param name="target">The port of the server on this machine, asked at each connection.</param>
    /// <param name="address">Where to listen; null for 127.0.0.1.</param>
    /// <param name="port">0 for any.</param>
    public static TcpProxy Start(Func<int> target, IPAddress? address = null, int port = 0)
    {
        var proxy = new TcpProxy(address ?? IPAddress.Loopback, target) { Port = port };
        proxy.Accept();
        return proxy;
    }

    /// <summary>Takes connections, again.</summary>
    public void Accept()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(new IPEndPoint(_address, Port));
        listener.Listen();
        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        lock (_lock)
        {
            _listener = listener;
            _running.Add(AcceptAsync(listener));
        }
    }

    /// <summary>Refuses connections from here on, and leaves those that there are.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _listener?.Dispose();
            _listener = null;
        }
    }

    /// <summary>Refuses connections from here on, and resets those that there are.</summary>
    public void Refuse()
    {
        Close();
        Reset();
    }

    /// <summary>Resets all connections (RST, not FIN); others can be made.</summary>
    public void Reset()
    {
        Socket[] sockets;
        lock (_lock)
        {
            sockets = [.. _sockets];
            _sockets.Clear();
        }

        foreach (var socket in sockets)
        {
            try
            {
                socket.LingerState = new LingerOption(true, 0);
                socket.Dispose();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It has just ended by itself.
            }
        }
    }

    /// <summary>Passes nothing on any more, and closes nothing.</summary>
    public void Stall() => _flowing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Flow() => _flowing.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        Flow();
        Refuse();
        await Task.WhenAll(_running);
    }

    private static TaskCompletionSource Flowing()
    {
        var flowing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        flowing.SetResult();
        return flowing;
    }

    private async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptAsync();
                client.NoDelay = true;
                lock (_lock)
                {
                    Connections++;
                    _sockets.Add(client);
                    _running.Add(ServeAsync(client));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task ServeAsync(Socket client)
    {
        var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _target());
            lock (_lock)
            {
                _sockets.Add(server);
            }

            await Task.WhenAny(PumpAsync(client, server), PumpAsync(server, client));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
        finally
        {
            client.Dispose();
            server.Dispose();
            lock (_lock)
            {
                _sockets.Remove(client);
                _sockets.Remove(server);
            }
        }
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            int count;
            while ((count = await from.ReceiveAsync(buffer)) > 0)
            {
                await _flowing.Task;
                for (var sent = 0; sent < count;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }
}
