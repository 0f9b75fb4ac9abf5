using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

/// <summary>
/// The signing keys of the issuer at a URL. They are fetched in the background: calls use the known keys, and do not wait for an issuer
/// that is down. (JwtBearer's ConfigurationManager fetches within calls, one after the other while the issuer does not answer, and refuses
/// the first tokens of a rotated key.)
/// </summary>
internal sealed partial class IssuerKeys : BackgroundService, IReloaded
{
    private const int MaxDocumentBytes = 1 << 20;

    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RefreshPeriod = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(5);

    private readonly Source _source;
    private readonly TimeProvider _clock;
    private readonly ILogger<IssuerKeys> _logger;
    private readonly HttpClient _http;
    private readonly Lock _gate = new();
    private Task? _fetch;
    private long? _lastRequest;
    private volatile Fetched? _current;
    private volatile bool _isFailing;
    private volatile int _version;

    public IssuerKeys(Source source, TimeProvider clock, ILogger<IssuerKeys> logger)
    {
        _source = source;
        _clock = clock;
        _logger = logger;
        _http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = !source.Url.IsLoopback,

            // Addresses are resolved again, since an issuer may move.
            PooledConnectionLifetime = RefreshPeriod,
        })
        {
            Timeout = RequestTimeout,
            MaxResponseContentBufferSize = MaxDocumentBytes,
        };
    }

    /// <summary>The newest keys; null before the first fetch has succeeded.</summary>
    public Fetched? Current => _current;

    /// <summary>Grows with each fetch.</summary>
    public int Version => _version;

    public string Setting => _source.Setting;

    /// <summary>Whether the keys may be out of date, because the issuer is unavailable.</summary>
    public bool IsStale => _isFailing || _current is null;

    /// <summary>
    /// Fetches again for a token whose key is unknown, because the issuer may have rotated its keys; at most once in
    /// <see cref="RetryPeriod"/>.
    /// </summary>
    /// <returns>Completes when no newer keys are available at present. Never fails.</returns>
    public Task RefreshAsync()
    {
        lock (_gate)
        {
            // While the issuer does not answer, the background retries; calls do not wait for that.
            if (_isFailing)
            {
                return Task.CompletedTask;
            }

            if (_fetch is { IsCompleted: true })
            {
                if (_lastRequest is { } last && _clock.GetElapsedTime(last) < RetryPeriod)
                {
                    return Task.CompletedTask;
                }

                _lastRequest = _clock.GetTimestamp();
            }

            return FetchOnceAsync();
        }
    }

    public override void Dispose()
    {
        _http.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_source.Url is { Scheme: "http" })
        {
            Log.NotEncrypted(_logger, _source.Shown);
        }

        using var timer = new PeriodicTimer(RetryPeriod, _clock);
        do
        {
            if (_isFailing || _current is not { } current || _clock.GetElapsedTime(current.Since) >= RefreshPeriod)
            {
                await FetchOnceAsync().WaitAsync(stoppingToken);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private Task FetchOnceAsync()
    {
        lock (_gate)
        {
            return _fetch is { IsCompleted: false } ? _fetch : _fetch = Task.Run(FetchAsync);
        }
    }

    private async Task FetchAsync()
    {
        try
        {
            var fetched = await ReadAsync();
            _current = fetched;
            _version++;
            if (_isFailing)
            {
                _isFailing = false;
                Log.Available(_logger, _source.Shown);
            }
        }
        catch (Exception e)
        {
            if (!_isFailing)
            {
                Log.Unavailable(_logger, _source.Shown, Redacted.Message(e.GetBaseException().Message.ReplaceLineEndings(" ")));
            }

            _isFailing = true;
        }
    }

    private async Task<Fetched> ReadAsync()
    {
        if (!_source.IsDiscovery)
        {
            return new Fetched(_clock.GetTimestamp(), null, BearerTokens.ParseJwks(await _http.GetStringAsync(_source.Url)));
        }

        var json = await _http.GetStringAsync(_source.Url);
        var document = BearerTokens.ParseOrNull(() => OpenIdConnectConfiguration.Create(json))
            ?? throw new FormatException("expected the discovery document of an OpenID Connect issuer.");
        var jwks = Source.Parse(document.JwksUri, _source.RequireHttps)
            ?? throw new FormatException($"its jwks_uri is '{document.JwksUri}'; expected an https URL.");
        return new Fetched(_clock.GetTimestamp(), document.Issuer, BearerTokens.ParseJwks(await _http.GetStringAsync(jwks)));
    }

    /// <summary>Source of the keys.</summary>
    /// <param name="Setting">Variable with the URL.</param>
    /// <param name="Url">The discovery document or the key set.</param>
    /// <param name="IsDiscovery">Whether the URL is that of a discovery document.</param>
    /// <param name="RequireHttps">Whether http is refused, except for loopback addresses.</param>
    public sealed record Source(string Setting, Uri Url, bool IsDiscovery, bool RequireHttps)
    {
        /// <summary>The URL, for the log.</summary>
        public string Shown => Redacted.Url(Url.ToString());

        /// <returns>The URL; null if it is not absolute or its scheme is refused.</returns>
        public static Uri? Parse(string? url, bool requireHttps) =>
            Uri.TryCreate(url, UriKind.Absolute, out var parsed)
            && (parsed is { Scheme: "https" } || (parsed is { Scheme: "http" } && (parsed.IsLoopback || !requireHttps)))
                ? parsed
                : null;
    }

    /// <param name="Since">The clock's timestamp of the fetch.</param>
    /// <param name="Issuer">Name of the issuer in its discovery document.</param>
    /// <param name="Keys">Its keys.</param>
    public sealed record Fetched(long Since, string? Issuer, IReadOnlyList<SecurityKey> Keys);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The signing keys at {Url} are available again.")]
        public static partial void Available(ILogger logger, string url);

        [LoggerMessage(2, LogLevel.Warning, "The signing keys at {Url} are unavailable; tokens of unknown keys are refused: {Reason}")]
        public static partial void Unavailable(ILogger logger, string url, string reason);

        [LoggerMessage(
            3, LogLevel.Warning, "The signing keys at {Url} are fetched without TLS; an attacker on the path can replace them.")]
        public static partial void NotEncrypted(ILogger logger, string url);
    }
}
