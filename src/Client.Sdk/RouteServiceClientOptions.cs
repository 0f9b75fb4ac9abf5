using System.Net;

namespace RouteService.Client;

/// <summary>How a <see cref="RouteServiceClient"/> reaches its service and what it does when that fails. Copied when the client is made.</summary>
public sealed record RouteServiceClientOptions
{
    /// <summary>
    /// <c>http://HOST:PORT</c> for HTTP/2 without TLS, <c>https://HOST:PORT</c> for TLS, or <c>dns:///HOST:PORT</c> for all addresses of the host in turn, as of a
    /// headless Service of Kubernetes; these are asked for again when a connection is lost, and every 30 seconds. TLS for it is <see cref="Tls"/>.
    /// </summary>
    public string Address { get; set; } = "http://localhost:50051";

    /// <summary>
    /// For a unary call with all its attempts: more than zero and at most 24 days, or <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for none; 10 seconds by
    /// default. Also how long <see cref="RouteServiceClient.ConnectAsync"/> and the joining of a chat wait for a connection.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The longest that a stream waits for what the server owes: the next feature, room for the next point, a summary, the acknowledgement of a note. More than zero and at
    /// most 24 days; 30 seconds by default. Time in which the caller does not ask for more does not count.
    /// </summary>
    public TimeSpan StreamSilence { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>For how long a stream that broke after it had delivered something is tried to be resumed, from when it broke; 1 minute by default.</summary>
    public TimeSpan ResumeWithin { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// The most features of one ListFeaturesAsync that are remembered, at 8 bytes each, to go on after a break without repeating any; 10 million by default, 0 for
    /// none. Beyond it a break ends the enumeration with <see cref="FailureReason.CannotResume"/>.
    /// </summary>
    public int MaxResumableFeatures { get; set; } = 10_000_000;

    /// <summary>The longest note in bytes of UTF-8, as the service has it; 4 096 by default.</summary>
    public int MaxNoteBytes { get; set; } = 4_096;

    /// <summary>How many notes of a chat session wait here for whoever enumerates it, before the rest is left with the service; 1 000 by default.</summary>
    public int MaxBufferedNotes { get; set; } = 1_000;

    /// <summary>When a call is tried again.</summary>
    public RetryOptions Retry { get; set; } = new();

    /// <summary>Sends GetFeature a second time where the first takes long, and takes the answer that comes first; null, the default, to not do so.</summary>
    public HedgingOptions? Hedging { get; set; }

    /// <summary>Stops unary calls for a while when most of them fail; null, the default, to not do so.</summary>
    public CircuitBreakerOptions? CircuitBreaker { get; set; }

    /// <summary>Certificates; null, the default, for TLS by the machine's trust where the address is <c>https</c>, and none elsewhere.</summary>
    public TlsOptions? Tls { get; set; }

    /// <summary>Whether what is sent is compressed by gzip; false by default. What comes is always read in gzip, where the server chooses it.</summary>
    public bool Compress { get; set; }

    /// <summary>While calls wait on a connection that is silent, it is pinged so often, from a second to 24 days; 30 seconds by default, infinite for never. An unanswered ping ends it after 10 seconds.</summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Gives the token that calls authenticate with, sent as <c>authorization: Bearer TOKEN</c>; null, the default, for none. Asked before each attempt of a call, so
    /// keep what is good for longer. It is waited for within the call's time, and what it throws ends the call. Null or empty sends none.
    /// </summary>
    public Func<CancellationToken, ValueTask<string?>>? BearerToken { get; set; }

    /// <summary>Whether <see cref="BearerToken"/> is sent without TLS, for all on the way to read; false by default, which refuses such options.</summary>
    public bool SendTokenWithoutTls { get; set; }

    /// <summary>
    /// Changes the HTTP handler, or puts others around it; null, the default, to leave it. The client does not see the connections of a handler that has callbacks
    /// for connections: <see cref="RouteServiceClient.State"/> is not to be had then, and no <c>dns</c> address. The trace context is sent by the calls, so the handler has
    /// no propagator.
    /// </summary>
    public Func<SocketsHttpHandler, HttpMessageHandler>? ConfigureHandler { get; set; }

    /// <summary>Finds the addresses of a <c>dns</c> host; null, the default, for the system's resolver.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>>? Resolve { get; set; }

    /// <summary>
    /// What pauses, silences and the time left to a call are measured by; the system's clock by default. An attempt that is under way ends by the system's clock.
    /// </summary>
    public TimeProvider Clock { get; set; } = TimeProvider.System;

    /// <summary>The longest that a timer takes: 24 days, 20 hours and some minutes.</summary>
    internal static TimeSpan MaxTime { get; } = TimeSpan.FromMilliseconds(int.MaxValue);

    internal bool IsDns => Address.StartsWith("dns:", StringComparison.OrdinalIgnoreCase);

    internal bool IsSecure => IsDns ? Tls is not null : Address.StartsWith("https:", StringComparison.OrdinalIgnoreCase);

    /// <summary>Scheme, host and port of the server, as HTTP has them; null where <see cref="Address"/> is not an address.</summary>
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

    /// <summary>A copy that nobody else changes.</summary>
    internal RouteServiceClientOptions Copy() => this with
    {
        Retry = Retry with { },
        Hedging = Hedging is null ? null : Hedging with { },
        CircuitBreaker = CircuitBreaker is null ? null : CircuitBreaker with { },
        Tls = Tls is null ? null : Tls with { },
    };

    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other.</exception>
    internal void Validate()
    {
        Check(Server is not null, nameof(Address), Address, "http://HOST:PORT, https://HOST:PORT or dns:///HOST:PORT, without a path");
        Check(
            (Timeout > TimeSpan.Zero && Timeout <= MaxTime) || Timeout == System.Threading.Timeout.InfiniteTimeSpan,
            nameof(Timeout), Timeout, $"more than zero and at most {MaxTime.Days} days, or infinite (-00:00:00.001)");
        Check(StreamSilence > TimeSpan.Zero && StreamSilence <= MaxTime, nameof(StreamSilence), StreamSilence, $"more than zero and at most {MaxTime.Days} days");
        Check(ResumeWithin >= TimeSpan.Zero, nameof(ResumeWithin), ResumeWithin, "zero or more");
        Check(MaxResumableFeatures >= 0, nameof(MaxResumableFeatures), MaxResumableFeatures, "0 or more");
        Check(MaxNoteBytes > 0, nameof(MaxNoteBytes), MaxNoteBytes, "1 or more");
        Check(MaxBufferedNotes > 0, nameof(MaxBufferedNotes), MaxBufferedNotes, "1 or more");
        Check(Retry is not null, nameof(Retry), null, "set; MaxAttempts of 1 is no retry");
        Check(Retry!.MaxAttempts is >= 1 and <= 100, "Retry.MaxAttempts", Retry.MaxAttempts, "from 1 to 100");
        Check(Retry.Delay > TimeSpan.Zero && Retry.Delay <= Retry.MaxDelay, "Retry.Delay", Retry.Delay, "more than zero and at most Retry.MaxDelay");
        Check(Retry.MaxDelay <= TimeSpan.FromDays(1), "Retry.MaxDelay", Retry.MaxDelay, "at most a day");
        Check(Retry.Budget is >= 0 and <= 1_000_000, "Retry.Budget", Retry.Budget, "from 0 to 1000000");
        Check(Hedging is null or { MaxHedges: >= 1 and <= 10 }, "Hedging.MaxHedges", Hedging?.MaxHedges, "from 1 to 10");
        Check(Hedging is null || (Hedging.Delay >= TimeSpan.Zero && Hedging.Delay <= MaxTime), "Hedging.Delay", Hedging?.Delay, $"from zero to {MaxTime.Days} days");
        Check(CircuitBreaker is null or { FailureRatio: > 0 and <= 1 }, "CircuitBreaker.FailureRatio", CircuitBreaker?.FailureRatio, "more than 0 and at most 1");
        Check(CircuitBreaker is null or { MinimumCalls: >= 2 }, "CircuitBreaker.MinimumCalls", CircuitBreaker?.MinimumCalls, "2 or more");
        Check(CircuitBreaker is null || CircuitBreaker.Period >= TimeSpan.FromMilliseconds(500), "CircuitBreaker.Period", CircuitBreaker?.Period, "at least half a second");
        Check(CircuitBreaker is null || CircuitBreaker.OpenFor >= TimeSpan.FromMilliseconds(500), "CircuitBreaker.OpenFor", CircuitBreaker?.OpenFor, "at least half a second");
        Check(
            (KeepAlive >= TimeSpan.FromSeconds(1) && KeepAlive <= MaxTime) || KeepAlive == System.Threading.Timeout.InfiniteTimeSpan,
            nameof(KeepAlive), KeepAlive, $"from a second to {MaxTime.Days} days, or infinite (-00:00:00.001)");
        Check(Tls is null || IsSecure, nameof(Tls), Address, "null, or the address one of https:// or dns:///");
        Check(Tls is null || Tls.ClientKeyFile is null || Tls.ClientCertificateFile is not null, "Tls.ClientKeyFile", Tls?.ClientKeyFile, "with ClientCertificateFile, whose key it is");
        Check(BearerToken is null || IsSecure || SendTokenWithoutTls, nameof(BearerToken), Address, "for an address with TLS, or together with SendTokenWithoutTls");
        Check(Clock is not null, nameof(Clock), null, "set; TimeProvider.System is the default");
    }

    private static void Check(bool isRight, string option, object? value, string wanted)
    {
        if (!isRight)
        {
            throw new ArgumentException(FormattableString.Invariant($"The option {option} is to be {wanted}; it is '{value ?? "null"}'."), option);
        }
    }
}

/// <summary>
/// What is tried again: a unary call, a listing and a route of which nothing is done yet, where the service cannot be reached or asks to be called again
/// (<c>grpc-retry-pushback-ms</c>). All attempts share the call's deadline.
/// </summary>
public sealed record RetryOptions
{
    /// <summary>The most attempts, the first one included, up to 100; 5 by default, 1 for no retries.</summary>
    public int MaxAttempts { get; set; } = 5;

    /// <summary>
    /// The pause before the second attempt is from 0 to this, by chance, so that clients do not come back all at once; 100 milliseconds by default. It doubles with
    /// each attempt.
    /// </summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The most that <see cref="Delay"/> grows to, up to a day; 5 seconds by default.</summary>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How many retries of unary calls a client has in store, over all its calls, so that an outage is not made worse; 200 by default, at most a million. A retry takes one; ten
    /// calls that succeed give one back.
    /// </summary>
    public int Budget { get; set; } = 200;
}

/// <summary>
/// When GetFeature is sent again before there is an answer. The first answer counts, and the other attempts are cancelled. Each attempt beside the first takes a retry of
/// <see cref="RetryOptions.Budget"/>; where all of them fail, they are one attempt to <see cref="RetryOptions"/>.
/// </summary>
public sealed record HedgingOptions
{
    /// <summary>After how long, zero for at once; 100 milliseconds by default. The service's 95th percentile is a good choice.</summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How often, from 1 to 10; once by default.</summary>
    public int MaxHedges { get; set; } = 1;
}

/// <summary>When unary calls are no longer sent.</summary>
public sealed record CircuitBreakerOptions
{
    /// <summary>The part of the attempts that has to fail, as UNAVAILABLE or DEADLINE_EXCEEDED: more than 0 and at most 1; 0.5 by default.</summary>
    public double FailureRatio { get; set; } = 0.5;

    /// <summary>The attempts that there have to be in a <see cref="Period"/>, 2 or more; 20 by default.</summary>
    public int MinimumCalls { get; set; } = 20;

    /// <summary>The time that is looked at, half a second or more; 10 seconds by default.</summary>
    public TimeSpan Period { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long no call is sent, half a second or more; 5 seconds by default. Then one is, and decides.</summary>
    public TimeSpan OpenFor { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>Certificates, as PEM files, read when the client is made.</summary>
public sealed record TlsOptions
{
    /// <summary>The authorities that the server's certificate may be from; null, the default, for those of the machine.</summary>
    public string? AuthorityFile { get; set; }

    /// <summary>The certificate that this client shows (mTLS), with its chain; null, the default, for none.</summary>
    public string? ClientCertificateFile { get; set; }

    /// <summary>Its private key; null, the default, where it is in the same file.</summary>
    public string? ClientKeyFile { get; set; }
}
