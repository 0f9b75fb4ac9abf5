using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>What a method does with a call that has been accepted: read, invoke, write. One delegate for all four kinds.</summary>
internal delegate Task ServerMethodBody<TRequest, TResponse>(ServerCall<TRequest, TResponse> call)
    where TRequest : class
    where TResponse : class;

/// <summary>A method that is served.</summary>
internal sealed record ServerMethod<TRequest, TResponse>(
    Method<TRequest, TResponse> Method, ServerRuntime Runtime, ServerMethodBody<TRequest, TResponse> Body)
    where TRequest : class
    where TResponse : class
{
    public CallCounts Counts { get; } = ServerTelemetry.CountsOf(Method);
}

/// <summary>
/// Takes the methods of a service as generated code lists them, and makes each the body of a call: the service's method, with the interceptors
/// around it.
/// </summary>
internal sealed class ServerMethodBinder<TService>(ServerRuntime runtime, ServerMethodBinder<TService>.MethodFound found) : ServiceBinderBase
    where TService : class
{
    private readonly Activator<TService> _services = runtime.Activation.For<TService>(runtime.Services);

    /// <summary>Called for each method, with the delegate that runs one call of it.</summary>
    public delegate void MethodFound(IMethod method, RequestDelegate handler);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        var invoke = ServiceMethod<Func<TService, TRequest, ServerCallContext, Task<TResponse>>>(
            method.Name, typeof(TRequest), typeof(ServerCallContext));

        Add(method, async (call, service) =>
        {
            var request = await call.Requests.ReadSingleAsync();
            var response = await InvokeAsync(call, service, request);
            call.Responses.WriteSingle(response);
        });

        Task<TResponse> InvokeAsync(ServerCall<TRequest, TResponse> call, TService service, TRequest request)
        {
            if (runtime.Interceptors.Length == 0)
            {
                return invoke(service, request, call);
            }

            UnaryServerMethod<TRequest, TResponse> next = (message, context) => invoke(service, message, context);
            foreach (var interceptor in runtime.Interceptors)
            {
                var inner = next;
                next = (message, context) => interceptor.UnaryServerHandler(message, context, inner);
            }

            return next(request, call);
        }
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var invoke = ServiceMethod<Func<TService, IAsyncStreamReader<TRequest>, ServerCallContext, Task<TResponse>>>(
            method.Name, typeof(IAsyncStreamReader<TRequest>), typeof(ServerCallContext));

        Add(method, async (call, service) =>
        {
            ClientStreamingServerMethod<TRequest, TResponse> next = (requests, context) => invoke(service, requests, context);
            foreach (var interceptor in runtime.Interceptors)
            {
                var inner = next;
                next = (requests, context) => interceptor.ClientStreamingServerHandler(requests, context, inner);
            }

            call.Responses.WriteSingle(await next(call.Requests, call));
        });
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var invoke = ServiceMethod<Func<TService, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
            method.Name, typeof(TRequest), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));

        Add(method, async (call, service) =>
        {
            var request = await call.Requests.ReadSingleAsync();
            ServerStreamingServerMethod<TRequest, TResponse> next = (message, responses, context) => invoke(service, message, responses, context);
            foreach (var interceptor in runtime.Interceptors)
            {
                var inner = next;
                next = (message, responses, context) => interceptor.ServerStreamingServerHandler(message, responses, context, inner);
            }

            await next(request, call.Responses, call);
        });
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var invoke = ServiceMethod<Func<TService, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
            method.Name, typeof(IAsyncStreamReader<TRequest>), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));

        Add(method, async (call, service) =>
        {
            DuplexStreamingServerMethod<TRequest, TResponse> next = (requests, responses, context) => invoke(service, requests, responses, context);
            foreach (var interceptor in runtime.Interceptors)
            {
                var inner = next;
                next = (requests, responses, context) => interceptor.DuplexStreamingServerHandler(requests, responses, context, inner);
            }

            await next(call.Requests, call.Responses, call);
        });
    }

    /// <param name="method">The method.</param>
    /// <param name="run">One call of it, by the instance that serves it.</param>
    private void Add<TRequest, TResponse>(Method<TRequest, TResponse> method, Func<ServerCall<TRequest, TResponse>, TService, Task> run)
        where TRequest : class
        where TResponse : class
    {
        var served = new ServerMethod<TRequest, TResponse>(method, runtime, call => _services.UseAsync(call, run));
        found(method, http => new ServerCall<TRequest, TResponse>(http, served).RunAsync());
    }

    /// <summary>The service's own override as a delegate that takes the instance first, so that an instance may be made for each call.</summary>
    private static TDelegate ServiceMethod<TDelegate>(string name, params Type[] parameters)
        where TDelegate : Delegate =>
        typeof(TService).GetMethod(name, parameters)?.CreateDelegate<TDelegate>()
        ?? throw new InvalidOperationException($"{typeof(TService)} has no public method {name} of the signature that its generated base has.");
}
