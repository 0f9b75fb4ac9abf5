using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Grpc.Core;

namespace RouteService.Operations.Tests;

/// <summary>A client that speaks HTTP/2 frame by frame (RFC 9113), as well or as badly as a test asks.</summary>
internal sealed class RawConnection : IAsyncDisposable
{
    public const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, GoAway = 7, WindowUpdate = 8, Continuation = 9;
    public const byte EndStream = 1, EndHeaders = 4;

    private readonly Socket _socket;
    private readonly NetworkStream _stream;

    private RawConnection(Socket socket)
    {
        _socket = socket;
        _stream = new NetworkStream(socket);
    }

    /// <summary>Connects, and sends the preface with these settings.</summary>
    public static async Task<RawConnection> OpenAsync(int port, params (int Id, int Value)[] settings)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        var connection = new RawConnection(socket);

        // Without a dynamic table (HEADER_TABLE_SIZE) each block of headers can be read by itself.
        byte[] payload = [.. settings.Prepend((Id: 1, Value: 0))
            .SelectMany(static setting => (byte[])[(byte)(setting.Id >> 8), (byte)setting.Id, .. Int(setting.Value)])];
        await connection.SendAsync([.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(Settings, 0, 0, payload)]);
        return connection;
    }

    public Task SendAsync(params byte[] bytes) => _stream.WriteAsync(bytes).AsTask();

    /// <summary>Starts a call.</summary>
    public Task CallAsync(int stream, string path, params (string Name, string? Value)[] metadata) =>
        SendAsync(HeadersFrame(stream, path, metadata));

    /// <summary>Sends a message of a call.</summary>
    public Task MessageAsync(int stream, byte[] message, bool isLast = false) =>
        SendAsync(Frame(Data, isLast ? EndStream : (byte)0, stream, message));

    /// <summary>Makes a call with one message.</summary>
    public async Task<RawAnswer> AnswerAsync(int stream, string path, byte[] message, params (string Name, string? Value)[] metadata)
    {
        await CallAsync(stream, path, metadata);
        await MessageAsync(stream, message, isLast: true);
        return await AnswerAsync(stream);
    }

    /// <summary>Reads until a call has ended, and makes room for the rest of its answer; frames of others are passed over.</summary>
    public async Task<RawAnswer> AnswerAsync(int stream)
    {
        var (fields, body) = (new Dictionary<string, string>(), new List<byte>());
        while (await ReadAsync() is { } frame)
        {
            if (frame.Stream != stream)
            {
                continue;
            }

            switch (frame.Type)
            {
                case Data:
                    body.AddRange(frame.Payload);
                    if (!frame.EndsStream && frame.Payload.Length > 0)
                    {
                        var taken = Int(frame.Payload.Length);
                        await SendAsync([.. Frame(WindowUpdate, 0, 0, taken), .. Frame(WindowUpdate, 0, stream, taken)]);
                    }

                    break;

                case Headers:
                    foreach (var (name, value) in Fields(frame.Payload))
                    {
                        fields[name] = value;
                    }

                    break;

                case Reset:
                    return new RawAnswer(fields, [.. body], frame.Int(0), IsClosed: false);
            }

            if (frame.EndsStream)
            {
                return new RawAnswer(fields, [.. body], Reset: null, IsClosed: false);
            }
        }

        return new RawAnswer(fields, [.. body], Reset: null, IsClosed: true);
    }

    /// <summary>The next frame; null where the server has closed the connection.</summary>
    public async Task<RawFrame?> ReadAsync()
    {
        try
        {
            var header = new byte[9];
            await _stream.ReadExactlyAsync(header).AsTask().WaitAsync(ServiceTest.Patience);
            var payload = new byte[(header[0] << 16) | (header[1] << 8) | header[2]];
            await _stream.ReadExactlyAsync(payload).AsTask().WaitAsync(ServiceTest.Patience);
            return new RawFrame(header[3], header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)), payload);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>
    /// The next frame of a type; what comes before it is passed over. Null where the server has closed the connection without one.
    /// </summary>
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

    /// <summary>The answer to a ping, before which all that was there to be sent has come.</summary>
    public async Task PingAsync()
    {
        await SendAsync(Frame(Ping, 0, 0, new byte[8]));
        while (true)
        {
            var frame = await ReadAsync();
            Assert.True(frame is { Type: not GoAway }, "The server has ended the connection.");
            if (frame.Value is { Type: Ping, Flags: 1 })
            {
                return;
            }
        }
    }

    /// <summary>RFC 9113, 4.1.</summary>
    public static byte[] Frame(byte type, byte flags, int stream, params byte[] payload) =>
        [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, .. Int(stream), .. payload];

    /// <summary>
    /// The headers of a call, in as many frames as they need. What is in the metadata replaces the call's own, and null leaves it out.
    /// </summary>
    public static byte[] HeadersFrame(int stream, string path, params (string Name, string? Value)[] metadata)
    {
        (string Name, string? Value)[] own =
        [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ];
        return HeadersFrame(stream, 0, Block(
        [
            .. own.Select(field => metadata.Where(other => other.Name == field.Name).DefaultIfEmpty(field).First())
                .Where(static field => field.Value is not null),
            .. metadata.Where(field => !own.Any(other => other.Name == field.Name)),
        ]));
    }

    /// <summary>The client's trailers, which end its side of the call.</summary>
    public static byte[] TrailersFrame(int stream, params (string Name, string? Value)[] fields) =>
        HeadersFrame(stream, EndStream, Block(fields));

    /// <summary>
    /// A message as gRPC frames it, of a type whose first field is this text of at most 127 bytes: HelloRequest of both services.
    /// </summary>
    public static byte[] Message(string text)
    {
        var payload = Encoding.UTF8.GetBytes(text);
        return [0, .. Int(payload.Length + 2), 10, (byte)payload.Length, .. payload];
    }

    public static byte[] Message(IMessage message) => Message(message.ToByteArray());

    /// <summary>A message with these bytes.</summary>
    public static byte[] Message(byte[] payload) => [0, .. Int(payload.Length), .. payload];

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        _socket.Dispose();
    }

    private static byte[] HeadersFrame(int stream, byte flags, byte[] block)
    {
        const int MaxFrame = 16_384;
        var frames = new List<byte>();
        for (var at = 0; at < block.Length; at += MaxFrame)
        {
            var isLast = at + MaxFrame >= block.Length;
            frames.AddRange(Frame(
                at == 0 ? Headers : Continuation,
                (byte)((isLast ? EndHeaders : 0) | (at == 0 ? flags : 0)),
                stream,
                block[at..Math.Min(block.Length, at + MaxFrame)]));
        }

        return [.. frames];
    }

    /// <summary>Literal fields without indexing (RFC 7541, 6.2.2): no state between the calls. A character is a byte.</summary>
    private static byte[] Block(IEnumerable<(string Name, string? Value)> fields)
    {
        var block = new List<byte>();
        foreach (var (name, value) in fields)
        {
            block.Add(0);
            AddText(name);
            AddText(value!);
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

    /// <summary>
    /// The fields of a block without dynamic table and Huffman code, as Kestrel writes it. Of the static table only what it uses has a name
    /// here.
    /// </summary>
    public static IEnumerable<(string Name, string Value)> Fields(byte[] block)
    {
        for (var at = 0; at < block.Length;)
        {
            var first = block[at];
            if (first >= 0x80)
            {
                yield return Static(Number(7));
            }
            else if ((first & 0xE0) == 0x20)
            {
                Number(5);
            }
            else
            {
                var index = Number((first & 0x40) != 0 ? 6 : 4);
                var name = index == 0 ? Text() : Static(index).Name;
                yield return (name, Text());
            }

            string Text()
            {
                var length = Number(7);
                at += length;
                return Encoding.Latin1.GetString(block, at - length, length);
            }

            int Number(int bits)
            {
                var limit = (1 << bits) - 1;
                var number = block[at++] & limit;
                if (number < limit)
                {
                    return number;
                }

                for (var shift = 0; ; shift += 7)
                {
                    number += (block[at] & 127) << shift;
                    if (block[at++] < 128)
                    {
                        return number;
                    }
                }
            }
        }

        static (string Name, string Value) Static(int index) => index switch
        {
            8 => (":status", "200"),
            12 => (":status", "400"),
            13 => (":status", "404"),
            14 => (":status", "500"),
            _ => ($"static-{index}", ""),
        };
    }

    private static byte[] Int(int value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];
}

/// <summary>A frame as it came.</summary>
internal readonly record struct RawFrame(byte Type, byte Flags, int Stream, byte[] Payload)
{
    public bool EndsStream => Type is RawConnection.Headers or RawConnection.Data && (Flags & RawConnection.EndStream) != 0;

    /// <summary>An integer of four bytes of the payload, such as the last stream of a GOAWAY (at 0) and its error (at 4).</summary>
    public int Int(int at) => BinaryPrimitives.ReadInt32BigEndian(Payload.AsSpan(at));
}

/// <summary>How a call ended: with headers and trailers, with the code of a reset, or with its connection.</summary>
internal sealed record RawAnswer(IReadOnlyDictionary<string, string> Fields, byte[] Body, int? Reset, bool IsClosed)
{
    /// <summary>grpc-status, or what a client takes for it.</summary>
    public StatusCode Status => this switch
    {
        { IsClosed: true } or { Reset: 7 } => StatusCode.Unavailable,
        { Reset: not null } => StatusCode.Internal,
        _ when Fields.TryGetValue("grpc-status", out var status) => (StatusCode)int.Parse(status, CultureInfo.InvariantCulture),
        _ when Fields[":status"] == "404" => StatusCode.Unimplemented,
        _ => StatusCode.Unknown,
    };

    public string Http => Fields.GetValueOrDefault(":status", "");
}
