namespace Grpc.Core;

/// <summary>How a channel is secured.</summary>
internal abstract class ChannelCredentials
{
    private protected ChannelCredentials()
    {
    }

    /// <summary>h2c, without TLS.</summary>
    public static ChannelCredentials Insecure { get; } = new Transport(isSecure: false);

    /// <summary>TLS with the trust of the machine, or as the channel's HTTP handler says.</summary>
    public static ChannelCredentials SecureSsl { get; } = new Transport(isSecure: true);

    internal abstract bool IsSecure { get; }

    internal virtual CallCredentials? CallCredentials => null;

    /// <summary>Channel credentials that add call credentials to every call.</summary>
    public static ChannelCredentials Create(ChannelCredentials channelCredentials, CallCredentials callCredentials) =>
        new Composite(channelCredentials, callCredentials);

    private sealed class Transport(bool isSecure) : ChannelCredentials
    {
        internal override bool IsSecure => isSecure;
    }

    private sealed class Composite(ChannelCredentials channel, CallCredentials call) : ChannelCredentials
    {
        internal override bool IsSecure => channel.IsSecure;

        internal override CallCredentials CallCredentials => call;
    }
}

/// <summary>Adds metadata to calls, such as a token.</summary>
internal abstract class CallCredentials
{
    public static CallCredentials Compose(params CallCredentials[] credentials) => new Composite([.. credentials]);

    public static CallCredentials FromInterceptor(AsyncAuthInterceptor interceptor) => new Interceptor(interceptor);

    internal abstract Task AddMetadataAsync(AuthInterceptorContext context, Metadata metadata);

    private sealed class Composite(CallCredentials[] credentials) : CallCredentials
    {
        internal override async Task AddMetadataAsync(AuthInterceptorContext context, Metadata metadata)
        {
            foreach (var one in credentials)
            {
                await one.AddMetadataAsync(context, metadata).ConfigureAwait(false);
            }
        }
    }

    private sealed class Interceptor(AsyncAuthInterceptor interceptor) : CallCredentials
    {
        internal override Task AddMetadataAsync(AuthInterceptorContext context, Metadata metadata) => interceptor(context, metadata);
    }
}

/// <summary>Adds to the metadata of a call that is about to be sent.</summary>
internal delegate Task AsyncAuthInterceptor(AuthInterceptorContext context, Metadata metadata);

internal class AuthInterceptorContext(string serviceUrl, string methodName, CancellationToken cancellationToken)
{
    public AuthInterceptorContext(string serviceUrl, string methodName)
        : this(serviceUrl, methodName, CancellationToken.None)
    {
    }

    /// <summary>The address of the service called, such as "https://host/package.Service".</summary>
    public string ServiceUrl { get; } = serviceUrl;

    public string MethodName { get; } = methodName;

    public CancellationToken CancellationToken { get; } = cancellationToken;
}
