using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Grpc.Core;
using Polly;
using Polly.CircuitBreaker;

namespace RouteService.Client.Calls;

/// <summary>
/// The path of a unary call: the time limit begins, Polly decides on attempts (<see cref="Resilience"/>), and each attempt calls the stub.
/// All attempts share the time limit.
/// </summary>
internal sealed class UnaryCalls(CallContext context, Resilience resilience)
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<TResponse> CallAsync<TRequest, TResponse>(
        UnaryMethod<TRequest, TResponse> method, TRequest request, TimeSpan? timeout, CancellationToken cancellationToken)
        where TResponse : class
    {
        using var trace = CallTrace.Start(method.Name, context);
        using var lifetime = new CallLifetime(context.Options.Clock, timeout ?? context.Options.Timeout, cancellationToken);
        var call = new Call<TRequest, TResponse>(context, method, request, lifetime, trace.Activity);
        var pipelineContext = ResilienceContextPool.Shared.Get(continueOnCapturedContext: false, lifetime.Token);
        pipelineContext.Properties.Set(Resilience.CallKey, call);
        Outcome<TResponse> outcome;
        try
        {
            outcome = method.Hedged is { } hedged
                ? await hedged
                    .ExecuteOutcomeAsync(static (attempt, call) => call.AttemptAsync(attempt.CancellationToken), pipelineContext, call)
                    .ConfigureAwait(false)
                : await resilience.Unary
                    .ExecuteOutcomeAsync(static (attempt, call) => call.AttemptAsync(attempt.CancellationToken), pipelineContext, call)
                    .ConfigureAwait(false);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(pipelineContext);
        }

        if (outcome.Exception is { } failure)
        {
            var end = failure is BrokenCircuitException open && !lifetime.Token.IsCancellationRequested
                ? CallFailure.OfOpenCircuit(method.Name, open, call.Attempts)
                : context.End(method.Name, failure, call.Attempts, delivered: 0, lifetime);
            trace.Fail(end);
            throw end;
        }

        resilience.Budget.Succeed();
        return outcome.Result!;
    }

    private sealed class Call<TRequest, TResponse>(
        CallContext context, UnaryMethod<TRequest, TResponse> method, TRequest request, CallLifetime lifetime, Activity? activity)
        : UnaryCall(method.Name, lifetime, activity)
        where TResponse : class
    {
        [SuppressMessage("Design", "CA1031", Justification = "Every exception is the outcome of its attempt; CallAsync throws it.")]
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public async ValueTask<Outcome<TResponse>> AttemptAsync(CancellationToken cancellationToken)
        {
            try
            {
                var previous = BeginAttempt() - 1;
                var options = await context.OptionsAsync(Lifetime, previous, extra: null, cancellationToken).ConfigureAwait(false);
                using var call = method.Start(request, options);
                try
                {
                    return Outcome.FromResult(await call.ResponseAsync.ConfigureAwait(false));
                }
                catch (Exception e) when (e is RpcException or OperationCanceledException)
                {
                    return Outcome.FromException<TResponse>(CallFailure.Normalize(e, call.GetStatus, call.GetTrailers, Lifetime));
                }
            }
            catch (Exception e)
            {
                return Outcome.FromException<TResponse>(e);
            }
        }
    }
}

/// <summary>A unary method of the contract.</summary>
/// <param name="Name">Full name.</param>
/// <param name="Start">The stub's method.</param>
/// <param name="Hedged">Pipeline in place of the usual one; null for the usual one.</param>
internal sealed record UnaryMethod<TRequest, TResponse>(
    string Name, Func<TRequest, CallOptions, AsyncUnaryCall<TResponse>> Start, ResiliencePipeline<TResponse>? Hedged = null);

/// <summary>A call with all its attempts, as <see cref="Resilience"/> sees it.</summary>
internal abstract class UnaryCall(string method, CallLifetime lifetime, Activity? activity)
{
    private int _attempts;

    public string Method { get; } = method;

    public CallLifetime Lifetime { get; } = lifetime;

    public Activity? Activity { get; } = activity;

    /// <summary>Attempts that have begun.</summary>
    public int Attempts => Volatile.Read(ref _attempts);

    /// <returns>The number of the attempt, from 1.</returns>
    protected int BeginAttempt() => Interlocked.Increment(ref _attempts);
}
