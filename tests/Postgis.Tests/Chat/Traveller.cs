using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>
/// A client of the sequenced mode by the rules of docs/chat.md: it posts and listens, and after a break, of which it causes some itself, continues at
/// another replica. It records everything that it sends and receives.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class Traveller(string name, int seed, ChatReplicas replicas, int replicaCount, Coordinate[] listen, Coordinate[] posting)
{
    // Longest wait for an acknowledgement, after which it continues at another replica.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Random _chance = new(seed);
    private readonly Lock _gate = new();
    private readonly List<SequencedStream> _streams = [];
    private readonly HashSet<Coordinate> _places = [.. listen];
    private readonly Dictionary<Coordinate, long> _sentUpTo = [];

    // Posts to repeat after a break, until they are acknowledged and their location is joined.
    private readonly List<(string Id, Coordinate Place)> _open = [];
    private readonly HashSet<string> _acknowledged = [];
    private readonly HashSet<Coordinate> _postedAt = [];

    // A client that listens from the beginning expects all notes, whenever its first stream opens.
    private long? _after = listen.Length > 0 ? 0 : null;
    private long _lastNews = Stopwatch.GetTimestamp();
    private int _posted;

    public bool IsPosting { get; set; } = posting.Length > 0;

    public bool IsAcknowledged
    {
        get
        {
            lock (_gate)
            {
                return _acknowledged.Count == _posted;
            }
        }
    }

    public int Posted => _posted;

    public ClientHistory History
    {
        get
        {
            lock (_gate)
            {
                return new ClientHistory(name, [.. _streams]);
            }
        }
    }

    /// <summary>Whether it has received the last note of each of its locations.</summary>
    public bool HasReached(IReadOnlyDictionary<Coordinate, long> ends)
    {
        lock (_gate)
        {
            return _places.Concat(_postedAt).All(place => _sentUpTo.GetValueOrDefault(place) >= ends.GetValueOrDefault(place));
        }
    }

    /// <summary>Opens one stream after the other.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var replica = _chance.Next(replicaCount);
        while (!stop.IsCancellationRequested)
        {
            await TravelAsync(replica, stop);
            replica = (replica + 1 + _chance.Next(replicaCount - 1)) % replicaCount;
            await Task.Delay(50, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TravelAsync(int replica, CancellationToken stop)
    {
        using var channel = replicas.Connect(replica);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var stream = new SequencedStream([.. _places], _after) { Replica = replica };
        using var call = new RouteGuide.RouteGuideClient(channel).RouteChat(HeadersOf(stream), cancellationToken: leaving.Token);
        lock (_gate)
        {
            _streams.Add(stream);
        }

        _lastNews = Stopwatch.GetTimestamp();
        var writing = PostAsync(call.RequestStream, stream, leaving);
        try
        {
            await foreach (var note in call.ResponseStream.ReadAllAsync(CancellationToken.None))
            {
                Receive(stream, note);
            }

            stream.End = Status.DefaultSuccess;
        }
        catch (RpcException e)
        {
            stream.End = e.Status;
        }
        finally
        {
            await leaving.CancelAsync();
            await writing;
        }
    }

    private async Task PostAsync(IClientStreamWriter<RouteService.Contracts.Routeguide.RouteNote> requests, SequencedStream stream, CancellationTokenSource leaving)
    {
        try
        {
            foreach (var (id, place) in OpenPosts())
            {
                await WriteAsync(requests, stream, id, place);
            }

            while (!leaving.IsCancellationRequested)
            {
                if (IsPosting)
                {
                    var id = $"{name}-{_posted}";
                    var place = posting[_chance.Next(posting.Length)];
                    lock (_gate)
                    {
                        _posted++;
                        _open.Add((id, place));
                        _postedAt.Add(place);
                    }

                    await WriteAsync(requests, stream, id, place);
                }

                if ((IsPosting && _chance.Next(300) == 0) || (!IsAcknowledged && Stopwatch.GetElapsedTime(_lastNews) > Patience))
                {
                    await leaving.CancelAsync();
                }

                await Task.Delay(_chance.Next(30), leaving.Token);
            }
        }
        catch (TimeoutException)
        {
            await leaving.CancelAsync();
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException or InvalidOperationException)
        {
            // The stream has ended, and its reader has the reason.
        }
    }

    private List<(string Id, Coordinate Place)> OpenPosts()
    {
        lock (_gate)
        {
            return [.. _open];
        }
    }

    private Task WriteAsync(IClientStreamWriter<RouteService.Contracts.Routeguide.RouteNote> requests, SequencedStream stream, string id, Coordinate place)
    {
        lock (_gate)
        {
            stream.Posted.Add(id);
        }

        var write = requests.WriteAsync(new RouteService.Contracts.Routeguide.RouteNote
        {
            Location = new Point { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 },
            Message = TextOf(id),
            NoteId = id,
        });
        return write.WaitAsync(Patience);
    }

    private void Receive(SequencedStream stream, RouteService.Contracts.Routeguide.RouteNote note)
    {
        var place = new Coordinate(note.Location.Latitude, note.Location.Longitude);
        lock (_gate)
        {
            stream.Received.Add(new LoggedNote(note.Sequence, default, new Domain.Chat.RouteNote(place, note.Message), note.NoteId.Length > 0 ? note.NoteId : null));
            _lastNews = Stopwatch.GetTimestamp();
            _sentUpTo[place] = Math.Max(_sentUpTo.GetValueOrDefault(place), note.Sequence);
            if (_after is null || note.Sequence > _after)
            {
                _after = note.Sequence;
                _places.Add(place);
            }

            // Also the note of an earlier stream, before this stream repeats the post: it is not sent twice.
            if (note.NoteId.StartsWith($"{name}-", StringComparison.Ordinal))
            {
                _acknowledged.Add(note.NoteId);
            }

            _open.RemoveAll(post => _places.Contains(post.Place) && _acknowledged.Contains(post.Id));
        }
    }

    /// <summary>A text of any length up to 300, the same each time.</summary>
    private static string TextOf(string id) => id.PadRight(20 + (id.Sum(static letter => letter) * 31 % 280), '.');

    private static Metadata HeadersOf(SequencedStream stream)
    {
        var headers = new Metadata { { "route-chat-mode", "sequenced" } };
        foreach (var place in stream.Listen)
        {
            headers.Add("route-chat-listen", FormattableString.Invariant($"{place.LatitudeE7},{place.LongitudeE7}"));
        }

        if (stream.After is { } after)
        {
            headers.Add("route-chat-after", after.ToString(CultureInfo.InvariantCulture));
        }

        return headers;
    }
}
