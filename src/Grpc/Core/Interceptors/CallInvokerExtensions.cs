namespace Grpc.Core.Interceptors;

internal static class CallInvokerExtensions
{
    public static CallInvoker Intercept(this CallInvoker invoker, Interceptor interceptor)
    {
        ArgumentNullException.ThrowIfNull(invoker);
        ArgumentNullException.ThrowIfNull(interceptor);
        return new InterceptingCallInvoker(invoker, interceptor);
    }

    /// <summary>The first interceptor is the outermost.</summary>
    public static CallInvoker Intercept(this CallInvoker invoker, params Interceptor[] interceptors)
    {
        ArgumentNullException.ThrowIfNull(interceptors);
        return interceptors.Reverse().Aggregate(invoker, static (inner, interceptor) => inner.Intercept(interceptor));
    }

    private sealed class InterceptingCallInvoker(CallInvoker inner, Interceptor interceptor) : CallInvoker
    {
        public override TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            interceptor.BlockingUnaryCall(
                request, Context(method, host, options), (message, context) => inner.BlockingUnaryCall(context.Method, context.Host, context.Options, message));

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            interceptor.AsyncUnaryCall(
                request, Context(method, host, options), (message, context) => inner.AsyncUnaryCall(context.Method, context.Host, context.Options, message));

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            interceptor.AsyncServerStreamingCall(
                request,
                Context(method, host, options),
                (message, context) => inner.AsyncServerStreamingCall(context.Method, context.Host, context.Options, message));

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            interceptor.AsyncClientStreamingCall(
                Context(method, host, options), context => inner.AsyncClientStreamingCall(context.Method, context.Host, context.Options));

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            interceptor.AsyncDuplexStreamingCall(
                Context(method, host, options), context => inner.AsyncDuplexStreamingCall(context.Method, context.Host, context.Options));

        private static ClientInterceptorContext<TRequest, TResponse> Context<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options)
            where TRequest : class
            where TResponse : class => new(method, host, options);
    }
}
