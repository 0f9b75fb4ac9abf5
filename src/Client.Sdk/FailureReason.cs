namespace RouteService.Client;

/// <summary>Why a call failed.</summary>
public enum FailureReason
{
    /// <summary>Unexpected server error (INTERNAL, UNKNOWN, DATA_LOSS, or an unmapped status).</summary>
    Unexpected,

    /// <summary>The service is unreachable, or cannot answer at present (UNAVAILABLE).</summary>
    Unavailable,

    /// <summary>The deadline passed, at the client or at the service (DEADLINE_EXCEEDED).</summary>
    DeadlineExceeded,

    /// <summary>The service is overloaded, or a limit of this client is reached (RESOURCE_EXHAUSTED).</summary>
    Exhausted,

    /// <summary>
    /// The service rejected the request as invalid (INVALID_ARGUMENT, OUT_OF_RANGE, FAILED_PRECONDITION); the field violations say why.
    /// </summary>
    InvalidRequest,

    /// <summary>The credentials are missing or invalid (UNAUTHENTICATED).</summary>
    Unauthenticated,

    /// <summary>The caller lacks a required permission (PERMISSION_DENIED).</summary>
    PermissionDenied,

    /// <summary>The server does not implement the call (UNIMPLEMENTED): it is not RouteService, or an older version of it.</summary>
    Unimplemented,

    /// <summary>The server was silent on a stream for longer than <see cref="RouteServiceClientOptions.StreamSilence"/>.</summary>
    Stalled,

    /// <summary>The circuit breaker is open; nothing was sent.</summary>
    CircuitOpen,

    /// <summary>
    /// A listing broke after more than <see cref="RouteServiceClientOptions.MaxResumableFeatures"/> features, so it cannot resume without
    /// repeating some.
    /// </summary>
    CannotResume,

    /// <summary>There is no such feature (NOT_FOUND).</summary>
    NotFound,

    /// <summary>The feature that was to be created exists (ALREADY_EXISTS).</summary>
    AlreadyExists,

    /// <summary>
    /// The feature is not the version of the etag any more (ABORTED); <see cref="RouteServiceException.CurrentEtag"/> is the current one.
    /// </summary>
    Conflict,
}
