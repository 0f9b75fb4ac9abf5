using System.Globalization;

namespace RouteService.Client;

/// <summary>
/// A call of RouteService failed. <see cref="Reason"/> says why, and <see cref="IsTransient"/> whether the same call may succeed later.
/// </summary>
public sealed class RouteServiceException : Exception
{
    /// <param name="reason">Reason of the failure.</param>
    /// <param name="message">Description of the failure.</param>
    /// <param name="innerException">Cause; null if there is none.</param>
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

    /// <summary>Name of the gRPC status of the last attempt, such as <c>UNAVAILABLE</c>. Empty if there was none.</summary>
    public string Status { get; init; } = "";

    /// <summary>Text of the server, or of the transport, about the failure of the last attempt.</summary>
    public string Detail { get; init; } = "";

    /// <summary>Fields of the request that the service rejected. Empty if it names none.</summary>
    public IReadOnlyList<FieldViolation> FieldViolations { get; init; } = [];

    /// <summary>Number of attempts that were sent; 0 for none.</summary>
    public int Attempts { get; init; }

    /// <summary>
    /// Progress of a stream: features that ListFeaturesAsync delivered, points that the last attempt of RecordRouteAsync sent, or notes
    /// that a chat session received.
    /// </summary>
    public long Delivered { get; init; }

    /// <summary>Time to wait before the next attempt, as the service asks. Null if it does not ask.</summary>
    public TimeSpan? RetryAfter { get; init; }

    internal static string Describe(string method, FailureReason reason, string status, string detail, int attempts)
    {
        var with = status.Length > 0 ? $" with {status}" : "";
        var after = attempts > 1 ? string.Create(CultureInfo.InvariantCulture, $" after {attempts} attempts") : "";
        return $"{method} failed{with}{after}: {(detail.Length > 0 ? detail : "no reason was given.")} {Advice(reason)}".TrimEnd();
    }

    private static string Advice(FailureReason reason) => reason switch
    {
        FailureReason.Unavailable => "Is the address right and the service up? It may work later.",
        FailureReason.DeadlineExceeded => "Give the call more time, or try later.",
        FailureReason.Exhausted => "Call less often, or try later.",
        FailureReason.InvalidRequest => "The request has to change before it is sent again.",
        FailureReason.Unauthenticated => "Set BearerToken, or a client certificate, to what the service accepts.",
        FailureReason.PermissionDenied => "Grant the calling identity the required permission.",
        FailureReason.Unimplemented => "Is there a RouteService, and one new enough, at this address?",
        FailureReason.Stalled => "The server or the network is stuck; it may work later.",
        FailureReason.CircuitOpen => "It closes again when the service answers.",
        FailureReason.CannotResume => "Ask for smaller areas, or raise MaxResumableFeatures.",
        _ => "",
    };
}
