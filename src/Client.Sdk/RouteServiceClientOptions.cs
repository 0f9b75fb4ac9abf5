using System.Net;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Logging;

namespace RouteService.Client;

/// <summary>
/// Options of a <see cref="RouteServiceClient"/>: how it reaches the service, and what it does when a call fails. Copied when the client is
/// created.
/// </summary>
public sealed record RouteServiceClientOptions
{
    /// <summary>
    /// Address of the service: <c>http://HOST:PORT</c> for HTTP/2 without TLS, <c>https://HOST:PORT</c> for TLS, or <c>dns:///HOST:PORT</c>
    /// for all addresses of the host in turn, such as those of a headless Service of Kubernetes. The host is resolved again when a
    /// connection is lost, and every 30 s. <see cref="Tls"/> turns on TLS for <c>dns</c>. Default <c>http://localhost:50051</c>.
    /// </summary>
    public string Address { get; set; } = "http://localhost:50051";

    /// <summary>
    /// Time limit for a unary call including all attempts. More than zero, at most 24 days; default 10 s;
    /// <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> disables it. Also the time limit of
    /// <see cref="RouteServiceClient.ConnectAsync"/> and of joining a chat. Listings and routes have no time limit unless their argument
    /// <c>timeout</c> sets one.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Longest wait of a stream for what the server owes: the next feature, room for the next point, a summary, or the acknowledgement of a
    /// note. Time in which the caller does not ask for more does not count. More than zero, at most 24 days; default 30 s. An import has no
    /// such limit, as the service may let it wait: its time limit ends it, or an unanswered ping of <see cref="KeepAlive"/>.
    /// </summary>
    public TimeSpan StreamSilence { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Time limit for resuming a stream that had delivered something, from when it broke. Zero or more; default 1 min.</summary>
    public TimeSpan ResumeWithin { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Limit of the features that one ListFeaturesAsync remembers, at 8 bytes each, to resume without repeating any. Beyond it a break ends
    /// the enumeration with <see cref="FailureReason.CannotResume"/>. Default 10 million; 0 remembers none.
    /// </summary>
    public int MaxResumableFeatures { get; set; } = 10_000_000;

    /// <summary>Longest note in bytes of UTF-8, which is a limit of the service. 1 or more; default 4 096.</summary>
    public int MaxNoteBytes { get; set; } = 4_096;

    /// <summary>
    /// Notes of a chat session that wait here for the reader; further notes stay with the service. 1 or more; default 1 000.
    /// </summary>
    public int MaxBufferedNotes { get; set; } = 1_000;

    /// <summary>Retries of failed calls.</summary>
    public RetryOptions Retry { get; set; } = new();

    /// <summary>Hedging for GetFeature; null (default) disables it.</summary>
    public HedgingOptions? Hedging { get; set; }

    /// <summary>Circuit breaker for unary calls; null (default) disables it.</summary>
    public CircuitBreakerOptions? CircuitBreaker { get; set; }

    /// <summary>
    /// Certificates. Null (default): an <c>https</c> address uses the authorities that the machine trusts, and other addresses use no TLS.
    /// </summary>
    public TlsOptions? Tls { get; set; }

    /// <summary>Whether requests are compressed with gzip; default false. Responses in gzip are always accepted.</summary>
    public bool Compress { get; set; }

    /// <summary>
    /// Interval between HTTP/2 keep-alive pings while calls are active. 1 s to 24 days; default 30 s; infinite disables them. A ping that
    /// is unanswered for 10 s ends the connection.
    /// </summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Returns the token that calls authenticate with, sent as <c>authorization: Bearer TOKEN</c>; null or empty sends none. Called before
    /// every attempt; cache the token. Counts against the deadline. An exception fails the call, which throws it as it is, and is not
    /// retried. Null (default) for no authentication.
    /// </summary>
    public Func<CancellationToken, ValueTask<string?>>? BearerToken { get; set; }

    /// <summary>
    /// Whether <see cref="BearerToken"/> is sent without TLS, readable to everyone on the network path. Default false, which rejects such
    /// options.
    /// </summary>
    public bool SendTokenWithoutTls { get; set; }

    /// <summary>
    /// Customizes the HTTP handler. With connection callbacks, <see cref="RouteServiceClient.State"/> and <c>dns</c> addresses are
    /// unavailable. Calls send the trace context themselves, so the handler has no propagator. Null (default) leaves the handler unchanged.
    /// </summary>
    public Func<SocketsHttpHandler, HttpMessageHandler>? ConfigureHandler { get; set; }

    /// <summary>Resolves the host of a <c>dns</c> address; null (default) for the system's resolver.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>>? Resolve { get; set; }

    /// <summary>
    /// Creates the client's logger, of the category <c>RouteService.Client</c>, and those of the channel, of <c>Grpc.Net.Client</c>. Null
    /// (default) for no logs; <c>AddRouteServiceClient</c> takes the container's.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>Clock for pauses, silences and time limits, by its monotonic timestamps; the system's clock by default.</summary>
    public TimeProvider Clock { get; set; } = TimeProvider.System;

    /// <summary>Interceptors of all calls, the outermost first; from the builder.</summary>
    internal IReadOnlyList<Interceptor> Interceptors { get; init; } = [];

    /// <summary>Handlers around the HTTP handler, the outermost first; from the builder.</summary>
    internal IReadOnlyList<DelegatingHandler> Handlers { get; init; } = [];

    /// <summary>Credentials of all calls; from the builder.</summary>
    internal CallCredentials? Credentials { get; init; }

    /// <summary>Longest time of a timer: 24 days, 20 hours and some minutes.</summary>
    internal static TimeSpan MaxTime { get; } = TimeSpan.FromMilliseconds(int.MaxValue);

    internal bool IsDns => Address.StartsWith("dns:", StringComparison.OrdinalIgnoreCase);

    internal bool IsSecure => IsDns ? Tls is not null : Address.StartsWith("https:", StringComparison.OrdinalIgnoreCase);

    /// <summary>Scheme, host and port of the server for HTTP; null if <see cref="Address"/> is not an address.</summary>
    internal Uri? Server
    {
        get
        {
            // "dns:[//authority/]host[:port]" (gRPC Name Resolution); an authority would be the DNS server to ask.
            var isUri = Uri.TryCreate(Address, UriKind.Absolute, out var uri);
            if (isUri && IsDns)
            {
                isUri = uri!.Authority.Length == 0
                    && Uri.TryCreate($"{(IsSecure ? "https" : "http")}://{uri.AbsolutePath.TrimStart('/')}", UriKind.Absolute, out uri);
            }

            return isUri && uri is { Scheme: "http" or "https", PathAndQuery: "/", Fragment: "" } ? uri : null;
        }
    }

    /// <summary>A copy that the caller cannot change, of the options that are used after the client is created.</summary>
    internal RouteServiceClientOptions Copy() => this with { Retry = Retry with { } };

    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other.</exception>
    internal void Validate()
    {
        ValidateConnection();
        ValidateCalls();
    }

    /// <summary>Checks the options of calls, which are all that a client with a channel of the application's has use for.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other.</exception>
    internal void ValidateCalls()
    {
        Check(
            (Timeout > TimeSpan.Zero && Timeout <= MaxTime) || Timeout == System.Threading.Timeout.InfiniteTimeSpan,
            nameof(Timeout), Timeout, $"more than zero and at most {MaxTime.Days} days, or infinite (-00:00:00.001)");
        Check(
            StreamSilence > TimeSpan.Zero && StreamSilence <= MaxTime,
            nameof(StreamSilence), StreamSilence, $"more than zero and at most {MaxTime.Days} days");
        Check(ResumeWithin >= TimeSpan.Zero, nameof(ResumeWithin), ResumeWithin, "zero or more");
        Check(MaxResumableFeatures >= 0, nameof(MaxResumableFeatures), MaxResumableFeatures, "0 or more");
        Check(MaxNoteBytes > 0, nameof(MaxNoteBytes), MaxNoteBytes, "1 or more");
        Check(MaxBufferedNotes > 0, nameof(MaxBufferedNotes), MaxBufferedNotes, "1 or more");
        Check(Retry is not null, nameof(Retry), null, "set; MaxAttempts of 1 is no retry");
        Check(Retry!.MaxAttempts is >= 1 and <= 100, "Retry.MaxAttempts", Retry.MaxAttempts, "from 1 to 100");
        Check(
            Retry.Delay > TimeSpan.Zero && Retry.Delay <= Retry.MaxDelay,
            "Retry.Delay", Retry.Delay, "more than zero and at most Retry.MaxDelay");
        Check(Retry.MaxDelay <= TimeSpan.FromDays(1), "Retry.MaxDelay", Retry.MaxDelay, "at most a day");
        Check(Retry.Budget is >= 0 and <= 1_000_000, "Retry.Budget", Retry.Budget, "from 0 to 1000000");
        Check(Hedging is null or { MaxHedges: >= 1 and <= 10 }, "Hedging.MaxHedges", Hedging?.MaxHedges, "from 1 to 10");
        Check(
            Hedging is null || (Hedging.Delay >= TimeSpan.Zero && Hedging.Delay <= MaxTime),
            "Hedging.Delay", Hedging?.Delay, $"from zero to {MaxTime.Days} days");
        Check(
            CircuitBreaker is null or { FailureRatio: > 0 and <= 1 },
            "CircuitBreaker.FailureRatio", CircuitBreaker?.FailureRatio, "more than 0 and at most 1");
        Check(CircuitBreaker is null or { MinimumCalls: >= 2 }, "CircuitBreaker.MinimumCalls", CircuitBreaker?.MinimumCalls, "2 or more");
        Check(
            CircuitBreaker is null || CircuitBreaker.Period >= TimeSpan.FromMilliseconds(500),
            "CircuitBreaker.Period", CircuitBreaker?.Period, "at least half a second");
        Check(
            CircuitBreaker is null || CircuitBreaker.OpenFor >= TimeSpan.FromMilliseconds(500),
            "CircuitBreaker.OpenFor", CircuitBreaker?.OpenFor, "at least half a second");
        Check(Clock is not null, nameof(Clock), null, "set; TimeProvider.System is the default");
    }

    private void ValidateConnection()
    {
        Check(Server is not null, nameof(Address), Address, "http://HOST:PORT, https://HOST:PORT or dns:///HOST:PORT, without a path");
        Check(
            (KeepAlive >= TimeSpan.FromSeconds(1) && KeepAlive <= MaxTime) || KeepAlive == System.Threading.Timeout.InfiniteTimeSpan,
            nameof(KeepAlive), KeepAlive, $"from a second to {MaxTime.Days} days, or infinite (-00:00:00.001)");
        Check(Tls is null || IsSecure, nameof(Tls), Address, "null, or the address one of https:// or dns:///");
        Check(
            Tls is null || Tls.ClientKeyFile is null || Tls.ClientCertificateFile is not null,
            "Tls.ClientKeyFile", Tls?.ClientKeyFile, "with ClientCertificateFile, whose key it is");
        Check(
            BearerToken is null || IsSecure || SendTokenWithoutTls,
            nameof(BearerToken), Address, "for an address with TLS, or together with SendTokenWithoutTls");
        Check(
            Credentials is null || IsSecure || SendTokenWithoutTls,
            "Credentials", Address, "for an address with TLS, or together with SendTokenWithoutTls");
    }

    private static void Check(bool isRight, string option, object? value, string expected)
    {
        if (!isRight)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"The option {option} must be {expected}; it is '{value ?? "null"}'."), option);
        }
    }
}

