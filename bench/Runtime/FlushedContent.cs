using System.Net;
using Google.Protobuf;
using RouteService.Contracts.Routeguide;

namespace RouteService.Runtime.Bench;

/// <summary>A request stream that flushes after each message, for comparison with ours, which gathers them.</summary>
internal sealed class FlushedContent : HttpContent
{
    private readonly Point _message;
    private readonly int _count;

    public FlushedContent(Point message, int count)
    {
        _message = message;
        _count = count;
        Headers.ContentType = new("application/grpc");
    }

    /// <summary>Sends one such request.</summary>
    public static async Task SendAsync(HttpClient http, Point message, int count)
    {
        using var content = new FlushedContent(message, count);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/routeguide.RouteGuide/RecordRoute")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        using var response = await http.SendAsync(request);
        _ = await response.Content.ReadAsByteArrayAsync();
        if (response.TrailingHeaders.GetValues("grpc-status").Single() != "0")
        {
            throw new InvalidOperationException("The call failed.");
        }
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        var frame = new byte[5 + _message.CalculateSize()];
        frame[4] = (byte)(frame.Length - 5);
        for (var i = 0; i < _count; i++)
        {
            _message.WriteTo(frame.AsSpan(5));
            await stream.WriteAsync(frame);
            await stream.FlushAsync();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
