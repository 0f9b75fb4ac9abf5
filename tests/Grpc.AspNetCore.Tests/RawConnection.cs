using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Grpc.AspNetCore.Tests;

/// <summary>A client that speaks HTTP/2 frame by frame (RFC 9113), as well or as badly as a test wants.</summary>
internal sealed class RawConnection : IAsyncDisposable
{
    public const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, GoAway = 7, WindowUpdate = 8, Continuation = 9;
    public const byte EndStream = 1, EndHeaders = 4;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Socket _socket;
    private readonly NetworkStream _stream;

    private RawConnection(Socket socket)
    {
        _socket = socket;
        _stream = new NetworkStream(socket);
    }

    /// <summary>Connects, and sends the preface with these settings.</summary>
    public static async Task<RawConnection> OpenAsync(string address, params (int Id, int Value)[] settings)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPEndPoint.Parse(new Uri(address).Authority));
        var connection = new RawConnection(socket);
        byte[] payload = [.. settings.SelectMany(setting => (byte[])[(byte)(setting.Id >> 8), (byte)setting.Id, .. Int(setting.Value)])];
        await connection.SendAsync([.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(Settings, 0, 0, payload)]);
        return connection;
    }

    public Task SendAsync(params byte[] bytes) => _stream.WriteAsync(bytes).AsTask();

    /// <summary>Starts a call.</summary>
    public Task CallAsync(int stream, string path, params (string Name, string Value)[] metadata) => SendAsync(HeadersFrame(stream, path, metadata));

    /// <summary>The next frame; null where the server has closed the connection.</summary>
    public async Task<RawFrame?> ReadAsync()
    {
        try
        {
            var header = new byte[9];
            await _stream.ReadExactlyAsync(header).AsTask().WaitAsync(Patience);
            var payload = new byte[(header[0] << 16) | (header[1] << 8) | header[2]];
            await _stream.ReadExactlyAsync(payload).AsTask().WaitAsync(Patience);
            return new RawFrame(header[3], header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)), payload);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The next frame of a type; what comes before it is passed over. Null where there is none and the server has closed the connection.</summary>
    public async Task<RawFrame?> ReadAsync(byte type)
    {
        RawFrame? frame;
        do
        {
            frame = await ReadAsync();
        }
        while (frame is { } one && one.Type != type);
        return frame;
    }

    /// <summary>Reads until the server closes the connection.</summary>
    public async Task ReadToEndAsync()
    {
        while (await ReadAsync() is not null)
        {
        }
    }

    /// <summary>RFC 9113, 4.1.</summary>
    public static byte[] Frame(byte type, byte flags, int stream, params byte[] payload) =>
        [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, .. Int(stream), .. payload];

    /// <summary>The headers of a call, in as many frames as they need.</summary>
    public static byte[] HeadersFrame(int stream, string path, params (string Name, string Value)[] metadata)
    {
        const int MaxFrame = 16_384;
        var block = Block([(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers"), .. metadata]);
        var frames = new List<byte>();
        for (var at = 0; at < block.Length; at += MaxFrame)
        {
            var part = block[at..Math.Min(block.Length, at + MaxFrame)];
            frames.AddRange(Frame(at == 0 ? Headers : Continuation, at + MaxFrame >= block.Length ? EndHeaders : (byte)0, stream, part));
        }

        return [.. frames];
    }

    /// <summary>A message as gRPC frames it.</summary>
    public static byte[] Message(string text)
    {
        var payload = Encoding.UTF8.GetBytes(text);
        return [0, .. Int(payload.Length), .. payload];
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        _socket.Dispose();
    }

    /// <summary>Literal fields without indexing (RFC 7541, 6.2.2): no state between the calls.</summary>
    private static byte[] Block(IEnumerable<(string Name, string Value)> fields)
    {
        var block = new List<byte>();
        foreach (var (name, value) in fields)
        {
            block.Add(0);
            AddText(name);
            AddText(value);
        }

        return [.. block];

        // RFC 7541, 5.1 and 5.2: a length with a prefix of seven bits, and the bytes.
        void AddText(string text)
        {
            var bytes = Encoding.Latin1.GetBytes(text);
            var left = bytes.Length;
            if (left < 127)
            {
                block.Add((byte)left);
            }
            else
            {
                block.Add(127);
                for (left -= 127; left >= 128; left >>= 7)
                {
                    block.Add((byte)(left | 128));
                }

                block.Add((byte)left);
            }

            block.AddRange(bytes);
        }
    }

    private static byte[] Int(int value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];
}

/// <summary>A frame as it came.</summary>
internal readonly record struct RawFrame(byte Type, byte Flags, int Stream, byte[] Payload)
{
    public bool EndsStream => (Flags & RawConnection.EndStream) != 0;

    /// <summary>An integer of four bytes of the payload, such as the last stream of a GOAWAY (at 0) and its error (at 4).</summary>
    public int Int(int at) => BinaryPrimitives.ReadInt32BigEndian(Payload.AsSpan(at));
}
