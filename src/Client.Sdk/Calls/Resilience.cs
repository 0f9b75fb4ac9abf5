using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;
using Polly.Hedging;
using Polly.Retry;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>
/// Decides what follows a failed attempt of a unary call: the client's options as strategies of Polly. An attempt fails with
/// <see cref="RpcException"/>. Streams are repeated by the same rules (<see cref="Resumption"/>).
/// </summary>
internal sealed class Resilience
{
    /// <summary>The call that a pipeline runs.</summary>
    public static readonly ResiliencePropertyKey<UnaryCall> CallKey = new("RouteService.Client.Call");

    private const string PushbackTrailer = "grpc-retry-pushback-ms";

    private readonly RouteServiceClientOptions _options;
    private readonly ILogger _logger;

    public Resilience(RouteServiceClientOptions options, ILogger logger)
    {
        _options = options;
        _logger = logger;
        Budget = new RetryBudget(options.Retry.Budget);
        var (retry, breaker) = (CreateRetry(options.Retry), CreateBreaker(options.CircuitBreaker));

        // A pipeline around another one costs every call some allocations.
        Unary = options.CircuitBreaker is null ? retry : NewPipeline().AddPipeline(retry).AddPipeline(breaker).Build();
        Hedged = options.Hedging is { } hedging
            ? new ResiliencePipelineBuilder<Proto.Feature> { TimeProvider = options.Clock }
                .AddPipeline(retry)
                .AddHedging(ToStrategy(hedging))
                .AddPipeline(breaker)
                .Build()
            : null;
    }

    /// <summary>Retries, then the circuit breaker, for every unary call.</summary>
    public ResiliencePipeline Unary { get; }

    /// <summary>Retries, then hedging, then the circuit breaker, for GetFeature; null without hedging.</summary>
    public ResiliencePipeline<Proto.Feature>? Hedged { get; }

    public RetryBudget Budget { get; }

    /// <summary>Whether the same call may be sent again (gRFC A6): the service is unavailable, or asks for it.</summary>
    public static bool IsRetryable(RpcException failure) => failure.Trailers.GetValue(PushbackTrailer) is null
        ? failure.StatusCode == StatusCode.Unavailable
        : Pushback(failure) is not null && failure.StatusCode is StatusCode.Unavailable or StatusCode.ResourceExhausted;

    /// <summary>
    /// The pause that the server asks for, in milliseconds. Null if it does not ask; also for a negative number or no number, which forbids
    /// retries.
    /// </summary>
    public static TimeSpan? Pushback(RpcException failure) =>
        int.TryParse(failure.Trailers.GetValue(PushbackTrailer), NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
            ? TimeSpan.FromMilliseconds(milliseconds)
            : null;

    /// <summary>The longest pause before a retry: the server's, or ours, which doubles.</summary>
    /// <param name="failure">The attempt before.</param>
    /// <param name="retry">0 for the first retry.</param>
    /// <param name="options">Delay and its limit.</param>
    public static TimeSpan LongestPause(RpcException failure, int retry, RetryOptions options) => Pushback(failure)
        ?? TimeSpan.FromSeconds(Math.Min(options.MaxDelay.TotalSeconds, options.Delay.TotalSeconds * Math.Pow(2, Math.Min(retry, 30))));

    /// <summary>The pause before a retry: the server's, or a random one up to <see cref="LongestPause"/>.</summary>
    /// <inheritdoc cref="LongestPause"/>
    public static TimeSpan Pause(RpcException failure, int retry, RetryOptions options)
    {
#pragma warning disable RS0030 // Spreads clients that failed together. Bounds can be tested, single values need not be.
        return Pushback(failure) ?? LongestPause(failure, retry, options) * Random.Shared.NextDouble();
#pragma warning restore RS0030
    }

    private ResiliencePipelineBuilder NewPipeline() => new() { TimeProvider = _options.Clock };

    private ResiliencePipeline CreateRetry(RetryOptions retry) => retry.MaxAttempts == 1
        ? ResiliencePipeline.Empty
        : NewPipeline()
            .AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = retry.MaxAttempts - 1,

                // A retry that could only end by the deadline would hide the actual failure.
                ShouldHandle = args => new(
                    args.Outcome.Exception is RpcException failure
                    && IsRetryable(failure)
                    && !Budget.IsEmpty
                    && LongestPause(failure, args.AttemptNumber, retry) < CallOf(args.Context).Lifetime.TimeLeft),
                DelayGenerator = args => new(Pause((RpcException)args.Outcome.Exception!, args.AttemptNumber, retry)),
                OnRetry = args =>
                {
                    Budget.Take();
                    var (call, failure) = (CallOf(args.Context), (RpcException)args.Outcome.Exception!);
                    CallTrace.Retry(call.Activity, args.AttemptNumber + 1, args.RetryDelay, failure.StatusCode);
                    ClientLog.Retrying(_logger, call.Method, args.AttemptNumber + 2, failure.Status, args.RetryDelay.TotalMilliseconds);
                    return default;
                },
            })
            .Build();

    private HedgingStrategyOptions<Proto.Feature> ToStrategy(HedgingOptions hedging) => new()
    {
        MaxHedgedAttempts = hedging.MaxHedges,
        Delay = hedging.Delay,

        // An attempt that fails in this way waits for the others in flight. A pause that the server asks for is left to the retry.
        ShouldHandle = static args => new(
            args.Outcome.Exception is RpcException failure && IsRetryable(failure) && Pushback(failure) is null),

        // Without budget there is no further attempt, and Polly waits for those in flight.
        ActionGenerator = args => Budget.TryTake() ? () => args.Callback(args.ActionContext) : null,
        OnHedging = static args =>
        {
            CallTrace.Hedge(CallOf(args.PrimaryContext).Activity, args.AttemptNumber + 1);
            return default;
        },
    };

    private ResiliencePipeline CreateBreaker(CircuitBreakerOptions? breaker) => breaker is null
        ? ResiliencePipeline.Empty
        : NewPipeline()
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                FailureRatio = breaker.FailureRatio,
                MinimumThroughput = breaker.MinimumCalls,
                SamplingDuration = breaker.Period,
                BreakDuration = breaker.OpenFor,
                ShouldHandle = static args => new(
                    args.Outcome.Exception is RpcException { StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded }),
            })
            .Build();

    private static UnaryCall CallOf(ResilienceContext context) => context.Properties.GetValue(CallKey, null!);
}

/// <summary>
/// Retries that all calls of a client have in reserve. A retry takes one, and each success returns a tenth (after gRFC A6, "Throttling
/// Retry Attempts"): during an outage the client sends few calls beyond those of its callers.
/// </summary>
internal sealed class RetryBudget(int capacity)
{
    // Counted in tenths, to stay an integer.
    private const int PerRetry = 10;

    private readonly int _full = capacity * PerRetry;
    private int _left = capacity * PerRetry;

    public bool IsEmpty => Volatile.Read(ref _left) < PerRetry;

    /// <summary>Takes a retry, also if calls at the same moment have taken the last: the debt is paid off first.</summary>
    public void Take() => Interlocked.Add(ref _left, -PerRetry);

    public bool TryTake()
    {
        if (Interlocked.Add(ref _left, -PerRetry) >= 0)
        {
            return true;
        }

        Interlocked.Add(ref _left, PerRetry);
        return false;
    }

    public void Succeed()
    {
        var left = Volatile.Read(ref _left);
        if (left < _full)
        {
            // A lost race costs a tenth of a retry.
            Interlocked.CompareExchange(ref _left, left + 1, left);
        }
    }
}
