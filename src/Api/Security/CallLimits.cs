using System.Globalization;
using System.Net;
using System.Threading.RateLimiting;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.HttpOverrides;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

/// <summary>Limits the rate of a client's calls, and lets trusted proxies name the client.</summary>
internal static class CallLimits
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>Adds a token bucket for each client; each call takes one token. Buckets of idle clients are dropped.</summary>
    public static void AddCallLimits(this IServiceCollection services, LimitOptions options)
    {
        var bucket = new TokenBucketRateLimiterOptions
        {
            TokensPerPeriod = options.CallsPerSecond,
            TokenLimit = options.CallBurst > 0 ? options.CallBurst : options.CallsPerSecond,
            ReplenishmentPeriod = Period,
        };
        services.AddRateLimiter(limiter =>
        {
            limiter.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(
                context => RateLimitPartition.GetTokenBucketLimiter(context.ClientIdentity(), _ => bucket), StringComparer.Ordinal);
            limiter.OnRejected = static (rejected, _) =>
            {
                Refuse(rejected.HttpContext.Response, rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : Period);
                return default;
            };
        });
    }

    /// <summary>Lets these proxies name the client that they forward for. The header of any other peer is ignored.</summary>
    /// <exception cref="SettingException">The list cannot be parsed.</exception>
    public static void AddTrustedProxies(this IServiceCollection services, string proxies)
    {
        // At least one: without a known proxy the middleware trusts every peer.
        var networks = proxies.Split(',', StringSplitOptions.TrimEntries).Select(ParseNetwork).ToList();
        services.Configure<ForwardedHeadersOptions>(options =>
        {
            options.ForwardedHeaders = ForwardedHeaders.XForwardedFor;

            // The nearest address that is not a trusted proxy is the client; addresses to the left of it may be made up.
            options.ForwardLimit = null;
            options.KnownProxies.Clear();
            options.KnownIPNetworks.Clear();
            networks.ForEach(options.KnownIPNetworks.Add);
        });
    }

    private static System.Net.IPNetwork ParseNetwork(string text) =>
        System.Net.IPNetwork.TryParse(text, out var network) ? Unmapped(network.BaseAddress, network.PrefixLength)
        : IPAddress.TryParse(text, out var address) ? Unmapped(address, 8 * address.GetAddressBytes().Length)
        : throw new SettingException(
            $"RouteService__Limits__TrustedProxies has '{text}'; expected addresses and networks such as 10.0.0.0/8, separated by commas.");

    // ::ffff:10.0.0.0/104 is 10.0.0.0/8, as addresses in the header are written.
    private static System.Net.IPNetwork Unmapped(IPAddress address, int prefix)
    {
        const int MappedPrefix = 96;
        return address.IsIPv4MappedToIPv6 && prefix >= MappedPrefix
            ? new System.Net.IPNetwork(address.MapToIPv4(), prefix - MappedPrefix)
            : new System.Net.IPNetwork(address, prefix);
    }

    private static void Refuse(HttpResponse response, TimeSpan retryAfter)
    {
        // Clients with a retry policy obey this header (gRFC A6).
        response.Headers["grpc-retry-pushback-ms"] = Math.Ceiling(retryAfter.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        response.Refuse(
            StatusCode.ResourceExhausted,
            "This client exceeds its limit of calls; call again later.",
            new Google.Rpc.RetryInfo { RetryDelay = Duration.FromTimeSpan(retryAfter) });
    }
}
