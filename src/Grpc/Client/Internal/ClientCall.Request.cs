using System.Net;
using System.Runtime.CompilerServices;
using Grpc.Core;
using Grpc.Net.Compression;
using Grpc.Wire;

namespace Grpc.Net.Client.Internal;

/// <summary>What the call asks: PROTOCOL-HTTP2.md, "Requests".</summary>
internal sealed partial class ClientCall<TRequest, TResponse>
{
    // Not on the wire: by this metadata the caller of any gRPC library chooses the encoding of its requests.
    private const string EncodingRequest = "grpc-internal-encoding-request";

    private static readonly Status CredentialsNeedTls = new(
        StatusCode.Unauthenticated,
        $"Call credentials need TLS; {nameof(GrpcChannelOptions.UnsafeUseInsecureChannelCallCredentials)} sends them without, for all on the way to read.");

    private ICompressionProvider? _requestEncoding;

    private bool HasCredentials => _options.Credentials is not null || _channel.Options.Credentials?.CallCredentials is not null;

    /// <summary>What compresses a request message with these options; null for nothing.</summary>
    public ICompressionProvider? CompressionFor(WriteOptions options) => options.Flags.HasFlag(WriteFlags.NoCompress) ? null : _requestEncoding;

    private HttpRequestMessage CreateRequest(TRequest? request)
    {
        var http = new HttpRequestMessage(HttpMethod.Post, (Uri?)null)
        {
            Version = _channel.Options.HttpVersion ?? HttpVersion.Version20,
            VersionPolicy = _channel.Options.HttpVersionPolicy ?? HttpVersionPolicy.RequestVersionExact,
        };

        // Unvalidated headers are names and values as they are; typed ones would be parsed into objects.
        var headers = http.Headers;
        headers.Host = _host ?? _channel.Host;
        headers.TryAddWithoutValidation("User-Agent", _channel.UserAgent);
        headers.TryAddWithoutValidation("TE", "trailers");
        headers.TryAddWithoutValidation("grpc-accept-encoding", _channel.AcceptEncoding);
        if (_options.Headers?.GetValue(EncodingRequest) is { } encoding and not "identity")
        {
            _requestEncoding = _channel.Encoding(encoding)
                ?? throw new RpcException(new Status(
                    StatusCode.Internal, $"The encoding '{encoding}' asked for is not known here; these are: {_channel.AcceptEncoding}."));
            headers.TryAddWithoutValidation("grpc-encoding", encoding);
        }

        http.Content = Requests is null ? Serialize(request!) : Requests;
        http.Content.Headers.TryAddWithoutValidation("Content-Type", GrpcContentType.Name);
        if (_options.Headers is { } metadata)
        {
            AddMetadata(http, metadata);
        }

        return http;
    }

    private RequestMessage Serialize(TRequest request)
    {
        var content = new RequestMessage();
        new MessageWriter(_channel.Options.MaxSendMessageSize).Write(
            request, Method.RequestMarshaller.ContextualSerializer, content, CompressionFor(WriteOptions));
        return content;
    }

    private async Task AddCredentialsAsync(HttpRequestMessage http)
    {
        if (!_channel.IsSecure && !_channel.Options.UnsafeUseInsecureChannelCallCredentials)
        {
            throw new RpcException(CredentialsNeedTls);
        }

        // Libraries make a token's audience of it: the authority has a port only where it is not the scheme's own.
        var service = new AuthInterceptorContext($"{_channel.Address.GetLeftPart(UriPartial.Authority)}/{Method.ServiceName}", Method.Name, Aborted);
        var metadata = new Metadata();
        foreach (var credentials in (CallCredentials?[])[_options.Credentials, _channel.Options.Credentials?.CallCredentials])
        {
            if (credentials is not null)
            {
                await credentials.AddMetadataAsync(service, metadata).ConfigureAwait(false);
            }
        }

        AddMetadata(http, metadata);
    }

    /// <summary>Sends the request where the channel picks; completes with the response's headers.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<HttpResponseMessage> SendAsync(HttpRequestMessage http)
    {
        for (var again = false; ; again = true)
        {
            var peer = await _channel.PickAsync(_options.IsWaitForReady, Aborted).ConfigureAwait(false);
            http.RequestUri = peer.AddressOf(Method);
            AddTimeout(http);
            try
            {
                return await _channel.SendAsync(http, Aborted).ConfigureAwait(false);
            }
            catch (HttpRequestException e) when (IsUnsent(e) && _channel.CanPickAgain && (_options.IsWaitForReady || !again))
            {
                // The connection was lost between the pick and the sending. Where the pick has not heard of it by the second time, it is not asked
                // without a pause.
                http.Headers.Remove("grpc-timeout");
                if (again)
                {
                    await Task.Delay(_channel.Options.InitialReconnectBackoff, _channel.Options.Clock, Aborted).ConfigureAwait(false);
                }
            }
        }
    }

    /// <summary>A failure to make a connection: the server has seen nothing of the request.</summary>
    private static bool IsUnsent(HttpRequestException failure) => failure.HttpRequestError
        is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError;

    private void AddTimeout(HttpRequestMessage http)
    {
        if (_deadline != DateTime.MaxValue)
        {
            http.Headers.TryAddWithoutValidation("grpc-timeout", GrpcTimeout.Format(TimeLeft));
        }
    }

    private static void AddMetadata(HttpRequestMessage http, Metadata metadata)
    {
        for (var i = 0; i < metadata.Count; i++)
        {
            var key = metadata[i].Key;
            if (MetadataHeaders.IsReserved(key) || HasBefore(metadata, i, key))
            {
                continue;
            }

            // Joined here, by the comma that the specification names: .NET would join them by comma and space, which a peer may take for base64.
            var value = MetadataHeaders.Encode(metadata[i]);
            for (var j = i + 1; j < metadata.Count; j++)
            {
                if (string.Equals(metadata[j].Key, key, StringComparison.Ordinal))
                {
                    value += "," + MetadataHeaders.Encode(metadata[j]);
                }
            }

            if (!http.Headers.TryAddWithoutValidation(key, value))
            {
                // A name that .NET keeps with the content, such as "expires"; on the wire it makes no difference.
                http.Content!.Headers.TryAddWithoutValidation(key, value);
            }
        }
    }

    private static bool HasBefore(Metadata metadata, int index, string key)
    {
        for (var i = 0; i < index; i++)
        {
            if (string.Equals(metadata[i].Key, key, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
