using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Polly;
using Polly.CircuitBreaker;
using Polly.Hedging;
using Polly.Retry;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>
/// The path of a unary call: CallAsync sets the deadline, Polly decides on attempts, and AttemptAsync of
/// <see cref="Call{TClient, TRequest, TResponse}"/> makes one. All attempts share the deadline.
/// </summary>
internal sealed class UnaryCalls
{
    private const string GetFeature = "routeguide.RouteGuide/GetFeature";

    private static readonly ResiliencePropertyKey<Activity?> ActivityKey = new("RouteService.Client.Activity");

    private readonly CallContext _context;
    private readonly RetryBudget _budget;
    private readonly ResiliencePipeline _pipeline;

    // For GetFeature; null without hedging.
    private readonly ResiliencePipeline<Proto.Feature>? _hedged;

    public UnaryCalls(CallContext context)
    {
        _context = context;
        _budget = new RetryBudget(context.Options.Retry.Budget);
        var (retry, breaker) = (CreateRetry(context.Options.Retry), CreateBreaker(context.Options.CircuitBreaker));
        _pipeline = new ResiliencePipelineBuilder().AddPipeline(retry).AddPipeline(breaker).Build();
        _hedged = context.Options.Hedging is { } hedging
            ? new ResiliencePipelineBuilder<Proto.Feature> { TimeProvider = context.Options.Clock }
                .AddPipeline(retry)
                .AddHedging(ToStrategy(hedging))
                .AddPipeline(breaker)
                .Build()
            : null;
    }

    public Task<Proto.Feature> GetFeatureAsync(
        RouteGuide.RouteGuideClient guide, Point location, TimeSpan? timeout, CancellationToken cancellationToken) =>
        CallAsync(
            GetFeature,
            guide,
            static (client, request, options) => client.GetFeatureAsync(request, options),
            location,
            _hedged,
            timeout,
            cancellationToken);

    public Task<TResponse> CallAsync<TClient, TRequest, TResponse>(
        string method,
        TClient client,
        Func<TClient, TRequest, CallOptions, AsyncUnaryCall<TResponse>> start,
        TRequest request,
        TimeSpan? timeout,
        CancellationToken cancellationToken)
        where TResponse : class =>
        CallAsync(method, client, start, request, hedged: null, timeout, cancellationToken);

    private async Task<TResponse> CallAsync<TClient, TRequest, TResponse>(
        string method,
        TClient client,
        Func<TClient, TRequest, CallOptions, AsyncUnaryCall<TResponse>> start,
        TRequest request,
        ResiliencePipeline<TResponse>? hedged,
        TimeSpan? timeout,
        CancellationToken cancellationToken)
        where TResponse : class
    {
        using var trace = CallTrace.Start(method, _context);
        using var cancellation = new Cancellation(cancellationToken);
        var deadline = _context.Deadline(timeout ?? _context.Options.Timeout);
        var call = new Call<TClient, TRequest, TResponse>(this, client, start, request, deadline, trace.Activity);
        var resilience = ResilienceContextPool.Shared.Get(continueOnCapturedContext: false, cancellation.Token);
        if (hedged is not null)
        {
            resilience.Properties.Set(ActivityKey, trace.Activity);
        }

        Outcome<TResponse> outcome;
        try
        {
            outcome = hedged is null
                ? await _pipeline
                    .ExecuteOutcomeAsync(static (context, call) => call.AttemptAsync(context.CancellationToken), resilience, call)
                    .ConfigureAwait(false)
                : await hedged
                    .ExecuteOutcomeAsync(static (context, call) => call.AttemptAsync(context.CancellationToken), resilience, call)
                    .ConfigureAwait(false);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(resilience);
        }

        if (outcome.Exception is { } failure)
        {
            var end = EndOf(method, failure, call.Attempts, cancellation);
            trace.Fail(end);
            throw end;
        }

        _budget.Succeed();
        return outcome.Result!;
    }

    private Exception EndOf(string method, Exception failure, int attempts, in Cancellation cancellation) => failure switch
    {
        AttemptFailedException failed => _context.End(method, failed.Rpc, attempts, delivered: 0, cancellation),
        BrokenCircuitException when !cancellation.IsRequested => new RouteServiceException(
            FailureReason.CircuitOpen,
            RouteServiceException.Describe(
                method, FailureReason.CircuitOpen, "", "the circuit breaker is open, as most of the last calls have failed.", attempts),
            failure)
        { Attempts = attempts, RetryAfter = (failure as BrokenCircuitException)?.RetryAfter },
        _ => _context.End(method, failure, attempts, delivered: 0, cancellation),
    };

