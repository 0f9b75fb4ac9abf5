using System.Collections.Concurrent;
using System.Globalization;
using Grpc.Core;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

/// <summary>
/// A log of notes and the sequenced streams over it, as docs/chat.md has them, which break where a test says. It remembers how each stream
/// was opened and what was posted in it.
/// </summary>
internal sealed class ScriptedChat
{
    private readonly Lock _lock = new();
    private readonly List<Proto.RouteNote> _log = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _streams;

    public ConcurrentDictionary<int, Opened> Streams { get; } = [];

    /// <summary>Called with the number of the stream, from 1, and each post before it is kept; what it throws ends the stream.</summary>
    public Action<int, Proto.RouteNote> OnPost { get; init; } = static (_, _) => { };

    /// <summary>Called with the number of the stream and each note before it is sent; what it throws ends the stream.</summary>
    public Action<int, Proto.RouteNote> OnSend { get; init; } = static (_, _) => { };

    public Script Script => new() { RouteChat = (posts, notes, context, _) => RunAsync(posts, notes, context) };

    /// <summary>Keeps a note of somebody else.</summary>
    public Proto.RouteNote Add(Coordinate place, string message, string id = "") =>
        Keep(new Proto.RouteNote { Location = new Proto.Point { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 }, Message = message, NoteId = id });

    private Proto.RouteNote Keep(Proto.RouteNote post)
    {
        lock (_lock)
        {
            var note = post.NoteId.Length > 0 ? _log.Find(note => note.NoteId == post.NoteId) : null;
            if (note is null)
            {
                note = post.Clone();
                note.Sequence = _log.Count + 1;
                _log.Add(note);
            }

            _changed.TrySetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return note;
        }
    }

    private async Task RunAsync(IAsyncStreamReader<Proto.RouteNote> posts, IServerStreamWriter<Proto.RouteNote> notes, ServerCallContext context)
    {
        var number = Interlocked.Increment(ref _streams);
        var text = string.Join(',', context.RequestHeaders.GetAll("route-chat-listen").Select(static entry => entry.Value));
        var places = text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(static part => int.Parse(part, CultureInfo.InvariantCulture)).Chunk(2)
            .Select(static place => Coordinate.FromE7(place[0], place[1])).ToHashSet();
        var after = context.RequestHeaders.GetValue("route-chat-after") is { } sequence ? long.Parse(sequence, CultureInfo.InvariantCulture) : (long?)null;
        var opened = Streams[number] = new Opened(places.ToHashSet(), after);
        var (sent, turn) = (new HashSet<long>(), new SemaphoreSlim(1));
        var position = after ?? 0;
        var isBroken = false;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var sending = Task.Run(async () =>
        {
            while (!ending.IsCancellationRequested)
            {
                var changed = Changed();
                await SendDueAsync();
                await changed.WaitAsync(ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        });
        Exception? end = null;
        try
        {
            // What is due when it begins comes before what is posted in it.
            await SendDueAsync();
            while (await ReadAsync())
            {
                var post = posts.Current;
                OnPost(number, post);
                opened.Posts.Enqueue(post.NoteId);
                var place = Coordinate.FromE7(post.Location.Latitude, post.Location.Longitude);
                await InTurnAsync(async () =>
                {
                    // Of a place that is new the earlier notes come first, out of the order.
                    var isNew = places.Add(place);
                    foreach (var earlier in Snapshot().Where(note => isNew && note.Location.Equals(post.Location) && note.Sequence <= position))
                    {
                        await SendAsync(earlier);
                    }
                });
                var kept = Keep(post);
                await SendDueAsync();
                await InTurnAsync(() => SendAsync(kept));
            }

            await SendDueAsync();
        }
        catch (Exception e)
        {
            end = e;
        }

        await ending.CancelAsync();
        try
        {
            await sending;
        }
        catch (Exception e)
        {
            end ??= e;
        }

        if (end is not null)
        {
            throw end;
        }

        async Task<bool> ReadAsync()
        {
            // A stream that breaks while it sends does not wait for posts.
            var next = posts.MoveNext(context.CancellationToken);
            await Task.WhenAny(next, sending);
            return next.IsCompleted && await next;
        }

        Task SendDueAsync() => InTurnAsync(async () =>
        {
            foreach (var note in Snapshot().Where(note => note.Sequence > position))
            {
                position = note.Sequence;
                if (places.Contains(Coordinate.FromE7(note.Location.Latitude, note.Location.Longitude)))
                {
                    await SendAsync(note);
                }
            }
        });

        async Task InTurnAsync(Func<Task> send)
        {
            await turn.WaitAsync();
            try
            {
                await send();
            }
            finally
            {
                turn.Release();
            }
        }

        async Task SendAsync(Proto.RouteNote note)
        {
            if (isBroken || !sent.Add(note.Sequence))
            {
                return;
            }

            try
            {
                OnSend(number, note);
            }
            catch
            {
                // No later note overtakes the one that the stream breaks at.
                isBroken = true;
                throw;
            }

            await notes.WriteAsync(note);
        }
    }

    private Task Changed()
    {
        lock (_lock)
        {
            return _changed.Task;
        }
    }

    private List<Proto.RouteNote> Snapshot()
    {
        lock (_lock)
        {
            return [.. _log];
        }
    }

    /// <summary>How a stream was opened, and the ids that were posted in it, in their order.</summary>
    internal sealed record Opened(HashSet<Coordinate> Listen, long? After)
    {
        public ConcurrentQueue<string> Posts { get; } = [];
    }
}
