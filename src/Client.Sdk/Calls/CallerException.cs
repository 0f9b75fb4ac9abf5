namespace RouteService.Client.Calls;

/// <summary>
/// Carries an exception of code that the caller has given, such as what it sends, past the rules for failures of calls: it is no reason for
/// a retry, and <see cref="CallContext.End"/> throws it as it is, also if it is an RpcException.
/// </summary>
internal sealed class CallerException(Exception cause) : Exception(cause.Message, cause)
{
    public Exception Cause { get; } = cause;
}
