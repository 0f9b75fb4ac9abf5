using System.Globalization;
using System.Text;
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
/// Destinations of telemetry: OTLP, set by OpenTelemetry's own variables, and Prometheus. OTLP is off until an endpoint is set:
/// OTEL_EXPORTER_OTLP_ENDPOINT for all signals, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and so on for one. The SDK's exporter of a signal
/// reads the variables for all signals, but not those for one signal.
/// </summary>
internal sealed class TelemetrySettings
{
    private const string Prefix = "OTEL_EXPORTER_OTLP_";

    // The SDK's own defaults.
    private const int DefaultQueue = 2_048;
    private const int DefaultBatch = 512;

    private static readonly (string Variable, string[] Values)[] Choices =
    [
        ("OTEL_SDK_DISABLED", ["true", "false"]),
        ("OTEL_TRACES_SAMPLER",
        [
            "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
        ]),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", ["cumulative", "delta", "lowmemory"]),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]),
        ("OTEL_METRICS_EXEMPLAR_FILTER", ["always_on", "always_off", "trace_based"]),
    ];

    private static readonly string[] PositiveIntegers =
    [
        "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT",
        .. from processor in (string[])["OTEL_BSP", "OTEL_BLRP"]
           from setting in (string[])["SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"]
           select $"{processor}_{setting}",
    ];

    private static readonly string[] Limits =
    [
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    ];

    private readonly IConfiguration _configuration;
    private readonly bool _disabled;

    /// <param name="configuration">Configuration with the variables.</param>
    /// <param name="prometheus">Whether Prometheus scrapes, unless OTEL_SDK_DISABLED.</param>
    /// <exception cref="SettingException">
    /// A variable has a value that the exporter would silently ignore, or fail on with a stack trace.
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
            Check(
                $"{prefix}HEADERS",
                AreHeaders,
                "expected name=value, further ones after commas, that HTTP can carry; without quotes",
                secret: true);
        }

        foreach (var file in (string[])["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"])
        {
            Check($"{Prefix}{file}", File.Exists, "expected a file that exists");
            foreach (var signal in Enum.GetValues<Signal>())
            {
                Check($"{PrefixOf(signal)}{file}", static _ => false, $"expected none: {Prefix}{file} is that of all signals");
            }
        }

        foreach (var signal in Enum.GetValues<Signal>())
        {
            Check(ExporterOf(signal), static value => value.Trim() is "otlp" or "none", "expected otlp or none");
        }

        // The SDK treats values of these that it cannot use as unset.
        foreach (var (variable, values) in Choices)
        {
            Check(
                variable,
                value => values.Contains(value.Trim(), StringComparer.OrdinalIgnoreCase),
                $"expected {string.Join(", ", values[..^1])} or {values[^1]}");
        }

        foreach (var variable in PositiveIntegers)
        {
            Check(variable, IsPositive, "expected an integer from 1");
        }

        foreach (var variable in Limits)
        {
            Check(variable, IsNotNegative, "expected an integer from 0");
        }

        Check("OTEL_TRACES_SAMPLER_ARG", IsRatio, "expected a number from 0 to 1");
        Check("OTEL_RESOURCE_ATTRIBUTES", ArePairs, "expected name=value, further ones after commas");
        CheckBatch("OTEL_BSP");
        CheckBatch("OTEL_BLRP");
    }

    /// <summary>Whether Prometheus can scrape the metrics.</summary>
    public bool Prometheus { get; }

    /// <summary>Whether any signal is sent by OTLP.</summary>
    public bool ExportsAny => Enum.GetValues<Signal>().Any(Exports);

    public bool Exports(Signal signal) => EndpointOf(signal) is not null;

    /// <summary>Applies the variables of the signal, which the exporter does not read.</summary>
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

    /// <summary>The signals and their endpoints, for the start-up lines.</summary>
    public override string ToString() => string.Join(
        ", ",
        from signal in Enum.GetValues<Signal>()
        where Exports(signal)
        select $"{signal.ToString().ToLowerInvariant()} to {Redacted.Url(EndpointOf(signal)!)}");

    private static string ExporterOf(Signal signal) => $"OTEL_{signal.ToString().ToUpperInvariant()}_EXPORTER";

    private static string PrefixOf(Signal signal) => $"{Prefix}{signal.ToString().ToUpperInvariant()}_";

    private static bool IsHttp(string value) =>
        Uri.TryCreate(value, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";

    private static bool IsPositive(string value) => int.TryParse(value, CultureInfo.InvariantCulture, out var number) && number > 0;

    private static bool IsNotNegative(string value) =>
        int.TryParse(value, CultureInfo.InvariantCulture, out var number) && number >= 0;

    private static bool IsRatio(string value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 1;

    private static bool ArePairs(string value) =>
        Array.TrueForAll(Uri.UnescapeDataString(value).Split(','), static pair => pair.Contains('=', StringComparison.Ordinal));

    // The exporter would send nothing, and not say so.
    private static bool AreHeaders(string value) =>
        ArePairs(value) && Array.TrueForAll(Uri.UnescapeDataString(value).Split(','), IsHeader);

    private static bool IsHeader(string pair)
    {
        var end = pair.IndexOf('=', StringComparison.Ordinal);
        var (name, value) = (pair[..end].Trim(), pair[(end + 1)..].Trim());
        using var request = new HttpRequestMessage();
        try
        {
            request.Headers.Add(name, value);
            return Ascii.IsValid(value);
        }
        catch (Exception e) when (e is FormatException or ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    // An empty endpoint of a signal turns the signal off, also if an endpoint for all signals is set.
    private string? EndpointOf(Signal signal)
    {
        var endpoint = _configuration[$"{PrefixOf(signal)}ENDPOINT"] ?? _configuration[$"{Prefix}ENDPOINT"];
        return _disabled || string.IsNullOrWhiteSpace(endpoint) || Value(ExporterOf(signal))?.Trim() is "none" ? null : endpoint;
    }

    private string? Value(string variable) => _configuration[variable] is { } value && !string.IsNullOrWhiteSpace(value) ? value : null;

    // The SDK would throw, with a message that names no variable.
    private void CheckBatch(string processor)
    {
        if (_disabled)
        {
            return;
        }

        var queue = Integer($"{processor}_MAX_QUEUE_SIZE") ?? DefaultQueue;
        if ((Integer($"{processor}_MAX_EXPORT_BATCH_SIZE") ?? DefaultBatch) > queue)
        {
            throw new SettingException(
                $"{processor}_MAX_EXPORT_BATCH_SIZE is greater than {processor}_MAX_QUEUE_SIZE, {queue}; expected at most that.");
        }

        int? Integer(string variable) => Value(variable) is { } value ? int.Parse(value, CultureInfo.InvariantCulture) : null;
    }

    private void Check(string variable, Func<string, bool> isValid, string expected, bool secret = false)
    {
        if (!_disabled && Value(variable) is { } value && !isValid(value))
        {
            throw new SettingException(
                secret ? $"{variable} is malformed; {expected}." : $"{variable} is '{Redacted.Url(value)}'; {expected}.");
        }
    }
}
