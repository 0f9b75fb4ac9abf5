using System.Collections.Frozen;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;

namespace RouteService.Api.Security;

/// <summary>
/// Callers with API keys, one a line: <c>NAME SCOPE[,SCOPE…] SHA256</c>, the SHA-256 of the key in hexadecimal. Empty lines and lines that
/// begin with # are skipped. Hashes are not salted: keys must be long and random, which leaves nothing to guess.
/// </summary>
internal static class ApiKeyFile
{
    private const int HexLength = 2 * SHA256.HashSizeInBytes;

    /// <returns>The callers by the SHA-256 of their key, in upper-case hexadecimal.</returns>
    /// <exception cref="FormatException">A line does not have that form; the message names it.</exception>
    public static FrozenDictionary<string, ClaimsIdentity> Read(string path)
    {
        var callers = new Dictionary<string, ClaimsIdentity>(StringComparer.Ordinal);
        foreach (var (line, number) in File.ReadLines(path).Select(static (line, i) => (line.Trim(), i + 1)))
        {
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is not [var name, var scopes, { Length: HexLength } hash]
                || !hash.All(char.IsAsciiHexDigit))
            {
                throw new FormatException($"line {number} is invalid; expected NAME SCOPE[,SCOPE…] SHA256-OF-THE-KEY.");
            }

            var known = scopes.Split(',');
            if (known.FirstOrDefault(static scope => !Scope.All.Contains(scope, StringComparer.Ordinal)) is { } unknown)
            {
                throw new FormatException($"line {number} has the unknown scope '{unknown}'; expected {string.Join(", ", Scope.All)}.");
            }

            if (!callers.TryAdd(hash.ToUpperInvariant(), Scope.Identify(name, known, ApiKeyAuthentication.SchemeName)))
            {
                throw new FormatException($"line {number} repeats the key of another line.");
            }
        }

        return callers.Count > 0 ? callers.ToFrozenDictionary(StringComparer.Ordinal) : throw new FormatException("it contains no key.");
    }

    // Keys are looked up by their hash, so the time of a look-up reveals nothing about them.
    public static string HashOf(string key) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
