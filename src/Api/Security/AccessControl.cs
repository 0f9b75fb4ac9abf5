using System.Collections.Frozen;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Status = Grpc.Core.Status;

namespace RouteService.Api.Security;

/// <summary>Lets a call in, or says why not: who it is from (<see cref="AuthOptions"/>), whether they may, and whether they call too often (<see cref="LimitOptions"/>).</summary>
internal sealed partial class AccessControl(AuthOptions auth, CallerDirectory callers, CallLimiter limiter, ILogger<AccessControl> logger) : Interceptor
{
    private const string ApiKeyHeader = "x-api-key";
    private const string Bearer = "Bearer ";
    private const string Health = "/grpc.health.v1.Health/";
    private const string Reflection = "/grpc.reflection.";

    /// <summary>What a method asks for. Those that are not here ask for any caller.</summary>
    private static readonly FrozenDictionary<string, string> Scopes = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["/routeguide.RouteGuide/GetFeature"] = Scope.Read,
        ["/routeguide.RouteGuide/ListFeatures"] = Scope.Read,
        ["/routeguide.RouteGuide/RecordRoute"] = Scope.Write,
        ["/routeguide.RouteGuide/RouteChat"] = Scope.Chat,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        return await continuation(request, context);
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        return await continuation(requestStream, context);
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        await continuation(request, responseStream, context);
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        await continuation(requestStream, responseStream, context);
    }

    private async ValueTask AdmitAsync(ServerCallContext context)
    {
        var isHealth = context.Method.StartsWith(Health, StringComparison.Ordinal);
        var client = ClientAddress.Of(context.Peer);
        if (auth.Enabled
            && !(auth.AnonymousHealth && isHealth)
            && !(auth.AnonymousReflection && context.Method.StartsWith(Reflection, StringComparison.Ordinal)))
        {
            client = (await AuthorizeAsync(context, client)).Name;
        }

        // A probe that is refused would take the service down for everybody.
        if (!isHealth && !limiter.TryTake(client, out var retryAfter))
        {
            throw TooOften(retryAfter);
        }
    }

    private async ValueTask<Caller> AuthorizeAsync(ServerCallContext context, string address)
    {
        var (caller, refusal) = await AuthenticateAsync(context.RequestHeaders);
        if (caller is null)
        {
            Log.Unauthenticated(logger, context.Method, address, refusal!);
            throw Refused(StatusCode.Unauthenticated, refusal!, "UNAUTHENTICATED");
        }

        if (Scopes.TryGetValue(context.Method, out var scope) && !caller.Scopes.Contains(scope))
        {
            var description = $"{context.Method} wants the scope {scope}, and '{caller.Name}' does not have it.";
            Log.Forbidden(logger, description);
            throw Refused(StatusCode.PermissionDenied, description, "SCOPE_MISSING");
        }

        return caller;
    }

    private async ValueTask<(Caller? Caller, string? Refusal)> AuthenticateAsync(Metadata headers)
    {
        if (headers.GetValue(ApiKeyHeader) is { } key)
        {
            return callers.ByApiKey(key);
        }

        return headers.GetValue("authorization") is { } authorization && authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            ? await callers.ByTokenAsync(authorization[Bearer.Length..].Trim())
            : (null, $"This call wants credentials: {callers.Wanted}.");
    }

    private static RpcException TooOften(TimeSpan retryAfter)
    {
        var details = new Google.Rpc.Status
        {
            Code = (int)StatusCode.ResourceExhausted,
            Message = "This client calls more often than it may; call again a little later.",
            Details = { Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(retryAfter) }) },
        };
        return new RpcException(new Status(StatusCode.ResourceExhausted, details.Message), new Metadata
        {
            { "grpc-status-details-bin", details.ToByteArray() },

            // What clients with a retry policy obey (gRFC A6).
            { "grpc-retry-pushback-ms", Math.Ceiling(retryAfter.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture) },
        });
    }

    private static RpcException Refused(StatusCode code, string description, string reason)
    {
        var details = new Google.Rpc.Status
        {
            Code = (int)code,
            Message = description,
            Details = { Any.Pack(new ErrorInfo { Reason = reason, Domain = "routeservice" }) },
        };
        return new RpcException(new Status(code, description), new Metadata { { "grpc-status-details-bin", details.ToByteArray() } });
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Method}: refused to {Address}: {Refusal}")]
        public static partial void Unauthenticated(ILogger logger, string method, string address, string refusal);

        [LoggerMessage(2, LogLevel.Information, "{Refusal}")]
        public static partial void Forbidden(ILogger logger, string refusal);
    }
}
