using System.Globalization;
using Google.Rpc;

namespace RouteService.Client.Chat;

internal sealed partial class ChatSession
{
    public Task<RouteNote> PostAsync(
        Coordinate location, string message, string? noteId = null, CancellationToken cancellationToken = default)
    {
        Arguments.CheckPost(message, _context.Options.MaxNoteBytes, noteId);
        return PostCheckedAsync(location, message, noteId, cancellationToken);
    }

    private async Task<RouteNote> PostCheckedAsync(Coordinate location, string message, string? noteId, CancellationToken cancellationToken)
    {
        var post = await EnqueueAsync(location, message, noteId, cancellationToken).ConfigureAwait(false);
        try
        {
            return await post.Acknowledged.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            lock (_lock)
            {
                // The caller no longer waits for the note, so it is not posted again, and CompleteAsync does not wait for it either.
                if (!post.Acknowledged.Task.IsCompleted && _pending.Remove(post.Id))
                {
                    post.Acknowledged.TrySetCanceled(cancellationToken);
                    _room.Release();
                }
            }

            throw;
        }
    }

    /// <summary>Waits for room, in the order in which posts are made, or for the end of the session.</summary>
    private async ValueTask<Post> EnqueueAsync(Coordinate location, string message, string? noteId, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
            lock (_lock)
            {
                if (_end is not null || _isCompleted || (noteId is not null && _pending.ContainsKey(noteId)))
                {
                    _room.Release();
                    ThrowIfOver();
                    throw new ArgumentException($"A note with the id '{noteId}' is under way in this session.", nameof(noteId));
                }

                if (noteId is not null && _known.TryGetValue(noteId, out var known))
                {
                    _room.Release();
                    return known.Location == location && string.Equals(known.Message, message, StringComparison.Ordinal)
                        ? Post.AlreadyLeft(known)
                        : throw Arguments.TakenId(noteId, $"{known.Sequence}");
                }

                if (LaneFor_NeedsLock(location) is not { } lane)
                {
                    _room.Release();
                    throw Arguments.TooManyPlaces(location);
                }

                var number = ++_posts;
                var id = noteId ?? string.Create(CultureInfo.InvariantCulture, $"{_idPrefix}{number}");
                var post = new Post(number, id, location, message);
                _pending.Add(post.Id, post);
                lane.Send_NeedsLock(post);
                return post;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Fails the post that the service has refused because its id is that of another note. The session goes on.</summary>
    /// <returns>False if there is no such post: its caller has stopped waiting.</returns>
    private bool Refuse(ErrorInfo info)
    {
        Post? post;
        lock (_lock)
        {
            if (!_pending.Remove(info.Metadata.GetValueOrDefault("note_id", ""), out post))
            {
                return false;
            }
        }

        if (post.Acknowledged.TrySetException(Arguments.TakenId(post.Id, info.Metadata.GetValueOrDefault("sequence", ""))))
        {
            _room.Release();
        }

        return true;
    }

    /// <summary>The lane of a place, which a post joins if it is new; null if the session has no room for another place.</summary>
    private Lane? LaneFor_NeedsLock(Coordinate place)
    {
        if (_laneOf.TryGetValue(place, out var lane) || _laneOf.Count >= Arguments.MaxPlaces)
        {
            return lane;
        }

        // The last lane is the only one that may have room. It is split when its stream has to name more places than headers hold.
        lane = _lanes[^1];
        _laneOf.Add(place, lane);
        return lane;
    }

    private void Remember_NeedsLock(RouteNote note)
    {
        if (note.Id is null || note.Id.StartsWith(_idPrefix, StringComparison.Ordinal) || !_known.TryAdd(note.Id, note))
        {
            return;
        }

        _knownOrder.Enqueue(note.Id);
        if (_knownOrder.Count > MaxKnown)
        {
            _known.Remove(_knownOrder.Dequeue());
        }
    }

    private bool IsOwn_NeedsLock(string id) => id.StartsWith(_idPrefix, StringComparison.Ordinal)
        || (_known.TryGetValue(id, out var known) && known.IsOwn);

    /// <summary>A note on its way to the log.</summary>
    private sealed class Post(long number, string id, Coordinate location, string message)
    {
        public long Number { get; } = number;

        public string Id { get; } = id;

        public Coordinate Location { get; } = location;

        public string Message { get; } = message;

        public TaskCompletionSource<RouteNote> Acknowledged { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>A post whose note is in the log, and was received here.</summary>
        public static Post AlreadyLeft(RouteNote note)
        {
            var post = new Post(number: 0, note.Id!, note.Location, note.Message);
            post.Acknowledged.SetResult(note with { IsOwn = true });
            return post;
        }

        /// <summary>Whether the note may be in the log from an earlier stream.</summary>
        public bool IsRepeated { get; set; }

        /// <summary>The lane whose streams send it.</summary>
        public Lane? Lane { get; set; }

        /// <summary>Timestamp from which the acknowledgement is due: when the stream was ready to send the post.</summary>
        public long Since { get; set; }
    }
}
