namespace Grpc.Net.Client.Configuration;

/// <summary>How a channel treats its service: of the official one, the choice of a server for each call.</summary>
internal sealed class ServiceConfig
{
    /// <summary>Policies in order of preference; the first one known is used. Empty, the default, for pick_first.</summary>
    public IList<LoadBalancingConfig> LoadBalancingConfigs { get; } = [];
}

/// <summary>The name of a load-balancing policy.</summary>
internal class LoadBalancingConfig(string loadBalancingPolicyName)
{
    public const string PickFirstPolicyName = "pick_first";

    public const string RoundRobinPolicyName = "round_robin";

    public string PolicyName { get; } = loadBalancingPolicyName;
}

/// <summary>All calls to the first address that takes a connection.</summary>
internal sealed class PickFirstConfig() : LoadBalancingConfig(PickFirstPolicyName);

/// <summary>A connection to every address, and the calls over all that are open in turn.</summary>
internal sealed class RoundRobinConfig() : LoadBalancingConfig(RoundRobinPolicyName);
