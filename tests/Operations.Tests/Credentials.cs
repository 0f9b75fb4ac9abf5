using System.Security.Cryptography;
using System.Text;
using Grpc.Core;

namespace RouteService.Operations.Tests;

/// <summary>The metadata that credentials are sent in.</summary>
internal static class Credentials
{
    public static Metadata ApiKey(string key) => new() { { "x-api-key", key } };

    public static Metadata Bearer(string token) => new() { { "authorization", $"Bearer {token}" } };

    /// <summary>A key as its file has it.</summary>
    public static string Sha256(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
