using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Threading.Channels;
using Grpc.Core;
using RouteService.Client.Calls;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Chat;

internal sealed partial class ChatSession
{
    private const string FullName = "routeguide.RouteGuide/RouteChat";
    private const string LastSequenceTrailer = "route-chat-last-sequence";

    // Reasons of the service (docs/chat.md, "Errors").
    private const string StreamsPerClient = "CHAT_STREAMS_PER_CLIENT";
    private const string NoteIdTaken = "NOTE_ID_TAKEN";

    /// <summary>
    /// The streams at some of the session's places. <see cref="RunAsync"/> opens one after the other. In each, <see cref="SendAsync"/>
    /// sends the posts that are not acknowledged and then new ones, and <see cref="Receive"/> takes each note.
    /// </summary>
    private sealed class Lane(ChatSession session, ChatPosition position)
    {
        private readonly CallContext _context = session._context;
        private readonly Lock _lock = session._lock;

        // Under the lock, as is all that follows: the stream, and the posts to send in it.
        private Channel<Post> _toSend = Channel.CreateUnbounded<Post>();
        private AsyncDuplexStreamingCall<Proto.RouteNote, Proto.RouteNote>? _call;
        private bool _isSilent;

        // Whether notes were left with the service for lack of room, and whether they are requested now.
        private bool _hasLeftNotes;
        private TaskCompletionSource _restWanted = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Running { get; private set; } = Task.CompletedTask;

        private TimeProvider Clock => _context.Options.Clock;

        public void Start()
        {
            // The session outlives the call that joined it, so it must not inherit the deadline and the span of that call.
            using var apart = ExecutionContext.SuppressFlow();
            Running = Task.Run(RunAsync);
        }

        public void Send_NeedsLock(Post post)
        {
            post.Lane = this;
            _toSend.Writer.TryWrite(post);
        }

        public void Complete_NeedsLock() => _toSend.Writer.TryComplete();

        public void RequestLeftNotes_NeedsLock()
        {
            if (_hasLeftNotes)
            {
                _restWanted.TrySetResult();
                _call?.Dispose();
            }
        }

        [SuppressMessage("Design", "CA1031", Justification = "Every exception ends the session, whose users receive it.")]
        private async Task RunAsync()
        {
            using var trace = CallTrace.Start(FullName, _context);
            using var lifetime = new CallLifetime(Clock, Timeout.InfiniteTimeSpan, session._stop.Token);
            var resumption = new Resumption(FullName, _context, lifetime, trace.Activity);
            var period = _context.Options.StreamSilence / 4;
            using var watch = Clock.CreateTimer(static lane => ((Lane)lane!).EndSilentStream(), this, period, period);
            try
            {
                while (!session._stop.IsCancellationRequested)
                {
                    var opened = Clock.GetTimestamp();
                    var received = position.Count;
                    var failure = await RunStreamAsync(resumption, lifetime).ConfigureAwait(false);
                    if (position.Count > received || Clock.GetElapsedTime(opened) > _context.Options.Retry.MaxDelay)
                    {
                        resumption.Progress();
                    }

                    if (await GoesOnAsync(failure, resumption).ConfigureAwait(false))
                    {
                        continue;
                    }

                    if (failure is null)
                    {
                        session.OnLaneEnd();
                        return;
                    }

                    if (!session._stop.IsCancellationRequested)
                    {
                        var end = _context.End(FullName, failure, resumption.Attempts, session._received, lifetime);
                        trace.Fail(end);
                        session.End(end);
                    }

                    return;
                }
            }
            catch (OperationCanceledException) when (session._stop.IsCancellationRequested)
            {
            }
            catch (Exception e)
            {
                var end = e is CallerException callers ? callers.Cause : e;
                trace.Fail(end);
                session.End(end);
            }
        }

        /// <summary>Whether another stream follows after this end; waits until it may.</summary>
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
                await restWanted.WaitAsync(session._stop.Token).ConfigureAwait(false);
                return true;
            }

            var info = CallFailure.InfoOf(failure);
            if (info is { Reason: NoteIdTaken } && session.Refuse(info))
            {
                return true;
            }

