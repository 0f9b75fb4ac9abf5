using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>Shared by all calls of one client: options, the metadata of each attempt, and the end of calls.</summary>
/// <param name="options">Validated options.</param>
/// <param name="isDisposed">Whether the client is disposed.</param>
/// <param name="server">Address of the server in traces and metrics; null if it is unknown.</param>
/// <param name="logger">Logger of the client.</param>
internal sealed class CallContext(RouteServiceClientOptions options, Func<bool> isDisposed, Uri? server, ILogger logger)
{
    // Grpc.Net.Client chooses the encoding of requests by this metadata, which it does not send.
    private const string RequestEncoding = "grpc-internal-encoding-request";
    private const string PreviousAttempts = "grpc-previous-rpc-attempts";

    public RouteServiceClientOptions Options { get; } = options;

    public Uri? Server { get; } = server;

    public ILogger Logger { get; } = logger;

    /// <summary>Options of an attempt: metadata, deadline and token.</summary>
    /// <param name="lifetime">The call's.</param>
    /// <param name="previousAttempts">Attempts that were sent before.</param>
    /// <param name="extra">Metadata of the call; null for none.</param>
    /// <param name="cancellationToken">The attempt's.</param>
    public ValueTask<CallOptions> OptionsAsync(
        CallLifetime lifetime, int previousAttempts, Metadata? extra, CancellationToken cancellationToken)
    {
        var headers = extra;
        if (Options.Compress)
        {
            (headers ??= []).Add(RequestEncoding, "gzip");
        }

        if (previousAttempts > 0)
        {
            (headers ??= []).Add(PreviousAttempts, previousAttempts.ToString(CultureInfo.InvariantCulture));
        }

        if (Activity.Current is { } activity)
        {
            // Injected here: HTTP would put a span of its own between the caller's and the server's (ServiceChannel).
            DistributedContextPropagator.Current.Inject(
                activity, headers ??= [], static (headers, key, value) => ((Metadata)headers!).Add(key, value));
        }

        return Options.BearerToken is null
            ? new(NewOptions(headers, lifetime, cancellationToken))
            : new(WithTokenAsync(headers ?? [], lifetime, cancellationToken));
    }

    /// <summary>The coordinate of a point that the service sent.</summary>
    /// <exception cref="RpcException">The point is out of range.</exception>
    public static Coordinate ToCoordinate(Point? location)
    {
        var (latitude, longitude) = (location?.Latitude ?? 0, location?.Longitude ?? 0);
        return Coordinate.AreInRange(latitude, longitude)
            ? Coordinate.FromE7(latitude, longitude)
            : throw new RpcException(new Status(
                StatusCode.Internal,
                FormattableString.Invariant($"The server has sent the location {latitude},{longitude} in E7, which is out of range.")));
    }

    public static Point ToPoint(Coordinate location) => new() { Latitude = location.LatitudeE7, Longitude = location.LongitudeE7 };

    /// <summary>
    /// The exception that ends a call: one of the caller's own code as it is, cancellation, disposal, or a failure of the service, whose
    /// reason is <paramref name="reason"/>, or by default that of its status.
    /// </summary>
    public Exception End(
        string method, Exception failure, int attempts, long delivered, CallLifetime lifetime, FailureReason? reason = null)
    {
        if (failure is CallerException callers)
        {
            return callers.Cause;
        }

        if (lifetime.IsCancelled)
        {
            return lifetime.ToException(failure);
        }

        if (isDisposed())
        {
            return new ObjectDisposedException("The RouteServiceClient was disposed of while the call ran.", failure);
        }

        var rpc = failure is OperationCanceledException && lifetime.IsLate ? CallFailure.Late(failure) : failure as RpcException;
        if (rpc is null)
        {
            return failure;
        }

        var end = CallFailure.ToException(method, rpc, attempts, delivered, reason);

        // An answer about the feature is none of the service's failures.
        if (end.Reason is not (FailureReason.NotFound or FailureReason.AlreadyExists or FailureReason.Conflict))
        {
            ClientLog.Failed(Logger, method, attempts, delivered, end.Reason, end.Detail);
        }

        return end;
    }

    private async Task<CallOptions> WithTokenAsync(Metadata headers, CallLifetime lifetime, CancellationToken cancellationToken)
    {
        try
        {
            // The call ends even if BearerToken ignores its token.
            var coming = Options.BearerToken!(cancellationToken);
            var token = coming.IsCompleted
                ? await coming.ConfigureAwait(false)
                : await coming.AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
            if (!string.IsNullOrEmpty(token))
            {
                headers.Add("authorization", $"Bearer {token}");
            }
        }
        catch (RpcException e) when (!lifetime.IsEnd(e))
        {
            throw new CallerException(e);
        }
        catch (Exception e) when (lifetime.IsLate && lifetime.IsEnd(e))
        {
            throw new RpcException(new Status(
                StatusCode.DeadlineExceeded, "BearerToken has not returned a token before the call's deadline.", e));
        }

        return NewOptions(headers, lifetime, cancellationToken);
    }

    private CallOptions NewOptions(Metadata? headers, CallLifetime lifetime, CancellationToken cancellationToken) =>
        new(headers, lifetime.ToDeadline(), cancellationToken, credentials: Options.Credentials);
}
