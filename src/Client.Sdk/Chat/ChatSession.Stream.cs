using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Threading.Channels;
using Grpc.Core;
using RouteService.Client.Calls;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Chat;

/// <summary>
/// The streams of a session. <see cref="RunAsync"/> opens one after the other. In each, <see cref="SendAsync"/> sends the posts that are
/// not acknowledged and then new ones, and <see cref="Receive"/> takes each note.
/// </summary>
internal sealed partial class ChatSession
{
    private const string FullName = "routeguide.RouteGuide/RouteChat";
    private const string LastSequenceTrailer = "route-chat-last-sequence";

    // Under the lock: the stream, and the posts to send in it.
    private Channel<Post> _toSend = Channel.CreateUnbounded<Post>();
    private AsyncDuplexStreamingCall<Proto.RouteNote, Proto.RouteNote>? _call;
    private bool _isSilent;

    // Under the lock: whether notes were left with the service for lack of room, and whether they are requested now.
    private bool _hasLeftNotes;
    private TaskCompletionSource _restWanted = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Start()
    {
        // The session outlives the call that joined it, so it must not inherit the deadline and the span of that call.
        using var apart = ExecutionContext.SuppressFlow();
        _running = Task.Run(RunAsync);
    }

    [SuppressMessage("Design", "CA1031", Justification = "Every exception ends the session, whose users receive it.")]
    private async Task RunAsync()
    {
        using var trace = CallTrace.Start(FullName, _context);
        var resumption = new Resumption(_context, DateTimeOffset.MaxValue, trace.Activity);
        var period = _context.Options.StreamSilence / 4;
        using var watch = _context.Options.Clock.CreateTimer(
            static session => ((ChatSession)session!).EndSilentStream(), this, period, period);
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                var opened = _context.Options.Clock.GetTimestamp();
                var received = _position.Count;
                var failure = await RunStreamAsync(resumption.Attempts++).ConfigureAwait(false);
                if (_position.Count > received || _context.Options.Clock.GetElapsedTime(opened) > _context.Options.Retry.MaxDelay)
                {
                    resumption.Progress();
                }

                if (await GoesOnAsync(failure, resumption).ConfigureAwait(false))
                {
                    continue;
                }

                var end = failure is null ? null : _context.End(FullName, failure, resumption.Attempts, _position.Count, default);
                if (end is not null)
                {
                    trace.Fail(end);
                }

                End(end);
                return;
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            trace.Fail(e);
            End(e);
        }
    }

    /// <summary>Whether another stream follows one that ended in this way; waits until it may.</summary>
    private async Task<bool> GoesOnAsync(RpcException? failure, Resumption resumption)
    {
        Task restWanted;
        bool isSilent;
        lock (_lock)
        {
            isSilent = _isSilent;
            restWanted = _restWanted.Task;
            if (restWanted.IsCompleted)
            {
                return true;
            }

            if (failure is null && !_hasLeftNotes)
            {
                return false;
            }
        }

        if (failure is null)
        {
            // The session was completed, and the service has sent everything, but not everything was read.
            await restWanted.WaitAsync(_stop.Token).ConfigureAwait(false);
            return true;
        }

        // The service ends a stream that is far behind; the session continues as after a break.
        var isBehind = failure.StatusCode == StatusCode.ResourceExhausted && failure.Trailers.Get(LastSequenceTrailer) is not null;
        return await resumption.WaitAsync(failure, isSilent || isBehind, wasUnderWay: true, _stop.Token).ConfigureAwait(false);
    }

    /// <returns>How the stream ended; null if the session was completed and the service has sent everything.</returns>
    private async Task<RpcException?> RunStreamAsync(int previousAttempts)
    {
        var toSend = PrepareStream(out var metadata);
        var options = await _context.OptionsAsync(DateTimeOffset.MaxValue, previousAttempts, metadata, _stop.Token).ConfigureAwait(false);
        using var call = _guide.RouteChat(options);
        lock (_lock)
        {
            _call = call;
        }

        var sending = SendAsync(call, toSend);
        try
        {
            while (await call.ResponseStream.MoveNext(CancellationToken.None).ConfigureAwait(false))
            {
                Receive(call.ResponseStream.Current);
            }

            lock (_lock)
            {
                return _isCompleted ? null : new RpcException(new Status(StatusCode.Unavailable, "The server has ended the session."));
            }
        }
        catch (RpcException e)
        {
            return ConnectionFailure.AsUnavailable(e);
        }
        catch (ObjectDisposedException e)
        {
            // The stream was ended here, between two notes.
            return new RpcException(new Status(StatusCode.Cancelled, e.Message));
        }
        finally
        {
            lock (_lock)
            {
                _call = null;
            }

            toSend.Writer.TryComplete();
            call.Dispose();
            await sending.ConfigureAwait(false);
        }
    }

    /// <summary>Prepares the next stream: where it resumes, and the posts that it sends first.</summary>
    private Channel<Post> PrepareStream(out Metadata metadata)
    {
        lock (_lock)
        {
            _isSilent = false;
            _hasLeftNotes = false;
            if (_restWanted.Task.IsCompleted)
            {
                _restWanted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            var (listen, after) = _position.Resume();
            metadata = new Metadata { { "route-chat-mode", "sequenced" } };
            foreach (var place in listen)
            {
                metadata.Add("route-chat-listen", string.Create(CultureInfo.InvariantCulture, $"{place.LatitudeE7},{place.LongitudeE7}"));
            }

            if (after is { } sequence)
            {
                metadata.Add("route-chat-after", sequence.ToString(CultureInfo.InvariantCulture));
            }

            _toSend = Channel.CreateUnbounded<Post>(new UnboundedChannelOptions { SingleReader = true });
            foreach (var post in _pending.Values.OrderBy(static post => post.Number))
            {
                post.IsRepeated = true;
                _toSend.Writer.TryWrite(post);
            }

            if (_isCompleted)
            {
                _toSend.Writer.Complete();
            }

            return _toSend;
        }
    }

    private async Task SendAsync(AsyncDuplexStreamingCall<Proto.RouteNote, Proto.RouteNote> call, Channel<Post> toSend)
    {
        try
        {
            await foreach (var post in toSend.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                lock (_lock)
                {
                    post.Since = _context.Options.Clock.GetTimestamp();
                }

                await call.RequestStream.WriteAsync(
                    new Proto.RouteNote { Location = CallContext.ToPoint(post.Location), Message = post.Message, NoteId = post.Id },
                    CancellationToken.None).ConfigureAwait(false);
            }

            await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is RpcException or HttpRequestException or IOException or InvalidOperationException)
        {
            // The stream has ended; its reader has the reason.
        }
    }

    private void Receive(Proto.RouteNote message)
    {
        var place = CallContext.ToCoordinate(message.Location);
        Post? post;
        RouteNote note;
        lock (_lock)
        {
            var isOwn = _pending.TryGetValue(message.NoteId, out post) || message.NoteId.StartsWith(_idPrefix, StringComparison.Ordinal);
            var id = message.NoteId.Length > 0 ? message.NoteId : null;
            note = new RouteNote(place, message.Message, message.Sequence, id) { IsOwn = isOwn };
            Remember_NeedsLock(note);
            _hasLeftNotes = _hasLeftNotes || !(_position.Has(place, note.Sequence) || _notes.Writer.TryWrite(note));
            if (!_hasLeftNotes)
            {
                _position.Take(place, note.Sequence);
            }

            if (post is not null)
            {
                OnAcknowledged_NeedsLock(post, note);
            }
        }

        if (post?.Acknowledged.TrySetResult(note) == true)
        {
            _room.Release();
        }
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

    private void OnAcknowledged_NeedsLock(Post post, RouteNote note)
    {
        if (!_hasLeftNotes && !post.IsRepeated)
        {
            _position.Join(note.Location, note.Sequence);
        }

        // A post whose place is not in the position is sent again in the next stream, to join the place there.
        if (!_hasLeftNotes || _position.Knows(note.Location))
        {
            _pending.Remove(post.Id);
        }
    }

    /// <summary>Requests the notes that were left with the service, after all that were received have been read.</summary>
    private void RequestRest()
    {
        lock (_lock)
        {
            if (_hasLeftNotes)
            {
                _restWanted.TrySetResult();
                _call?.Dispose();
            }
        }
    }

    /// <summary>Ends a stream that owes an acknowledgement for too long: it is dead, although no error was reported.</summary>
    private void EndSilentStream()
    {
        lock (_lock)
        {
            var clock = _context.Options.Clock;
            if (_call is not null
                && _pending.Values.Any(post => post.Since > 0
                    && !post.Acknowledged.Task.IsCompleted
                    && clock.GetElapsedTime(post.Since) > _context.Options.StreamSilence))
            {
                _isSilent = true;
                _call.Dispose();
            }
        }
    }
}