            // The session continues, as after a break, if the stream was a slow consumer, if the store was too slow, if the caller of the
            // refused post has stopped waiting, and if the service still counts the stream that broke. Other limits end it.
            var isResumable = isSilent || failure.Trailers.Get(LastSequenceTrailer) is not null || info?.Reason is NoteIdTaken
                || CallFailure.IsOfBusyStore(info?.Reason) || (info?.Reason is StreamsPerClient && resumption.Attempts > 1);
            return await resumption.WaitAsync(failure, isResumable, session._received, session._stop.Token).ConfigureAwait(false);
        }

        /// <returns>How the stream ended; null if the session was completed and the service has sent everything.</returns>
        private async Task<RpcException?> RunStreamAsync(Resumption resumption, CallLifetime lifetime)
        {
            var toSend = PrepareStream(out var metadata);
            var options = await _context.OptionsAsync(lifetime, resumption.Attempts++, metadata, lifetime.Token).ConfigureAwait(false);
            using var call = session._guide.RouteChat(options);
            lock (_lock)
            {
                _call = call;
            }

            var sending = SendAsync(call, toSend);
            try
            {
                while (await call.ResponseStream.MoveNext(CancellationToken.None).ConfigureAwait(false))
                {
                    resumption.Resumed();
                    Receive(call.ResponseStream.Current);
                }

                lock (_lock)
                {
                    // A post of a note that this stream has sent before is acknowledged in the next one only.
                    return session._isCompleted && !session._pending.Values.Any(post => post.Lane == this)
                        ? null
                        : new RpcException(new Status(StatusCode.Unavailable, "The server has ended the session."));
                }
            }
            catch (Exception e) when (e is RpcException or OperationCanceledException)
            {
                return CallFailure.Normalize(e, call.GetStatus, call.GetTrailers, lifetime);
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

                var (listen, after) = position.Resume();
                if (position.Split(MaxPlacesPerStream) is { } rest)
                {
                    SplitOff_NeedsLock(rest);
                }

                metadata = new Metadata { { "route-chat-mode", "sequenced" } };
                if (listen.Count > 0)
                {
                    // One entry: further ones would count their name and 32 bytes each (HPACK).
                    metadata.Add("route-chat-listen", string.Join(',', listen.Select(static place =>
                        string.Create(CultureInfo.InvariantCulture, $"{place.LatitudeE7},{place.LongitudeE7}"))));
                }

                if (after is { } sequence)
                {
                    metadata.Add("route-chat-after", sequence.ToString(CultureInfo.InvariantCulture));
                }

                _toSend = Channel.CreateUnbounded<Post>(new UnboundedChannelOptions { SingleReader = true });
                foreach (var post in session._pending.Values.Where(post => post.Lane == this).OrderBy(static post => post.Number))
                {
                    post.IsRepeated = true;
                    post.Since = 0;
                    _toSend.Writer.TryWrite(post);
                }

                if (session._isCompleted)
                {
                    _toSend.Writer.Complete();
                }

                return _toSend;
            }
        }

        /// <summary>Opens another lane for places that the headers of this one do not hold. Their posts go with them.</summary>
        private void SplitOff_NeedsLock(ChatPosition rest)
        {
            var (places, _) = rest.Resume();
            var lane = session.AddLane_NeedsLock(rest, places);
            foreach (var post in session._pending.Values.Where(post => post.Lane == this && session._laneOf[post.Location] == lane))
            {
                post.Lane = lane;
            }

            if (!session._stop.IsCancellationRequested)
            {
                lane.Start();
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
                        post.Since = Clock.GetTimestamp();
                    }

                    await call.RequestStream.WriteAsync(
                        new Proto.RouteNote { Location = CallContext.ToPoint(post.Location), Message = post.Message, NoteId = post.Id },
                        CancellationToken.None).ConfigureAwait(false);
                }

                await call.RequestStream.CompleteAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (CallFailure.IsOfWrite(e))
            {
                // The stream has ended; its reader has the reason.
            }
        }

        private void Receive(Proto.RouteNote message)
        {
            var place = CallContext.ToCoordinate(message.Location);
            Post? post;
            bool isTaken;
            RouteNote note;
            lock (_lock)
            {
                // The position has the place from here on, so an acknowledged post is not needed any more, even if nothing is read. Another
                // note with the id, such as one of the history of the place, shows before the service's error that the post is refused.
                session._pending.Remove(message.NoteId, out post);
                isTaken = post is not null
                    && (post.Location != place || !string.Equals(post.Message, message.Message, StringComparison.Ordinal));
                var id = message.NoteId.Length > 0 ? message.NoteId : null;
                note = new RouteNote(place, message.Message, message.Sequence, id)
                {
                    IsOwn = (post is not null && !isTaken) || session.IsOwn_NeedsLock(message.NoteId),
                };
                session.Remember_NeedsLock(note);
                Keep_NeedsLock(note);
                if (post is { IsRepeated: false } && !isTaken && !_hasLeftNotes)
                {
                    position.Join(place, note.Sequence);
                }
            }

            if (post is not null
                && (isTaken
                    ? post.Acknowledged.TrySetException(Arguments.TakenId(post.Id, $"{note.Sequence}"))
                    : post.Acknowledged.TrySetResult(note)))
            {
                session._room.Release();
            }
        }

        /// <summary>Hands the note to the reader, once, or leaves it with the service if there is no room.</summary>
        private void Keep_NeedsLock(RouteNote note)
        {
            var isKnown = position.Has(note.Location, note.Sequence);
            _hasLeftNotes = _hasLeftNotes || !(isKnown || session._notes.Writer.TryWrite(note));
            if (_hasLeftNotes)
            {
                position.Leave(note.Location, note.Sequence);
                return;
            }

            position.Take(note.Location, note.Sequence);
            session._received += isKnown ? 0 : 1;
        }

        /// <summary>Ends a stream that owes an acknowledgement for too long: it is dead, although no error was reported.</summary>
        private void EndSilentStream()
        {
            lock (_lock)
            {
                if (_call is not null
                    && session._pending.Values.Any(post => post.Lane == this
                        && post.Since > 0
                        && Clock.GetElapsedTime(post.Since) > _context.Options.StreamSilence))
                {
                    _isSilent = true;
                    _call.Dispose();
                }
            }
        }
    }
}
