using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;

namespace RouteService.Chat.Bench;

/// <summary>The streams of the bench: up to 100 on each connection.</summary>
internal sealed class Travellers(string address) : IDisposable
{
    private const int StreamsPerConnection = 100;

    private readonly List<GrpcChannel> _channels = [];
    private int _streams;

    /// <summary>Opens a sequenced stream, which listens at the given locations.</summary>
    public AsyncDuplexStreamingCall<RouteNote, RouteNote> Join(Point? listen = null)
    {
        if (_streams++ % StreamsPerConnection == 0)
        {
            _channels.Add(GrpcChannel.ForAddress($"http://{address}"));
        }

        var metadata = new Metadata { { "route-chat-mode", "sequenced" } };
        if (listen is not null)
        {
            metadata.Add("route-chat-listen", FormattableString.Invariant($"{listen.Latitude},{listen.Longitude}"));
        }

        return new RouteGuide.RouteGuideClient(_channels[^1]).RouteChat(metadata);
    }

    public void Dispose() => _channels.ForEach(static channel => channel.Dispose());
}
