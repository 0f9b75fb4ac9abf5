using System.Security.Cryptography;

namespace RouteService.Client.Calls;

/// <summary>Spreads pauses, so that clients that failed together do not come back together.</summary>
internal static class Chance
{
    /// <summary>From 0 to 1.</summary>
    public static double Next() => RandomNumberGenerator.GetInt32(int.MaxValue) / (double)int.MaxValue;
}
