using System.Globalization;
using Grpc.Core;

namespace RouteService.Client;

/// <summary>
/// A call of RouteService failed. <see cref="Reason"/> says why, and <see cref="IsTransient"/> whether the same call may succeed later.
/// </summary>
/// <remarks>
/// <see cref="Exception.InnerException"/> is the <see cref="RpcException"/> of the last attempt. It is null, or another exception, if no
/// attempt has ended with a status: for <see cref="FailureReason.CircuitOpen"/>, for example.
/// </remarks>
public sealed class RouteServiceException : Exception
{
    private static readonly string[] StatusNames =
    [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    ];

    /// <param name="reason">Reason of the failure.</param>
    /// <param name="message">Description of the failure.</param>
    /// <param name="innerException">Cause, as for <see cref="Exception.InnerException"/>; null if there is none.</param>
    public RouteServiceException(FailureReason reason, string message, Exception? innerException = null)
        : base(message, innerException) => Reason = reason;

    /// <summary>Reason of the failure.</summary>
    public FailureReason Reason { get; }

    /// <summary>
    /// Whether the same call may succeed later, although it was retried already: true for <see cref="FailureReason.Unavailable"/>,
    /// <see cref="FailureReason.DeadlineExceeded"/>, <see cref="FailureReason.Exhausted"/>, <see cref="FailureReason.Stalled"/> and
    /// <see cref="FailureReason.CircuitOpen"/>.
    /// </summary>
    public bool IsTransient => Reason is FailureReason.Unavailable or FailureReason.DeadlineExceeded or FailureReason.Exhausted
        or FailureReason.Stalled or FailureReason.CircuitOpen;

    /// <summary>gRPC status of the last attempt. Null if no attempt has ended with one.</summary>
    public StatusCode? StatusCode { get; init; }

    /// <summary>Name of <see cref="StatusCode"/> in the gRPC specification, such as <c>UNAVAILABLE</c>. Empty if that is null.</summary>
    public string Status => StatusCode is { } code ? NameOf(code) : "";

    /// <summary>Trailers of the last attempt. Empty if the server has sent none.</summary>
    public Metadata Trailers { get; init; } = Metadata.Empty;

    /// <summary>Text of the server, or of the transport, about the failure of the last attempt.</summary>
    public string Detail { get; init; } = "";

    /// <summary>Fields of the request that the service rejected. Empty if it names none.</summary>
    public IReadOnlyList<FieldViolation> FieldViolations { get; init; } = [];

    /// <summary>
    /// The feature that the failure is about, for <see cref="FailureReason.NotFound"/>, <see cref="FailureReason.AlreadyExists"/> and
    /// <see cref="FailureReason.Conflict"/>: in a batch it says which. Null otherwise.
    /// </summary>
    public Coordinate? Location { get; init; }

    /// <summary>
    /// The current <see cref="CatalogFeature.Etag"/> of that feature, for <see cref="FailureReason.AlreadyExists"/> and
    /// <see cref="FailureReason.Conflict"/>. Null if there is no feature.
    /// </summary>
    public string? CurrentEtag { get; init; }

    /// <summary>Number of attempts that were sent; 0 for none.</summary>
    public int Attempts { get; init; }

    /// <summary>
    /// Progress of a stream: features that ListFeaturesAsync delivered or StreamFeaturesAsync received, changes of WatchFeaturesAsync,
    /// points or features that the last attempt of RecordRouteAsync or ImportFeaturesAsync sent, or notes that a chat session received.
    /// </summary>
    public long Delivered { get; init; }

    /// <summary>Time to wait before the next attempt, as the service asks. Null if it does not ask.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Name of a code in the specification ("Status codes and their use in gRPC").</summary>
    internal static string NameOf(StatusCode code) => StatusNames[(int)code];

    internal static string Describe(string method, FailureReason reason, StatusCode? status, string detail, int attempts)
    {
        var with = status is { } code ? $" with {NameOf(code)}" : "";
        var after = attempts > 1 ? string.Create(CultureInfo.InvariantCulture, $" after {attempts} attempts") : "";
        var text = detail.Length > 0 ? detail : "no reason was given.";
        return $"{method} failed{with}{after}: {text} {Advice(reason)}".TrimEnd();
    }

    /// <summary>The same failure, to be thrown in another place as well.</summary>
    internal RouteServiceException Copy() => new(Reason, Message, InnerException)
    {
        StatusCode = StatusCode,
        Trailers = Trailers,
        Detail = Detail,
        FieldViolations = FieldViolations,
        Location = Location,
        CurrentEtag = CurrentEtag,
        Attempts = Attempts,
        Delivered = Delivered,
        RetryAfter = RetryAfter,
    };

    private static string Advice(FailureReason reason) => reason switch
    {
        FailureReason.Unavailable => "Check the address and whether the service is up, or try later.",
        FailureReason.DeadlineExceeded => "Give the call more time, or try later.",
        FailureReason.Exhausted => "Stay below the limit, or try later.",
        FailureReason.InvalidRequest => "Change the request before it is sent again.",
        FailureReason.Unauthenticated => "Set BearerToken, or a client certificate, to what the service accepts.",
        FailureReason.PermissionDenied => "Grant the calling identity the required permission.",
        FailureReason.Unimplemented => "Check that a RouteService is at the address, and that it is new enough.",
        FailureReason.Stalled => "The server or the network is stuck; try later.",
        FailureReason.CircuitOpen => "It closes again when the service answers.",
        FailureReason.Conflict => "Read the feature, and make the change again.",
        FailureReason.CannotResume => "Ask for smaller areas, or raise MaxResumableFeatures.",
        _ => "",
    };
}
