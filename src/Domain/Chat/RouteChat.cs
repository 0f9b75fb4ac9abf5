using System.Collections.Concurrent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// The meeting of travellers. The log is the truth; what goes between streams is only the word that a place has something new, and each stream
/// reads the log from where it stands, at its own pace. So a slow stream holds up nobody and costs nobody memory.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class RouteChat(INoteLog log, ChatOptions options)
{
    private readonly ConcurrentDictionary<Coordinate, Seat[]> _seats = [];

    /// <summary>Opens a stream of notes.</summary>
    public ChatSession Join() => new(this, log, options);

    internal void Enter(Seat seat) =>
        _seats.AddOrUpdate(seat.Location, static (_, seat) => [seat], static (_, others, seat) => [.. others, seat], seat);

    internal void Leave(Seat seat)
    {
        while (_seats.TryGetValue(seat.Location, out var taken))
        {
            Seat[] left = [.. taken.Where(other => other != seat)];
            var isLeft = left.Length == 0
                ? _seats.TryRemove(KeyValuePair.Create(seat.Location, taken))
                : _seats.TryUpdate(seat.Location, left, taken);
            if (isLeft)
            {
                return;
            }
        }
    }

    /// <summary>Wakes the streams at a place where something new was written, but for the one that wrote it.</summary>
    internal void Announce(Seat author)
    {
        foreach (var seat in _seats.GetValueOrDefault(author.Location) ?? [])
        {
            if (seat != author)
            {
                seat.Wake();
            }
        }
    }
}
