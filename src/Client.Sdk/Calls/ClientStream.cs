using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>A call to which a stream is sent, with its attempts.</summary>
/// <param name="context">The client's.</param>
/// <param name="method">Full name of the method.</param>
/// <param name="turns">Limits the calls at once; null for any number.</param>
/// <param name="timeout">Time limit; null for none.</param>
/// <param name="cancellationToken">The caller's.</param>
/// <typeparam name="TItem">What is sent, and kept for another attempt.</typeparam>
/// <typeparam name="TRequest">A message of it.</typeparam>
/// <typeparam name="TResponse">The answer.</typeparam>
internal abstract class ClientStream<TItem, TRequest, TResponse>(
    CallContext context, string method, SemaphoreSlim? turns, TimeSpan? timeout, CancellationToken cancellationToken)
{
    private long _sent;

    /// <summary>Limit of the items that are kept of a stream that can be enumerated once.</summary>
    protected abstract int MaxKept { get; }

    /// <summary>
    /// Whether <see cref="RouteServiceClientOptions.StreamSilence"/> is the longest wait for the server: for room for the next message, and
    /// for the answer. So it is where the service reads what comes without waiting first: it then takes something, answers, or fails.
    /// </summary>
    protected virtual bool IsTimed => true;

    private string Silence => FormattableString.Invariant(
        $"The server has accepted nothing for {context.Options.StreamSilence.TotalSeconds} s.");

    protected abstract AsyncClientStreamingCall<TRequest, TResponse> Start(CallOptions options);

    protected abstract TRequest ToMessage(TItem item);

    /// <summary>
    /// Whether an answer is to less than was sent. .NET sends a request again by itself if a gateway refuses its stream (REFUSED_STREAM),
    /// without the items that it has taken before: the server gets a stream that ends at once.
    /// </summary>
    protected virtual bool IsOfLess(TResponse response, long sent) => false;

    /// <summary>Whether a failure is that of a stream without its first items, as above.</summary>
    protected virtual bool IsOfLess(RpcException failure) => false;

    /// <summary>What an item adds to <see cref="RouteServiceException.Delivered"/>.</summary>
    protected virtual int Weigh(TItem item) => 1;

    /// <summary>Sends items that can be enumerated again for another attempt.</summary>
    public async Task<(TResponse Response, Metadata Trailers)> SendAsync(IEnumerable<TItem> items)
    {
        using var lifetime = NewLifetime();
        return await RunAsync(
            lifetime,
            static () => true,
            async (call, silence) =>
            {
                foreach (var item in items)
                {
                    if (!await TrySendAsync(call, silence, item).ConfigureAwait(false))
                    {
                        return false;
                    }
                }

                return true;
            }).ConfigureAwait(false);
    }

    /// <summary>
    /// Sends items that can be enumerated once. The first are kept; until further ones are sent, another attempt starts with them.
    /// </summary>
    public async Task<(TResponse Response, Metadata Trailers)> SendOnceAsync(IAsyncEnumerable<TItem> items)
    {
        using var lifetime = NewLifetime();
        var coming = items.GetAsyncEnumerator(lifetime.Token);
        await using (coming.ConfigureAwait(false))
        {
            List<TItem>? kept = [];
            return await RunAsync(
                lifetime,
                () => kept is not null,
                async (call, silence) =>
                {
                    for (var i = 0; i < kept!.Count; i++)
                    {
                        if (!await TrySendAsync(call, silence, kept[i]).ConfigureAwait(false))
                        {
                            return false;
                        }
                    }

                    while (await coming.MoveNextAsync().ConfigureAwait(false))
                    {
                        var item = coming.Current;
                        kept = kept?.Count < MaxKept ? kept : null;
                        kept?.Add(item);
                        if (!await TrySendAsync(call, silence, item).ConfigureAwait(false))
                        {
                            return false;
                        }
                    }

                    return true;
                }).ConfigureAwait(false);
        }
    }

    private CallLifetime NewLifetime() => new(context.Options.Clock, timeout ?? Timeout.InfiniteTimeSpan, cancellationToken);

    /// <param name="lifetime">The call's.</param>
    /// <param name="canRepeat">Whether another attempt can send all items.</param>
    /// <param name="send">
    /// Sends the items, as far as the stream takes them, and returns whether it has taken all. Its exceptions are the caller's.
    /// </param>
    private async Task<(TResponse Response, Metadata Trailers)> RunAsync(
        CallLifetime lifetime, Func<bool> canRepeat, Func<AsyncClientStreamingCall<TRequest, TResponse>, SilenceTimer, Task<bool>> send)
    {
        using var trace = CallTrace.Start(method, context);
        var resumption = new Resumption(method, context, lifetime, trace.Activity);
        var hasTurn = false;
        try
        {
            if (turns is not null)
            {
                await turns.WaitAsync(lifetime.Token).ConfigureAwait(false);
                hasTurn = true;
            }

            while (true)
            {
                _sent = 0;
                AsyncClientStreamingCall<TRequest, TResponse>? call = null;
                using var silence = new SilenceTimer(context.Options.Clock, context.Options.StreamSilence, () => call?.Dispose());
                RpcException failure;
                try
                {
                    var options = await context.OptionsAsync(lifetime, resumption.Attempts++, extra: null, lifetime.Token)
                        .ConfigureAwait(false);
                    call = Start(options);
                    bool isWhole;
                    try
                    {
                        isWhole = await send(call, silence).ConfigureAwait(false);
                    }
                    catch (Exception e) when (!lifetime.IsEnd(e))
                    {
                        throw new CallerException(e);
                    }

                    return await CompleteAsync(call, silence, isWhole).ConfigureAwait(false);
                }
                catch (Exception e) when (e is RpcException || (e is OperationCanceledException && call is not null))
                {
                    failure = silence.HasFired
                        ? new RpcException(new Status(StatusCode.Unavailable, Silence))
                        : CallFailure.Normalize(e, () => call!.GetStatus(), () => call!.GetTrailers(), lifetime);
                    failure = IsOfLess(failure) ? Less() : failure;
                }
                finally
                {
                    call?.Dispose();
                }

                var isSilent = silence.HasFired;
                if (!canRepeat()
                    || !await resumption.WaitAsync(failure, isSilent, delivered: null, lifetime.Token).ConfigureAwait(false))
                {
                    throw context.End(method, failure, resumption.Attempts, _sent, lifetime, isSilent ? FailureReason.Stalled : null);
                }
            }
        }
        catch (Exception e)
        {
            // An exception of the items, of BearerToken, or the one thrown above.
            var end = context.End(method, e, resumption.Attempts, _sent, lifetime);
            trace.Fail(end);
            if (end != e)
            {
                ExceptionDispatchInfo.Throw(end);
            }

            throw;
        }
        finally
        {
            if (hasTurn)
            {
                turns!.Release();
            }
        }
    }

    private async Task<(TResponse Response, Metadata Trailers)> CompleteAsync(
        AsyncClientStreamingCall<TRequest, TResponse> call, SilenceTimer silence, bool isWhole)
    {
        try
        {
            await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (CallFailure.IsOfWrite(e))
        {
        }

        if (IsTimed)
        {
            silence.Start();
        }

        var response = await call.ResponseAsync.ConfigureAwait(false);
        silence.Stop();
        return isWhole && !IsOfLess(response, _sent) ? (response, call.GetTrailers()) : throw Less();
    }

    private static RpcException Less() =>
        new(new Status(StatusCode.Unavailable, "The stream broke on its way, and the server has answered to less than was sent."));

    /// <returns>False if the stream has ended; its response says why.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> TrySendAsync(AsyncClientStreamingCall<TRequest, TResponse> call, SilenceTimer silence, TItem item)
    {
        try
        {
            // The call itself has the token; here it would be registered for each item.
            var write = call.RequestStream.WriteAsync(ToMessage(item), CancellationToken.None);
            if (IsTimed)
            {
                silence.Start();
            }

            await write.ConfigureAwait(false);
            silence.Stop();
            _sent += Weigh(item);
            return true;
        }
        catch (Exception e) when (CallFailure.IsOfWrite(e))
        {
            return false;
        }
    }
}