    private ResiliencePipeline CreateRetry(RetryOptions retry) => retry.MaxAttempts == 1
        ? ResiliencePipeline.Empty
        : new ResiliencePipelineBuilder { TimeProvider = _context.Options.Clock }
            .AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = retry.MaxAttempts - 1,
                ShouldHandle = args => new(
                    args.AttemptNumber < retry.MaxAttempts - 1 && ShouldRetry(args.Outcome.Exception, args.AttemptNumber + 1)),
                DelayGenerator = static args => new((args.Outcome.Exception as AttemptFailedException)?.Pause),
            })
            .Build();

    private ResiliencePipeline CreateBreaker(CircuitBreakerOptions? breaker) => breaker is null
        ? ResiliencePipeline.Empty
        : new ResiliencePipelineBuilder { TimeProvider = _context.Options.Clock }
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                FailureRatio = breaker.FailureRatio,
                MinimumThroughput = breaker.MinimumCalls,
                SamplingDuration = breaker.Period,
                BreakDuration = breaker.OpenFor,
                ShouldHandle = static args => new(
                    args.Outcome.Exception
                        is AttemptFailedException { Rpc.StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded }),
            })
            .Build();

    private HedgingStrategyOptions<Proto.Feature> ToStrategy(HedgingOptions hedging) => new()
    {
        MaxHedgedAttempts = hedging.MaxHedges,
        Delay = hedging.Delay,

        // An attempt that fails in this way waits for the others in flight. A pause that the server asks for is left to the retry.
        ShouldHandle = static args => new(
            args.Outcome.Exception is AttemptFailedException failed
            && CallContext.IsRetryable(failed.Rpc, out var pushback)
            && pushback is null),

        // Without budget there is no further attempt, and Polly waits for those in flight.
        ActionGenerator = args =>
        {
            if (!_budget.TryTake())
            {
                return null;
            }

            CallTrace.Hedge(args.PrimaryContext.Properties.GetValue(ActivityKey, null), args.AttemptNumber + 1);
            return () => args.Callback(args.ActionContext);
        },
    };

    /// <summary>Whether there is another attempt; sets its pause in the failure.</summary>
    private bool ShouldRetry(Exception? exception, int retry)
    {
        if (exception is not AttemptFailedException failure || !CallContext.IsRetryable(failure.Rpc, out var pushback))
        {
            return false;
        }

        var pause = pushback ?? _context.Backoff(retry);
        if (pause >= _context.TimeLeft(failure.Deadline) || !_budget.TryTake())
        {
            // An attempt that could only end by the deadline would hide the actual failure.
            return false;
        }

        failure.Pause = pause;
        CallTrace.Retry(failure.Activity, retry, pause, failure.Rpc.StatusCode);
        return true;
    }

    /// <summary>One call with all its attempts.</summary>
    private sealed class Call<TClient, TRequest, TResponse>(
        UnaryCalls owner,
        TClient client,
        Func<TClient, TRequest, CallOptions, AsyncUnaryCall<TResponse>> start,
        TRequest request,
        DateTimeOffset deadline,
        Activity? activity)
    {
        private int _attempts;

        public int Attempts => Volatile.Read(ref _attempts);

        [SuppressMessage("Design", "CA1031", Justification = "Every exception is the outcome of its attempt; CallAsync throws it.")]
        public async ValueTask<Outcome<TResponse>> AttemptAsync(CancellationToken cancellationToken)
        {
            try
            {
                var previous = Interlocked.Increment(ref _attempts) - 1;
                var options = await owner._context.OptionsAsync(deadline, previous, extra: null, cancellationToken).ConfigureAwait(false);
                using var call = start(client, request, options);
                return Outcome.FromResult(await call.ResponseAsync.ConfigureAwait(false));
            }
            catch (RpcException e)
            {
                return Outcome.FromException<TResponse>(new AttemptFailedException(ConnectionFailure.AsUnavailable(e), deadline, activity));
            }
            catch (Exception e)
            {
                return Outcome.FromException<TResponse>(e);
            }
        }
    }

    /// <summary>An attempt that did not end OK, with what decides on the next one.</summary>
    private sealed class AttemptFailedException(RpcException rpc, DateTimeOffset deadline, Activity? activity) : Exception(rpc.Message, rpc)
    {
        public RpcException Rpc { get; } = rpc;

        public DateTimeOffset Deadline { get; } = deadline;

        public Activity? Activity { get; } = activity;

        public TimeSpan? Pause { get; set; }
    }
}
