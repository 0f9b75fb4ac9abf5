namespace RouteService.Client;

/// <summary>Why a call has failed.</summary>
public enum FailureReason
{
    /// <summary>The service did what it should not (INTERNAL, UNKNOWN, DATA_LOSS), or answered by a code that it has no use for.</summary>
    Unexpected,

    /// <summary>The service cannot be reached, or cannot answer now (UNAVAILABLE).</summary>
    Unavailable,

    /// <summary>The call's time was over, here or with the service (DEADLINE_EXCEEDED).</summary>
    DeadlineExceeded,

    /// <summary>The service, or what is allowed to this client, is exhausted (RESOURCE_EXHAUSTED).</summary>
    Exhausted,

    /// <summary>The service takes the request for wrong (INVALID_ARGUMENT, OUT_OF_RANGE, FAILED_PRECONDITION); the field violations say what.</summary>
    InvalidRequest,

    /// <summary>The service does not know who calls (UNAUTHENTICATED).</summary>
    Unauthenticated,

    /// <summary>Whoever calls may not (PERMISSION_DENIED).</summary>
    PermissionDenied,

    /// <summary>The server has no such call (UNIMPLEMENTED): it is not RouteService, or an older one.</summary>
    Unimplemented,

    /// <summary>The server said nothing on a stream for longer than it may.</summary>
    Stalled,

    /// <summary>The circuit breaker is open: nothing was sent.</summary>
    CircuitOpen,

    /// <summary>A stream broke after so many items that which they were is no longer known.</summary>
    CannotResume,
}
