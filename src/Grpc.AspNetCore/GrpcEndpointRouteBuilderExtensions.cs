using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.AspNetCore.Server.Internal;
using Grpc.Core;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

internal static class GrpcEndpointRouteBuilderExtensions
{
    /// <summary>Serves a gRPC service: the methods that its generated base lists.</summary>
    /// <exception cref="InvalidOperationException">AddGrpc was not called, or TService has no generated base.</exception>
    public static GrpcServiceEndpointConventionBuilder MapGrpcService<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.PublicMethods)] TService>(
        this IEndpointRouteBuilder builder)
        where TService : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        var runtime = builder.ServiceProvider.GetService<ServerRuntime>()
            ?? throw new InvalidOperationException("Unable to find the required services. Call 'IServiceCollection.AddGrpc' where services are added.");

        var endpoints = new List<IEndpointConventionBuilder>();
        BindService<TService>()(new ServerMethodBinder<TService>(runtime, (method, handler) => endpoints.Add(builder
            .Map(method.FullName, handler)
            .WithDisplayName($"gRPC - {method.FullName}")
            .WithMetadata(new GrpcMethodMetadata(typeof(TService), method)))));

        if (!runtime.UnknownMethodsMapped && runtime.Options.IgnoreUnknownServices is not true)
        {
            runtime.UnknownMethodsMapped = true;
            builder.Map("{service}/{method}", http => UnknownMethod.AnswerAsync(http)).WithOrder(int.MaxValue).WithDisplayName("gRPC - Unknown method");
        }

        return new GrpcServiceEndpointConventionBuilder(endpoints);
    }

    /// <summary>The generated BindService of the service's base, for no instance: it lists the methods.</summary>
    private static Action<ServiceBinderBase> BindService<TService>()
    {
        var attribute = typeof(TService).GetCustomAttribute<BindServiceMethodAttribute>(inherit: true)
            ?? throw new InvalidOperationException($"{typeof(TService)} does not derive from a generated service base.");
        for (var type = typeof(TService).BaseType; type is not null; type = type.BaseType)
        {
            if (attribute.BindType.GetMethod(attribute.BindMethodName, [typeof(ServiceBinderBase), type]) is { } bind)
            {
                return binder => bind.Invoke(null, [binder, null]);
            }
        }

        throw new InvalidOperationException($"{attribute.BindType} has no {attribute.BindMethodName} for a base of {typeof(TService)}.");
    }
}

/// <summary>Adds to the endpoints of a service, such as an authorization policy.</summary>
internal sealed class GrpcServiceEndpointConventionBuilder : IEndpointConventionBuilder
{
    private readonly IReadOnlyList<IEndpointConventionBuilder> _endpoints;

    internal GrpcServiceEndpointConventionBuilder(IReadOnlyList<IEndpointConventionBuilder> endpoints)
    {
        _endpoints = endpoints;
    }

    public void Add(Action<EndpointBuilder> convention)
    {
        foreach (var endpoint in _endpoints)
        {
            endpoint.Add(convention);
        }
    }

    public void Finally(Action<EndpointBuilder> finallyConvention)
    {
        foreach (var endpoint in _endpoints)
        {
            endpoint.Finally(finallyConvention);
        }
    }
}
