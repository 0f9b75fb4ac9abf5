using System.Collections.Frozen;
using Microsoft.IdentityModel.Tokens;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

/// <summary>Everybody who may call: by API key, by bearer token, or by either. Its files are read again when they change.</summary>
internal sealed class CallerDirectory : IDisposable
{
    private const string Section = "RouteService__Auth__";

    private readonly ReloadedFile<FrozenDictionary<string, Caller>>? _apiKeys;
    private readonly ReloadedFile<IReadOnlyList<SecurityKey>>? _jwks;
    private readonly ReloadedFile<IReadOnlyList<SecurityKey>>? _key;
    private readonly BearerTokens? _tokens;

    /// <summary>Reads the files that the options name, where calls want credentials.</summary>
    /// <exception cref="SettingException">One cannot be used, or the options leave something out.</exception>
    public CallerDirectory(AuthOptions options, FileReloader files, TimeProvider clock)
    {
        if (!options.Enabled)
        {
            return;
        }

        _apiKeys = Open(files, $"{Section}ApiKeysPath", options.ApiKeysPath, ApiKeyFile.Read);
        _jwks = Open(files, $"{Section}Jwt__JwksPath", options.Jwt.JwksPath, BearerTokens.ReadJwks);
        _key = Open(files, $"{Section}Jwt__KeyPath", options.Jwt.KeyPath, BearerTokens.ReadKey);
        if (_jwks is not null || _key is not null)
        {
            _tokens = string.IsNullOrWhiteSpace(options.Jwt.Issuer)
                ? throw new SettingException($"{Section}Jwt__Issuer is not set; tokens are accepted from one issuer, which it names.")
                : new BearerTokens(options.Jwt, () => [.. _jwks?.Current ?? [], .. _key?.Current ?? []], clock);
        }
        else if (_apiKeys is null)
        {
            throw new SettingException(
                $"{Section}Enabled is true, and nothing says who may call: set {Section}ApiKeysPath, {Section}Jwt__JwksPath or {Section}Jwt__KeyPath.");
        }
    }

    /// <summary>What credentials there can be, for those who come without.</summary>
    public string Wanted => (_tokens, _apiKeys) switch
    {
        ({ }, { }) => "metadata 'authorization: Bearer TOKEN' or 'x-api-key: KEY'",
        ({ }, null) => "metadata 'authorization: Bearer TOKEN'",
        _ => "metadata 'x-api-key: KEY'",
    };

    public (Caller? Caller, string? Refusal) ByApiKey(string key) => _apiKeys is null
        ? (null, $"API keys are not accepted here; send {Wanted}.")
        : _apiKeys.Current.TryGetValue(ApiKeyFile.HashOf(key), out var caller) ? (caller, null) : (null, "The API key is not known here.");

    public ValueTask<(Caller? Caller, string? Refusal)> ByTokenAsync(string token) => _tokens is null
        ? new((null, $"Bearer tokens are not accepted here; send {Wanted}."))
        : _tokens.AuthenticateAsync(token);

    public void Dispose() => _tokens?.Dispose();

    private static ReloadedFile<T>? Open<T>(FileReloader files, string variable, string? path, Func<string, T> read)
        where T : class => path is null ? null : files.Open(variable, [path], () => read(path));
}
