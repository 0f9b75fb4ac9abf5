using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;
using Grpc.Core.Interceptors;
using Grpc.Net.Compression;

namespace Grpc.AspNetCore.Server;

/// <summary>How gRPC services are served.</summary>
internal class GrpcServiceOptions
{
    internal const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    /// <summary>The longest response message sent, in bytes; null, the default, for any.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>The longest request message accepted, in bytes, before and after decompression; null for any. 4 MiB by default.</summary>
    public int? MaxReceiveMessageSize { get; set; } = DefaultMaxReceiveMessageSize;

    /// <summary>Whether a client is told the text of exceptions that a handler throws. Off by default: it may tell too much.</summary>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary>The encoding of responses where the client accepts it, such as "gzip"; null, the default, for none.</summary>
    public string? ResponseCompressionAlgorithm { get; set; }

    /// <summary>Null for the provider's own.</summary>
    public CompressionLevel? ResponseCompressionLevel { get; set; }

    /// <summary>The encodings known, for requests and responses. gzip by default.</summary>
    public IList<ICompressionProvider> CompressionProviders { get; set; } = [new GzipCompressionProvider(CompressionLevel.Fastest)];

    /// <summary>Whether calls of unknown services and methods are left to the rest of the application rather than answered UNIMPLEMENTED.</summary>
    public bool? IgnoreUnknownServices { get; set; }

    /// <summary>Around every call, the first outermost.</summary>
    public InterceptorCollection Interceptors { get; } = [];
}

/// <summary>Interceptors by type; each is taken from the container where it is registered there, else made. One instance serves all calls.</summary>
internal class InterceptorCollection : Collection<InterceptorRegistration>
{
    public void Add<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TInterceptor>(params object[] args)
        where TInterceptor : Interceptor => Add(new InterceptorRegistration(typeof(TInterceptor), args));
}

internal class InterceptorRegistration
{
    internal InterceptorRegistration(
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] Type type, object[] arguments)
    {
        Type = type;
        Arguments = arguments;
    }

    [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
    public Type Type { get; }

    public IReadOnlyList<object> Arguments { get; }
}
