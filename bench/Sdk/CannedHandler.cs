using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Sdk.Bench;

/// <summary>Answers in the place of a connection, with bytes that are ready: what is left is what the client costs.</summary>
internal sealed class CannedHandler : HttpMessageHandler
{
    private static readonly MediaTypeHeaderValue Grpc = new("application/grpc");

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        await request.Content!.CopyToAsync(Stream.Null, cancellationToken);
        var body = Answers.To(request.RequestUri!.AbsolutePath);
        var response = new HttpResponseMessage(HttpStatusCode.OK) { Version = HttpVersion.Version20, Content = new StreamContent(new Repeating(body)) };
        response.Content.Headers.ContentType = Grpc;
        response.TrailingHeaders.Add("grpc-status", "0");
        return response;
    }

    /// <summary>Gives as much as is asked for at once, and so waits for nothing.</summary>
    private sealed class Repeating(Answer answer) : Stream
    {
        private int _times;
        private int _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            var read = 0;
            while (read < buffer.Length && _times < answer.Times)
            {
                var length = Math.Min(buffer.Length - read, answer.Bytes.Length - _position);
                answer.Bytes.AsSpan(_position, length).CopyTo(buffer[read..]);
                read += length;
                _position += length;
                if (_position == answer.Bytes.Length)
                {
                    (_position, _times) = (0, _times + 1);
                }
            }

            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Read(buffer.Span));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

/// <summary>Bytes that a server sends, so many times.</summary>
internal sealed record Answer(byte[] Bytes, int Times);

/// <summary>The bytes of gRPC messages (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").</summary>
internal static class Answers
{
    /// <summary>Features that <see cref="ListOf"/> repeats.</summary>
    private const int Distinct = 10_000;

    private static readonly Answer Feature = new(Frames([FeatureOf(0)]), 1);
    private static readonly Answer Hello = new(Frames([new Contracts.Helloworld.HelloReply { Message = "Hello, you!" }]), 1);
    private static readonly Answer Summary = new(Frames([new Proto.RouteSummary { PointCount = 1 }]), 1);
    private static readonly byte[] Features = Frames(Enumerable.Range(0, Distinct).Select(FeatureOf));

    /// <summary>How many features a listing has: a multiple of 10 000.</summary>
    public static int Count { get; set; }

    public static string NameOf(int number) => $"Somewhere no. {number:D6}";

    public static Answer To(string method) => method switch
    {
        "/routeguide.RouteGuide/GetFeature" => Feature,
        "/routeguide.RouteGuide/ListFeatures" => new Answer(Features, Count / Distinct),
        "/routeguide.RouteGuide/RecordRoute" => Summary,
        "/helloworld.Greeter/SayHello" => Hello,
        _ => throw new ArgumentException($"There is no answer to {method}.", nameof(method)),
    };

    private static Proto.Feature FeatureOf(int number) => new()
    {
        Name = NameOf(number),
        Location = new Proto.Point { Latitude = 400_000_000 + (number * 37), Longitude = -750_000_000 + (number * 113) },
    };

    private static byte[] Frames(IEnumerable<IMessage> messages)
    {
        var bytes = new MemoryStream();
        foreach (var message in messages)
        {
            bytes.Write([0, 0, 0, 0, (byte)message.CalculateSize()]);
            message.WriteTo(bytes);
        }

        return bytes.ToArray();
    }
}
