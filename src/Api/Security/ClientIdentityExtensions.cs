using System.Net;
using System.Net.Sockets;

namespace RouteService.Api.Security;

internal static class ClientIdentityExtensions
{
    // A subscriber usually gets a whole /64 (RFC 6177), so single IPv6 addresses do not distinguish clients.
    private const int SubnetBytes = 8;

    /// <summary>The name by which limits count a client: the authenticated caller's, else its address (IPv6: the /64).</summary>
    public static string ClientIdentity(this HttpContext context) => context.User.Identity is { IsAuthenticated: true, Name: { } name }
        ? name
        : AddressOf(context.Connection.RemoteIpAddress);

    private static string AddressOf(IPAddress? address)
    {
        if (address is { IsIPv4MappedToIPv6: true })
        {
            return address.MapToIPv4().ToString();
        }

        if (address is not { AddressFamily: AddressFamily.InterNetworkV6 } || IPAddress.IsLoopback(address))
        {
            return address?.ToString() ?? "local";
        }

        var bytes = address.GetAddressBytes();
        bytes.AsSpan(SubnetBytes).Clear();
        return $"{new IPAddress(bytes)}/{8 * SubnetBytes}";
    }
}
