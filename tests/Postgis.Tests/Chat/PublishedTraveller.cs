using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>A client of the published mode: it posts a note, listens for some seconds, leaves, and joins again elsewhere.</summary>
internal sealed class PublishedTraveller(string name, int seed, ChatReplicas replicas, int replicaCount, Coordinate[] places)
{
    private readonly Random _chance = new(seed);

    /// <summary>Its streams; complete when <see cref="RunAsync"/> has ended.</summary>
    public List<PublishedStream> Streams { get; } = [];

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using var channel = replicas.Connect(_chance.Next(replicaCount));
            using var leaving = CancellationTokenSource.CreateLinkedTokenSource(stop);
            leaving.CancelAfter(_chance.Next(500, 4_000));
            var stream = new PublishedStream(places[_chance.Next(places.Length)], $"{name}-{Streams.Count}");
            Streams.Add(stream);
            using var call = new RouteGuide.RouteGuideClient(channel).RouteChat(cancellationToken: leaving.Token);
            try
            {
                var place = new Point { Latitude = stream.Place.LatitudeE7, Longitude = stream.Place.LongitudeE7 };
                await call.RequestStream.WriteAsync(new RouteNote { Location = place, Message = stream.Posted }, CancellationToken.None);
                await foreach (var note in call.ResponseStream.ReadAllAsync(CancellationToken.None))
                {
                    Assert.Equal((0, ""), (note.Sequence, note.NoteId));
                    stream.Received.Add(new Domain.Chat.RouteNote(new Coordinate(note.Location.Latitude, note.Location.Longitude), note.Message));
                }
            }
            catch (Exception e) when (e is RpcException or IOException)
            {
                // It has left, or was dropped.
                await Task.Delay(50, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }
}