/// <summary>
/// Retries of unary calls, of routes, and of listings that have delivered nothing, when the service is unreachable or asks to be called
/// again (<c>grpc-retry-pushback-ms</c>). All attempts share the call's deadline.
/// </summary>
public sealed record RetryOptions
{
    /// <summary>Attempts of a call, the first included. 1 to 100; default 5; 1 disables retries.</summary>
    public int MaxAttempts { get; set; } = 5;

    /// <summary>
    /// Longest pause before the second attempt; it doubles with each attempt. The pause is random, from zero to this, so that clients do
    /// not return all at once. More than zero, at most <see cref="MaxDelay"/>; default 100 ms.
    /// </summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Limit of the doubled <see cref="Delay"/>. At most a day; default 5 s.</summary>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Retries of unary calls that a client has in reserve, over all its calls, so that an outage is not made worse. A retry takes one; ten
    /// calls that succeed return one. 0 to 1 000 000; default 200.
    /// </summary>
    public int Budget { get; set; } = 200;
}

/// <summary>
/// Sends GetFeature again before there is an answer. The first answer counts, and the other attempts are cancelled. Each attempt beside the
/// first takes a retry of <see cref="RetryOptions.Budget"/>. If all of them fail, they are one attempt to <see cref="RetryOptions"/>.
/// </summary>
public sealed record HedgingOptions
{
    /// <summary>
    /// Time after which the next attempt is sent. Zero, for at once, to 24 days; default 100 ms. The service's 95th percentile is a good
    /// choice.
    /// </summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Attempts beside the first. 1 to 10; default 1.</summary>
    public int MaxHedges { get; set; } = 1;
}

