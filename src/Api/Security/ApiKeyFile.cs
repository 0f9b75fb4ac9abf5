using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;

namespace RouteService.Api.Security;

/// <summary>
/// The callers that have API keys, one a line: <c>NAME SCOPE[,SCOPE…] SHA256</c>, with the SHA-256 of the key in hexadecimal; empty lines and those
/// that begin with # are skipped. The hash is not salted: a key is to be random and long, and then there is nothing to guess.
/// </summary>
internal static class ApiKeyFile
{
    private const int HexLength = 2 * SHA256.HashSizeInBytes;

    /// <summary>Reads it.</summary>
    /// <returns>The callers by the SHA-256 of their key, in capital hexadecimal.</returns>
    /// <exception cref="FormatException">A line is not of that form; names it.</exception>
    public static FrozenDictionary<string, Caller> Read(string path)
    {
        var callers = new Dictionary<string, Caller>(StringComparer.Ordinal);
        foreach (var (line, number) in File.ReadLines(path).Select(static (line, i) => (line.Trim(), i + 1)))
        {
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is not [var name, var scopes, { Length: HexLength } hash] || !hash.All(char.IsAsciiHexDigit))
            {
                throw new FormatException($"line {number} is not NAME SCOPE[,SCOPE…] SHA256-OF-THE-KEY.");
            }

            var known = scopes.Split(',');
            if (known.FirstOrDefault(static scope => !Scope.All.Contains(scope, StringComparer.Ordinal)) is { } unknown)
            {
                throw new FormatException($"line {number} has the scope '{unknown}'; there are {string.Join(", ", Scope.All)}.");
            }

            if (!callers.TryAdd(hash.ToUpperInvariant(), new Caller(name, [.. known])))
            {
                throw new FormatException($"line {number} has a key that another line has.");
            }
        }

        return callers.Count > 0 ? callers.ToFrozenDictionary(StringComparer.Ordinal) : throw new FormatException("it has no key.");
    }

    // The look-up is of a hash, so its time tells nothing of the keys.
    public static string HashOf(string key) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
