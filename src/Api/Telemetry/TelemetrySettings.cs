using System.Globalization;
using OpenTelemetry.Exporter;
using RouteService.Api.Errors;

namespace RouteService.Api.Telemetry;

internal enum Signal
{
    Traces,
    Metrics,
    Logs,
}

/// <summary>
/// Where telemetry goes: by OTLP, as OpenTelemetry's own variables say, and to Prometheus. By OTLP nothing goes anywhere until there is an
/// endpoint, OTEL_EXPORTER_OTLP_ENDPOINT for all signals or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and so on for one. The SDK's exporter of a
/// signal reads the variables for all signals by itself, and those for one not at all.
/// </summary>
internal sealed class TelemetrySettings
{
    private const string Prefix = "OTEL_EXPORTER_OTLP_";

    private readonly IConfiguration _configuration;
    private readonly bool _disabled;

    /// <param name="configuration">Has the variables.</param>
    /// <param name="prometheus">Whether Prometheus scrapes, unless OTEL_SDK_DISABLED.</param>
    /// <exception cref="SettingException">
    /// A variable has a value that the exporter would ignore in silence, or fail on with a stack trace.
    /// </exception>
    public TelemetrySettings(IConfiguration configuration, bool prometheus = false)
    {
        _configuration = configuration;
        _disabled = string.Equals(configuration["OTEL_SDK_DISABLED"], "true", StringComparison.OrdinalIgnoreCase);
        Prometheus = prometheus && !_disabled;
        foreach (var prefix in (string[])[Prefix, .. Enum.GetValues<Signal>().Select(PrefixOf)])
        {
            Check($"{prefix}ENDPOINT", IsHttp, "expected an http or https URI such as http://localhost:4317");
            Check($"{prefix}PROTOCOL", static value => value.Trim() is "grpc" or "http/protobuf", "expected grpc or http/protobuf");
            Check($"{prefix}TIMEOUT", IsPositive, "expected milliseconds");
            Check($"{prefix}COMPRESSION", static value => value.Trim() is "none" or "gzip", "expected none or gzip");

            // Its value is a secret.
            Check($"{prefix}HEADERS", AreHeaders, "expected name=value, further ones after commas", secret: true);
        }
    }

    /// <summary>Whether Prometheus can scrape the metrics.</summary>
    public bool Prometheus { get; }

    /// <summary>Whether any signal is sent by OTLP.</summary>
    public bool ExportsAny => Enum.GetValues<Signal>().Any(Exports);

    public bool Exports(Signal signal) => EndpointOf(signal) is not null;

    /// <summary>Sets what the variables of the signal say, which the exporter does not read.</summary>
    public void Configure(Signal signal, OtlpExporterOptions options)
    {
        var prefix = PrefixOf(signal);
        if (Value($"{prefix}ENDPOINT") is { } endpoint)
        {
            options.Endpoint = new Uri(endpoint);
        }

        if (Value($"{prefix}PROTOCOL") is { } protocol)
        {
            options.Protocol = protocol.Trim() is "grpc" ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        }

        if (Value($"{prefix}TIMEOUT") is { } timeout)
        {
            options.TimeoutMilliseconds = int.Parse(timeout, CultureInfo.InvariantCulture);
        }

        if (Value($"{prefix}COMPRESSION") is { } compression)
        {
            options.Compression = compression.Trim() is "gzip" ? OtlpExportCompression.GZip : OtlpExportCompression.None;
        }

        options.Headers = Value($"{prefix}HEADERS") ?? options.Headers;
    }

    /// <summary>Which signals go where, for the start-up lines.</summary>
    public override string ToString() => string.Join(
        ", ",
        from signal in Enum.GetValues<Signal>()
        where Exports(signal)
        select $"{signal.ToString().ToLowerInvariant()} to {Redacted.Url(EndpointOf(signal)!)}");

    private static string PrefixOf(Signal signal) => $"{Prefix}{signal.ToString().ToUpperInvariant()}_";

    private static bool IsHttp(string value) =>
        Uri.TryCreate(value, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";

    private static bool IsPositive(string value) => int.TryParse(value, CultureInfo.InvariantCulture, out var number) && number > 0;

    private static bool AreHeaders(string value) =>
        Array.TrueForAll(Uri.UnescapeDataString(value).Split(','), static pair => pair.Contains('=', StringComparison.Ordinal));

    // An empty endpoint of a signal turns the signal off, also where there is an endpoint for all.
    private string? EndpointOf(Signal signal)
    {
        var endpoint = _configuration[$"{PrefixOf(signal)}ENDPOINT"] ?? _configuration[$"{Prefix}ENDPOINT"];
        return _disabled || string.IsNullOrWhiteSpace(endpoint) ? null : endpoint;
    }

    private string? Value(string variable) => _configuration[variable] is { } value && !string.IsNullOrWhiteSpace(value) ? value : null;

    private void Check(string variable, Func<string, bool> isValid, string expected, bool secret = false)
    {
        if (!_disabled && Value(variable) is { } value && !isValid(value))
        {
            throw new SettingException(
                secret ? $"{variable} is malformed; {expected}." : $"{variable} is '{Redacted.Url(value)}'; {expected}.");
        }
    }
}
