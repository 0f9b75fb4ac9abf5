using System.Diagnostics.CodeAnalysis;
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>Starts a <see cref="ClientCall{TRequest,TResponse}"/> for each call, and shows it as what its kind of call is to a caller.</summary>
internal sealed class HttpCallInvoker(GrpcChannel channel) : CallInvoker
{
    [SuppressMessage("Usage", "VSTHRD002", Justification = "A call that blocks is what the caller asks for; nothing of the call needs the caller's thread.")]
    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        using var call = Start(method, host, options, request);
        return call.ResponseAsync.GetAwaiter().GetResult();
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = Start(method, host, options, request);
        return new AsyncUnaryCall<TResponse>(
            call.ResponseAsync,
            static call => ((ClientCall<TRequest, TResponse>)call).ResponseHeadersAsync,
            static call => ((ClientCall<TRequest, TResponse>)call).GetStatus(),
            static call => ((ClientCall<TRequest, TResponse>)call).GetTrailers(),
            static call => ((ClientCall<TRequest, TResponse>)call).Dispose(),
            call);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = Start(method, host, options, request);
        return new AsyncServerStreamingCall<TResponse>(
            call,
            static call => ((ClientCall<TRequest, TResponse>)call).ResponseHeadersAsync,
            static call => ((ClientCall<TRequest, TResponse>)call).GetStatus(),
            static call => ((ClientCall<TRequest, TResponse>)call).GetTrailers(),
            static call => ((ClientCall<TRequest, TResponse>)call).Dispose(),
            call);
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = Start(method, host, options, request: null);
        return new AsyncClientStreamingCall<TRequest, TResponse>(
            call.Requests!,
            call.ResponseAsync,
            static call => ((ClientCall<TRequest, TResponse>)call).ResponseHeadersAsync,
            static call => ((ClientCall<TRequest, TResponse>)call).GetStatus(),
            static call => ((ClientCall<TRequest, TResponse>)call).GetTrailers(),
            static call => ((ClientCall<TRequest, TResponse>)call).Dispose(),
            call);
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = Start(method, host, options, request: null);
        return new AsyncDuplexStreamingCall<TRequest, TResponse>(
            call.Requests!,
            call,
            static call => ((ClientCall<TRequest, TResponse>)call).ResponseHeadersAsync,
            static call => ((ClientCall<TRequest, TResponse>)call).GetStatus(),
            static call => ((ClientCall<TRequest, TResponse>)call).GetTrailers(),
            static call => ((ClientCall<TRequest, TResponse>)call).Dispose(),
            call);
    }

    private ClientCall<TRequest, TResponse> Start<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, in CallOptions options, TRequest? request)
        where TRequest : class
        where TResponse : class
    {
        channel.ThrowIfDisposed();
        var call = new ClientCall<TRequest, TResponse>(channel, method, host, options);
        _ = call.RunAsync(request);
        return call;
    }
}
