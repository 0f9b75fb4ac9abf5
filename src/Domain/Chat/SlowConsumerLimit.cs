namespace RouteService.Domain.Chat;

/// <summary>
/// Decides when a stream is ended because its client reads too slowly: when it has been behind without a break for
/// <see cref="ChatOptions.MaxSecondsBehind"/> (600 s by default), or has not taken one message for as long. A stream is behind until
/// everything that was queued for it has been read.
/// </summary>
/// <threadsafety><see cref="Queued"/> may be called from any thread, the other members by the stream's reader.</threadsafety>
internal sealed class SlowConsumerLimit(ChatOptions options, TimeProvider clock, ChatMetrics metrics)
{
    private long _queued;
    private long _done;

    // The work that was queued at this timestamp: until it is done the stream is behind.
    private long _queuedBefore;
    private long _behindSince = clock.GetTimestamp();

    public void Queued() => Interlocked.Increment(ref _queued);

    public void Done(int count) => _done += count;

    /// <summary>Called after each page that the client has taken.</summary>
    /// <exception cref="ChatLimitException">The stream has been behind for too long.</exception>
    public void Check()
    {
        if (_done >= _queuedBefore)
        {
            (_queuedBefore, _behindSince) = (Volatile.Read(ref _queued), clock.GetTimestamp());
        }
        else if (clock.GetElapsedTime(_behindSince).TotalSeconds > options.MaxSecondsBehind)
        {
            throw Exceeded();
        }
    }

    /// <summary>Waits for a write to a client that has stopped reading.</summary>
    /// <exception cref="ChatLimitException">The client has not taken the message in time.</exception>
    public async Task WaitAsync(Task write)
    {
        try
        {
            await write.WaitAsync(TimeSpan.FromSeconds(options.MaxSecondsBehind), clock);
        }
        catch (TimeoutException)
        {
            throw Exceeded();
        }
    }

    private ChatLimitException Exceeded()
    {
        metrics.FellBehind();
        return new ChatLimitException(ChatLimit.SecondsBehind, options.MaxSecondsBehind, options.MaxSecondsBehind);
    }
}
