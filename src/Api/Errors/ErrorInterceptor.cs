using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Core.Interceptors;
using RouteService.Domain;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Watch;
using Status = Google.Rpc.Status;

namespace RouteService.Api.Errors;

/// <summary>
/// Maps the exceptions of domain and store to statuses, and binds request streams to the lifetime of the service. Other exceptions pass
/// through: the server logs them, and answers UNKNOWN without their text.
/// </summary>
internal sealed partial class ErrorInterceptor(StreamLifetime streams, LogThrottle throttle, ILogger<ErrorInterceptor> logger) : Interceptor
{
    /// <summary>The text of CANCELLED for a client that cannot read it.</summary>
    public const string ClientGone = "The client has ended the call, or its connection is lost.";

    /// <summary>The domain of the reasons in <see cref="ErrorInfo"/>.</summary>
    public const string ErrorDomain = "routeservice";

    // Pause that clients are asked for after the store has not answered.
    private static readonly Duration StoreRetryDelay = Duration.FromTimeSpan(TimeSpan.FromSeconds(1));

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (ToStatus(e, context) is { } status)
        {
            throw Failure(status, e, context);
        }
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var requests = streams.Bind(requestStream);
        try
        {
            return await continuation(requests, context);
        }
        catch (Exception e) when (ToStatus(e, context) is { } status)
        {
            throw Failure(status, e, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (ToStatus(e, context) is { } status)
        {
            throw Failure(status, e, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var requests = streams.Bind(requestStream);
        try
        {
            await continuation(requests, responseStream, context);
        }
        catch (Exception e) when (ToStatus(e, context) is { } status)
        {
            throw Failure(status, e, context);
        }
    }

    /// <summary>The status of an exception of the service; null for any other exception.</summary>
    private static Status? ToStatus(Exception exception, ServerCallContext context) => exception switch
    {
        InvalidRequestException invalid => Invalid(invalid.Field, invalid.Message),
        InvalidValueException invalid => Invalid(invalid.Place, invalid.Message),
        FeatureConflictException { Conflict: FeatureConflict.Missing } missing => Of(
            Code.NotFound, missing.Message, FeatureReason("FEATURE_NOT_FOUND", missing)),
        FeatureConflictException { Conflict: FeatureConflict.Exists } exists => Of(
            Code.AlreadyExists, exists.Message, FeatureReason("FEATURE_EXISTS", exists)),
        FeatureConflictException changed => Of(Code.Aborted, changed.Message, FeatureReason("FEATURE_CHANGED", changed)),
        ChatLimitException { Limit: ChatLimit.MessageBytes } limit => Invalid(
            "message", $"message has {limit.Value} bytes of UTF-8; expected at most {limit.Maximum}."),
        ChatLimitException { Limit: ChatLimit.IdBytes } limit => Invalid(
            "note_id", $"note_id has {limit.Value} bytes of UTF-8; expected at most {limit.Maximum}."),
        ChatLimitException { Limit: ChatLimit.StreamsPerClient } limit => Of(
            Code.ResourceExhausted,
            $"This client has {limit.Maximum} RouteChat streams open, the limit for one client; end another first.",
            Reason("CHAT_STREAMS_PER_CLIENT", ("limit", limit.Maximum))),
        ChatLimitException { Limit: ChatLimit.SecondsBehind } limit => Of(
            Code.ResourceExhausted,
            $"This stream has been behind for {limit.Maximum} seconds; open another, and read it faster.",
            Reason("CHAT_SLOW_CONSUMER", ("limit", limit.Maximum))),
        ChatLimitException limit => Of(
            Code.ResourceExhausted,
            $"This stream is at {limit.Maximum} locations, the limit for one stream; open another.",
            Reason("CHAT_LOCATIONS_PER_STREAM", ("limit", limit.Maximum))),
        WatchLimitException { Limit: WatchLimit.WatchesPerClient } limit => Of(
            Code.ResourceExhausted,
            $"This client has {limit.Maximum} WatchFeatures streams open, the limit for one client; end another first.",
            Reason("WATCHES_PER_CLIENT", ("limit", limit.Maximum))),
        WatchLimitException limit => Of(
            Code.ResourceExhausted,
            $"This watch has not read a message for {limit.Maximum} seconds; open another after its last sequence, and read it faster.",
            Reason("WATCH_SLOW_CONSUMER", ("limit", limit.Maximum))),
        NoteIdTakenException taken => Of(
            Code.AlreadyExists,
            $"note_id {InvalidRequestException.Quote(taken.Id)} is that of another note, {taken.Sequence}; "
            + "expected the location and the message of that note, or another id.",
            Reason("NOTE_ID_TAKEN", ("note_id", taken.Id), ("sequence", taken.Sequence))),
        StoreUnavailableException { Failure: StoreFailure.Overloaded } store => Of(
            Code.ResourceExhausted, store.Message, Reason("STORE_OVERLOADED")),
        StoreUnavailableException { Failure: StoreFailure.TooSlow } store => Of(
            Code.DeadlineExceeded, store.Message, Reason("STORE_TOO_SLOW")),
        StoreUnavailableException { Failure: StoreFailure.Refused } store => Of(
            Code.InvalidArgument, store.Message, Reason("STORE_REFUSES_VALUE")),
        StoreUnavailableException store => Of(
            Code.Unavailable, store.Message, new RetryInfo { RetryDelay = StoreRetryDelay }, Reason("STORE_UNAVAILABLE")),

        // Writes after the end of a call. They are not faults of the service, but the server would log them as errors.
        OperationCanceledException or InvalidOperationException when context.CancellationToken.IsCancellationRequested => Of(
            Code.Cancelled, ClientGone),
        _ => null,
    };

    private static Status Invalid(string field, string description) => Of(
        Code.InvalidArgument,
        description,
        new BadRequest { FieldViolations = { new BadRequest.Types.FieldViolation { Field = field, Description = description } } },
        Reason("INVALID_VALUE"));

    /// <summary>The detail by which programs distinguish errors of one code (docs/chat.md, docs/features.md).</summary>
    private static ErrorInfo Reason(string reason, params ReadOnlySpan<(string Key, object Value)> metadata)
    {
        var info = new ErrorInfo { Reason = reason, Domain = ErrorDomain };
        foreach (var (key, value) in metadata)
        {
            info.Metadata.Add(key, FormattableString.Invariant($"{value}"));
        }

        return info;
    }

    private static ErrorInfo FeatureReason(string reason, FeatureConflictException conflict) => conflict.Current is { } etag
        ? Reason(reason, ("feature", FeatureName.Format(conflict.Location)), ("etag", etag))
        : Reason(reason, ("feature", FeatureName.Format(conflict.Location)));

    private static Status Of(Code code, string message, params ReadOnlySpan<IMessage> details)
    {
        var status = new Status { Code = (int)code, Message = message };
        foreach (var detail in details)
        {
            status.Details.Add(Any.Pack(detail));
        }

        return status;
    }

    private RpcException Failure(Status status, Exception exception, ServerCallContext context)
    {
        // The caller gets the message, the operator also the cause.
        if (exception is StoreUnavailableException store && throttle.IsDue(store.Message, out var count))
        {
            if (store.Failure is StoreFailure.Refused)
            {
                Log.ValueRefused(logger, context.Method, store.InnerException?.Message ?? store.Message, count);
            }
            else
            {
                Log.StoreUnavailable(logger, exception, context.Method, count);
            }
        }

        return status.ToRpcException();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Method}: the store is unavailable (since the last such line: {Count}).")]
        public static partial void StoreUnavailable(ILogger logger, Exception exception, string method, int count);

        [LoggerMessage(2, LogLevel.Information, "{Method}: the store refuses a value: {Reason} (since the last such line: {Count})")]
        public static partial void ValueRefused(ILogger logger, string method, string reason, int count);
    }
}
