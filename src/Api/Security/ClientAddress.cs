namespace RouteService.Api.Security;

internal static class ClientAddress
{
    /// <summary>The address without the port, of a peer as gRPC writes it: "ipv4:10.0.0.1:5000" or "ipv6:[::1]:5000".</summary>
    public static string Of(string peer) => peer[..Math.Max(0, peer.LastIndexOf(':'))];
}
