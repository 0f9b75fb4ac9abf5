using System.Net;
using System.Net.Sockets;

namespace RouteService.Client.Tests;

/// <summary>An address that says nothing at all: its queue of connections is full, so that the kernel drops who asks for one.</summary>
internal sealed class BlackHole : IDisposable
{
    private readonly Socket _listener = NewSocket();
    private readonly List<Socket> _queue = [];

    public BlackHole(IPAddress address, int port)
    {
        _listener.Bind(new IPEndPoint(address, port));
        _listener.Listen(0);
        var where = _listener.LocalEndPoint!;
        for (var i = 0; i < 4; i++)
        {
            var socket = NewSocket();
            socket.Blocking = false;
            _queue.Add(socket);
            try
            {
                socket.Connect(where);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
            {
            }
        }
    }

    public void Dispose()
    {
        _queue.ForEach(static socket => socket.Dispose());
        _listener.Dispose();
    }

    private static Socket NewSocket() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
}
