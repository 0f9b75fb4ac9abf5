using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Sdk.Bench;

/// <summary>Answers in place of a connection, with prepared bytes, so that only the cost of the client remains.</summary>
internal sealed class CannedHandler : HttpMessageHandler
{
    private static readonly MediaTypeHeaderValue Grpc = new("application/grpc");

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        await request.Content!.CopyToAsync(Stream.Null, cancellationToken);
        var (bytes, times) = Answers.To(request.RequestUri!.AbsolutePath);
        var body = new StreamContent(new RepeatingStream(bytes, times));
        body.Headers.ContentType = Grpc;
        var response = new HttpResponseMessage(HttpStatusCode.OK) { Version = HttpVersion.Version20, Content = body };
        response.TrailingHeaders.Add("grpc-status", "0");
        return response;
    }

    /// <summary>The same bytes, repeated; a read never waits.</summary>
    private sealed class RepeatingStream(byte[] bytes, int times) : Stream
    {
        private int _left = times;
        private int _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            var read = 0;
            while (read < buffer.Length && _left > 0)
            {
                var length = Math.Min(buffer.Length - read, bytes.Length - _position);
                bytes.AsSpan(_position, length).CopyTo(buffer[read..]);
                read += length;
                _position += length;
                if (_position == bytes.Length)
                {
                    _position = 0;
                    _left--;
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

/// <summary>Response bodies of gRPC (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").</summary>
internal static class Answers
{
    /// <summary>Features of a listing.</summary>
    public const int Features = 200_000;

    // Features that a listing repeats.
    private const int Distinct = 10_000;

    private static readonly byte[] Feature = Frames([FeatureOf(0)]);
    private static readonly byte[] Listing = Frames(Enumerable.Range(0, Distinct).Select(FeatureOf));

    public static string NameOf(int number) => $"Somewhere no. {number:D6}";

    public static (byte[] Bytes, int Times) To(string method) => method switch
    {
        "/routeguide.RouteGuide/GetFeature" => (Feature, 1),
        "/routeguide.RouteGuide/ListFeatures" => (Listing, Features / Distinct),
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
