using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The call as its handler sees it. What few handlers ask for is made when it is asked for.</summary>
internal sealed partial class ServerCall<TRequest, TResponse>
{
    // A response header that is not sent: by it a handler asks for the encoding of this call alone.
    private const string EncodingRequest = "grpc-internal-encoding-request";

    private Metadata? _requestHeaders;
    private Metadata? _responseTrailers;
    private AuthContext? _authContext;
    private CancellationToken? _token;
    private Status _status = Status.DefaultSuccess;

    protected override string MethodCore => served.Method.FullName;

    protected override string HostCore => http.Request.Host.Value ?? "";

    protected override string PeerCore => http.Connection.RemoteIpAddress switch
    {
        null => "unknown",
        { AddressFamily: AddressFamily.InterNetwork } v4 => $"ipv4:{new IPEndPoint(v4, http.Connection.RemotePort)}",
        { IsIPv4MappedToIPv6: true } v4 => $"ipv4:{new IPEndPoint(v4.MapToIPv4(), http.Connection.RemotePort)}",
        var v6 => $"ipv6:{new IPEndPoint(v6, http.Connection.RemotePort)}",
    };

    protected override DateTime DeadlineCore => _deadline;

    protected override CancellationToken CancellationTokenCore => _token ??= _cancellation?.Token ?? http.RequestAborted;

    protected override Metadata RequestHeadersCore => _requestHeaders ??= ReadRequestHeaders();

    protected override Metadata ResponseTrailersCore => _responseTrailers ??= [];

    protected override Status StatusCore
    {
        get => _status;
        set => _status = value;
    }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore => _authContext ??= ReadAuthContext();

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        if (responseHeaders.GetValue(EncodingRequest) is { } encoding)
        {
            Responses.Compression = IfAccepted(_runtime.Encoding(encoding));
        }

        return Responses.WriteHeadersAsync(responseHeaders);
    }

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options)
    {
        options ??= ContextPropagationOptions.Default;
        return new CallPropagationToken(
            options.IsPropagateDeadline ? _deadline : DateTime.MaxValue,
            options.IsPropagateCancellation ? CancellationToken : CancellationToken.None);
    }

    private Metadata ReadRequestHeaders()
    {
        var metadata = new Metadata();
        foreach (var (name, values) in http.Request.Headers)
        {
            if (MetadataHeaders.IsReserved(name))
            {
                continue;
            }

            foreach (var value in values)
            {
                if (!MetadataHeaders.TryAdd(metadata, name, value ?? ""))
                {
                    throw new RpcException(new Status(StatusCode.InvalidArgument, MetadataHeaders.IsBinary(name)
                        ? $"The metadata '{name}' is not base64."
                        : $"The metadata name '{name}' has characters other than a-z, 0-9, '_', '-' and '.'."));
                }
            }
        }

        return metadata;
    }

    private AuthContext ReadAuthContext()
    {
        if (http.Connection.ClientCertificate is not { } certificate)
        {
            return new AuthContext(null, []);
        }

        var properties = new Dictionary<string, List<AuthProperty>>(StringComparer.Ordinal);
        Add("x509_subject_alternative_name", certificate.GetNameInfo(X509NameType.DnsFromAlternativeName, forIssuer: false));
        Add("x509_common_name", certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false));
        var identity = properties.ContainsKey("x509_subject_alternative_name") ? "x509_subject_alternative_name" : "x509_common_name";
        return new AuthContext(identity, properties);

        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                properties[name] = [AuthProperty.Create(name, Encoding.UTF8.GetBytes(value))];
            }
        }
    }
}
