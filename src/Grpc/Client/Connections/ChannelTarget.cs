using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>What the address of a channel says.</summary>
/// <param name="Address">Scheme, host and port of the server as HTTP has them; its authority is every call's, whatever address the call goes to.</param>
/// <param name="IsResolved">Whether the channel finds the host's addresses itself, rather than leave it to each connection.</param>
internal sealed record ChannelTarget(Uri Address, bool IsResolved)
{
    public bool IsSecure => Address.Scheme is "https";

    /// <exception cref="ArgumentException">The address has a scheme that is not known here, or a path.</exception>
    /// <exception cref="InvalidOperationException">The options contradict the address.</exception>
    public static ChannelTarget Parse(Uri address, GrpcChannelOptions options)
    {
        var target = address.IsAbsoluteUri && address.Scheme is "dns" ? OfDns(address, options.Credentials) : OfHttp(address);
        CheckSecurity(target, address, options);
        return target;
    }

    private static ChannelTarget OfHttp(Uri address)
    {
        if (!address.IsAbsoluteUri || address.Scheme is not ("http" or "https"))
        {
            throw new ArgumentException(
                $"'{address.OriginalString}' is none of http://, https:// and dns:///; an address looks like http://localhost:50051.", nameof(address));
        }

        return HasPath(address)
            ? throw new ArgumentException(
                $"'{address.OriginalString}' has a path; a gRPC call goes to the path of its method, so the address ends with the port.", nameof(address))
            : new ChannelTarget(address, IsResolved: false);
    }

    // "dns:[//authority/]host[:port]" (gRPC Name Resolution); an authority would be the DNS server to ask.
    private static ChannelTarget OfDns(Uri address, ChannelCredentials? credentials)
    {
        if (credentials is null)
        {
            throw new InvalidOperationException(
                $"'{address.OriginalString}' does not say whether the server speaks TLS; {nameof(GrpcChannelOptions.Credentials)} must.");
        }

        return address.Authority.Length == 0
            && Uri.TryCreate($"{(credentials.IsSecure ? "https" : "http")}://{address.AbsolutePath.TrimStart('/')}", UriKind.Absolute, out var host)
            && !HasPath(host)
            ? new ChannelTarget(host, IsResolved: true)
            : throw new ArgumentException($"'{address.OriginalString}' is not a name to resolve; one looks like dns:///service.example:50051.", nameof(address));
    }

    private static bool HasPath(Uri address) => address.PathAndQuery is not "/" || address.Fragment.Length > 0;

    private static void CheckSecurity(ChannelTarget target, Uri address, GrpcChannelOptions options)
    {
        if (options.Credentials is not { } credentials)
        {
            return;
        }

        if (credentials.IsSecure != target.IsSecure)
        {
            throw new InvalidOperationException(
                $"The credentials of the channel are {(credentials.IsSecure ? "secure" : "insecure")}, and its address is '{address.OriginalString}'.");
        }

        if (!target.IsSecure && credentials.CallCredentials is not null && !options.UnsafeUseInsecureChannelCallCredentials)
        {
            throw new InvalidOperationException(
                $"Call credentials need TLS; {nameof(GrpcChannelOptions.UnsafeUseInsecureChannelCallCredentials)} sends them without, for all on the way to read.");
        }
    }
}
