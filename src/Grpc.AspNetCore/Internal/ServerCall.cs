using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Grpc.Net.Compression;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// One call, from its first header to its last: <see cref="RunAsync"/> is the whole of it. The handler sees it as its
/// <see cref="ServerCallContext"/> (ServerCall.Context.cs); its time is in ServerCall.Deadline.cs.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "The token source has no timer, and a handler that runs on may still look at its token.")]
internal sealed partial class ServerCall<TRequest, TResponse>(HttpContext http, ServerMethod<TRequest, TResponse> served) : ServerCallContext, IHttpServerCall
    where TRequest : class
    where TResponse : class
{
    private readonly ServerRuntime _runtime = served.Runtime;

    // Whoever sets it decides how the call ends: the handler's return, its exception, or the deadline, however they race.
    private int _ended;

    // How it ended, for those who count.
    private Status _end = Status.DefaultSuccess;

    public HttpContext Http => http;

    public RequestReader<TRequest> Requests { get; private set; } = null!;

    public ResponseWriter<TResponse> Responses { get; private set; } = null!;

    public async Task RunAsync()
    {
        if (!RequestHead.TryAccept(http))
        {
            return;
        }

        http.Response.ContentType = GrpcContentType.Name;
        if (!TryReadRequestEncoding(out var requestEncoding) || !TryReadTimeout(out var timeout))
        {
            return;
        }

        Requests = new RequestReader<TRequest>(
            http.Request.BodyReader, served.Method.RequestMarshaller, requestEncoding, _runtime.Options.MaxReceiveMessageSize, _runtime.Clock);
        Responses = new ResponseWriter<TResponse>(
            http.Response, served.Method.ResponseMarshaller, _runtime.Options, this)
        {
            Compression = IfAccepted(_runtime.ResponseCompression),
        };
        LiftBodyLimits();
        StartDeadline(timeout);
        var isCounted = ServerTelemetry.IsEnabled;
        var started = 0L;
        if (isCounted)
        {
            started = _runtime.Clock.GetTimestamp();
            served.Counts.Begin();
        }

        Status status;
        try
        {
            await served.Body(this);
            status = _status;
        }
        catch (Exception e)
        {
            status = StatusOf(e);
        }

        await EndAsync(status);
        ServerTelemetry.Describe(http, served.Counts, _end);
        if (isCounted)
        {
            ServerTelemetry.Ended(served.Counts, _end.StatusCode, _runtime.Clock.GetElapsedTime(started), Requests.Count, Responses.Count);
        }
    }

    /// <summary>The one place where an exception becomes a status.</summary>
    private Status StatusOf(Exception exception)
    {
        switch (exception)
        {
            case RpcException rpc:
                _responseTrailers = Merge(_responseTrailers, rpc.Trailers);
                ServerCallLog.HandlerRefused(_runtime.Logger, Method, rpc.StatusCode, rpc.Status.Detail);
                return rpc.Status;

            // Kestrel reports a stream that the client reset, and a connection that is lost, as either of these.
            case OperationCanceledException or IOException when http.RequestAborted.IsCancellationRequested || Responses.ClientGone || Requests.ClientGone:
                ServerCallLog.ClientGone(_runtime.Logger, Method);
                return Status.DefaultCancelled;

            // The deadline has already decided; what the handler makes of the cancelled token is of no interest.
            case var _ when Volatile.Read(ref _ended) != 0:
                return Status.DefaultCancelled;

            default:
                ServerCallLog.HandlerFailed(_runtime.Logger, exception, Method);
                return new Status(
                    StatusCode.Unknown,
                    _runtime.Options.EnableDetailedErrors is true
                        ? $"Exception was thrown by handler. {exception.GetType().Name}: {exception.Message}"
                        : "Exception was thrown by handler.");
        }
    }

    private async Task EndAsync(Status status)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            // The deadline came first and has answered, or is about to.
            _end = DeadlineExceeded;
            await _deadlineAnswer!;
            return;
        }

        _end = status;

        StopDeadline();
        Requests.Close();

        // A flush that failed has failed because the client is gone; there is nobody to tell.
        await Responses.CloseAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        WriteTrailers(status, _responseTrailers);
    }

    private void WriteTrailers(Status status, Metadata? metadata)
    {
        // An error before anything was sent goes as headers alone ("Trailers-Only").
        var destination = !Responses.HasStarted && status.StatusCode != StatusCode.OK
            ? http.Response.Headers
            : http.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers;
        Trailers.Write(destination, status);
        if (metadata is not null)
        {
            Trailers.Write(destination, metadata);
        }
    }

    private bool TryReadRequestEncoding(out ICompressionProvider? encoding)
    {
        encoding = null;
        if (http.Request.Headers["grpc-encoding"] is [{ } name, ..] && name is not "identity")
        {
            encoding = _runtime.Encoding(name);
            if (encoding is null)
            {
                http.Response.Headers["grpc-accept-encoding"] = _runtime.AcceptEncoding;
                Trailers.Write(http.Response.Headers, new Status(
                    StatusCode.Unimplemented, $"The encoding '{name}' is not known here; these are: {_runtime.AcceptEncoding}."));
                return false;
            }
        }

        return true;
    }

    /// <summary>A response may have no other encoding than those that the client says it takes.</summary>
    private ICompressionProvider? IfAccepted(ICompressionProvider? compression) =>
        compression is not null
        && http.Request.Headers["grpc-accept-encoding"].ToString().Split(',', StringSplitOptions.TrimEntries).Contains(compression.EncodingName, StringComparer.Ordinal)
            ? compression
            : null;

    /// <summary>HTTP's limits on a request body are not for gRPC, whose streams may be long and silent, and which has its own, on messages.</summary>
    private void LiftBodyLimits()
    {
        if (http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }

        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = null;
        }
    }

    private static Metadata Merge(Metadata? own, Metadata more)
    {
        var merged = own ?? [];
        foreach (var entry in more)
        {
            merged.Add(entry);
        }

        return merged;
    }
}