/// <summary>Circuit breaker: no unary call is sent for a while after most of them have failed.</summary>
public sealed record CircuitBreakerOptions
{
    /// <summary>
    /// Share of the attempts in a <see cref="Period"/> that opens the circuit when they fail with UNAVAILABLE or DEADLINE_EXCEEDED. More
    /// than 0, at most 1; default 0.5.
    /// </summary>
    public double FailureRatio { get; set; } = 0.5;

    /// <summary>Attempts in a <see cref="Period"/> below which the circuit stays closed. 2 or more; default 20.</summary>
    public int MinimumCalls { get; set; } = 20;

    /// <summary>Period over which failures are counted. 0.5 s or more; default 10 s.</summary>
    public TimeSpan Period { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Time for which no call is sent; the result of the next call then closes or reopens the circuit. 0.5 s or more; default 5 s.
    /// </summary>
    public TimeSpan OpenFor { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>Certificates as PEM files, read when the client is created.</summary>
public sealed record TlsOptions
{
    /// <summary>Authorities that may have issued the server's certificate; null (default) for those of the machine.</summary>
    public string? AuthorityFile { get; set; }

    /// <summary>Certificate that this client presents (mTLS), with its chain; null (default) for none.</summary>
    public string? ClientCertificateFile { get; set; }

    /// <summary>Private key of the client certificate; null (default) if it is in the same file.</summary>
    public string? ClientKeyFile { get; set; }
}
