using Grpc.Core.Interceptors;
using Grpc.Net.Compression;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>What all calls of a server share.</summary>
internal sealed class ServerRuntime
{
    private readonly Dictionary<string, ICompressionProvider> _encodings;

    public ServerRuntime(
        IOptions<GrpcServiceOptions> options, Activation activation, IServiceProvider services, TimeProvider clock, ILoggerFactory loggers)
    {
        Options = options.Value;
        Activation = activation;
        Services = services;
        Clock = clock;
        Logger = loggers.CreateLogger("Grpc.AspNetCore.Server.ServerCall");
        _encodings = Options.CompressionProviders.ToDictionary(provider => provider.EncodingName, StringComparer.Ordinal);
        AcceptEncoding = string.Join(',', _encodings.Keys.Prepend("identity"));
        ResponseCompression = Options.ResponseCompressionAlgorithm switch
        {
            null or "identity" => null,
            var name => Encoding(name) ?? throw new InvalidOperationException($"There is no compression provider for the response encoding '{name}'."),
        };
        Interceptors = [.. Options.Interceptors.Reverse().Select(one =>
            (Interceptor)(services.GetService(one.Type) ?? ActivatorUtilities.CreateInstance(services, one.Type, [.. one.Arguments])))];
    }

    public GrpcServiceOptions Options { get; }

    public Activation Activation { get; }

    public IServiceProvider Services { get; }

    public TimeProvider Clock { get; }

    public ILogger Logger { get; }

    /// <summary>Innermost first, as they are put around a method.</summary>
    public Interceptor[] Interceptors { get; }

    /// <summary>The value of grpc-accept-encoding.</summary>
    public string AcceptEncoding { get; }

    /// <summary>What responses are compressed with where the client accepts it; null for nothing.</summary>
    public ICompressionProvider? ResponseCompression { get; }

    /// <summary>Whether the endpoint that answers unknown methods is mapped; it is needed once.</summary>
    public bool UnknownMethodsMapped { get; set; }

    /// <summary>The encoding of this name, or null.</summary>
    public ICompressionProvider? Encoding(string name) => _encodings.GetValueOrDefault(name);
}
