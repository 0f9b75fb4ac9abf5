using System.Security.Claims;
using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.IdentityModel.Tokens;
using Microsoft.Net.Http.Headers;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

internal static class SecurityExtensions
{
    private const string Section = "RouteService__Auth__";
    private const string Bearer = "Bearer ";

    /// <summary>Adds the configured authentication, authorization and limits of calls, and the reloading of files.</summary>
    /// <exception cref="SettingException">An option cannot be used.</exception>
    public static void AddSecurity(this IServiceCollection services, AuthOptions auth, LimitOptions limits)
    {
        services.AddHostedService<FileReloader>();
        if (!string.IsNullOrWhiteSpace(limits.TrustedProxies))
        {
            services.AddTrustedProxies(limits.TrustedProxies);
        }

        if (limits.CallsPerSecond > 0)
        {
            services.AddCallLimits(limits);
        }

        if (auth.Enabled)
        {
            services.AddCallers(auth);
        }
        else
        {
            // The methods still have their policies, which are not enforced.
            services.Configure<RouteOptions>(static options => options.SuppressCheckForUnhandledSecurityMetadata = true);
        }
    }

    /// <summary>Adds the configured middleware, and no other.</summary>
    public static void UseSecurity(this IApplicationBuilder app, AuthOptions auth, LimitOptions limits)
    {
        if (!string.IsNullOrWhiteSpace(limits.TrustedProxies))
        {
            app.UseForwardedHeaders();
        }

        if (auth.Enabled)
        {
            app.UseAuthentication();
        }

        // Before authorization, so that guesses at credentials are limited too.
        if (limits.CallsPerSecond > 0)
        {
            app.UseRateLimiter();
        }

        if (auth.Enabled)
        {
            app.UseAuthorization();
        }
    }

    private static void AddCallers(this IServiceCollection services, AuthOptions auth)
    {
        var schemes = new List<(string, string)>();
        var expected = new List<string>();
        var authentication = services.AddAuthentication(CallerAuthentication.SchemeName);
        services.RemoveDataProtection();
        if (AddTokens(services, auth.Jwt))
        {
            authentication.AddJwtBearer();
            services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme).Configure<BearerTokens>(Configure);
            schemes.Add((JwtBearerDefaults.AuthenticationScheme, HeaderNames.Authorization));
            expected.Add("'authorization: Bearer TOKEN'");
        }

        if (auth.ApiKeysPath is { } path)
        {
            // Read now, so that a file that cannot be used ends the start with one line.
            services.AddWatchedFile($"{Section}ApiKeysPath", path, ApiKeyFile.Read);
            authentication.AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(ApiKeyAuthentication.SchemeName, null);
            schemes.Add((ApiKeyAuthentication.SchemeName, ApiKeyAuthentication.Header));
            expected.Add($"'{ApiKeyAuthentication.Header}: KEY'");
        }

        if (schemes.Count == 0)
        {
            throw new SettingException(
                $"{Section}Enabled is true, but no credentials are configured: set {Section}ApiKeysPath, "
                + $"or one of Authority, JwksUrl, JwksPath and KeyPath under {Section}Jwt__.");
        }

        authentication.AddScheme<CallerOptions, CallerAuthentication>(CallerAuthentication.SchemeName, options =>
        {
            options.Schemes = schemes;
            options.Expected = $"metadata {string.Join(" or ", expected)}";
        });
        services.AddAuthorization(Configure);
    }

    /// <summary>Removes data protection, which AddAuthentication adds for cookies and which would write keys to the home folder.</summary>
    private static void RemoveDataProtection(this IServiceCollection services)
    {
        foreach (var service in services
            .Where(static service => service.ServiceType == typeof(IHostedService)
                && service.ImplementationType?.Assembly == typeof(DataProtectionServiceCollectionExtensions).Assembly)
            .ToList())
        {
            services.Remove(service);
        }
    }

    /// <returns>Whether tokens are configured.</returns>
    private static bool AddTokens(IServiceCollection services, JwtOptions options)
    {
        var source = SourceOf(options);
        if (source is null && options is { JwksPath: null, KeyPath: null })
        {
            return false;
        }

        if (options.JwksPath is { } jwks)
        {
            services.AddWatchedFile($"{Section}Jwt__JwksPath", jwks, static path => BearerTokens.ParseJwks(File.ReadAllText(path)));
        }

        if (options.KeyPath is { } key)
        {
            services.AddWatchedFile($"{Section}Jwt__KeyPath", key, BearerTokens.ReadSymmetricKey);
        }

        if (string.IsNullOrWhiteSpace(options.Issuer) && options.Authority is null)
        {
            throw new SettingException($"{Section}Jwt__Issuer is not set; expected the issuer whose tokens are accepted.");
        }

        if (source is not null)
        {
            services.AddSingleton(source);
            services.AddSingleton<IssuerKeys>();
            services.AddSingleton<IReloaded>(static provider => provider.GetRequiredService<IssuerKeys>());
            services.AddHostedService(static provider => provider.GetRequiredService<IssuerKeys>());
        }

        services.AddSingleton(provider => new BearerTokens(
            options,
            provider.GetServices<WatchedFile<IReadOnlyList<SecurityKey>>>(),
            provider.GetService<IssuerKeys>(),
            provider.GetRequiredService<TimeProvider>()));
        return true;
    }

    private static IssuerKeys.Source? SourceOf(JwtOptions options)
    {
        var (variable, url) = (options.Authority, options.JwksUrl) switch
        {
            (null, null) => default,
            ({ } authority, null) => ("Authority", authority),
            (null, { } jwks) => ("JwksUrl", jwks),
            _ => throw new SettingException($"{Section}Jwt__Authority and {Section}Jwt__JwksUrl are both set; expected one of them."),
        };
        if (url is null)
        {
            return null;
        }

        var isDiscovery = options.Authority is not null;
        var document = isDiscovery ? $"{url.TrimEnd('/')}/.well-known/openid-configuration" : url;
        var parsed = IssuerKeys.Source.Parse(document, options.RequireHttps);
        return parsed is not null
            ? new IssuerKeys.Source($"{Section}Jwt__{variable}", parsed, isDiscovery, options.RequireHttps)
            : throw new SettingException(
                $"{Section}Jwt__{variable} is '{Redacted.Url(url)}'; expected an https URL "
                + $"({Section}Jwt__RequireHttps=false also allows http).");
    }

    private static void AddWatchedFile<T>(this IServiceCollection services, string variable, string path, Func<string, T> read)
        where T : class => services.AddWatchedFile(new WatchedFile<T>([(variable, path)], () => read(path)));

    private static void Configure(JwtBearerOptions bearer, BearerTokens tokens)
    {
        bearer.TokenHandlers.Clear();
        bearer.TokenHandlers.Add(tokens);
        bearer.TokenValidationParameters = tokens.Parameters;
        bearer.SaveToken = false;
        bearer.Events = new JwtBearerEvents
        {
            OnMessageReceived = context =>
            {
                // JwtBearer would join repeated headers to one token.
                context.Token = context.Request.Headers.GetCommaSeparatedValues(HeaderNames.Authorization)
                    .FirstOrDefault(static value => value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))?[Bearer.Length..].Trim();
                if (context.Token is not null && tokens.Remembered(context.Token) is { } caller)
                {
                    context.Principal = new ClaimsPrincipal(caller);
                    context.Success();
                }

                return Task.CompletedTask;
            },
        };
    }

    private static void Configure(AuthorizationOptions authorization)
    {
        foreach (var scope in Scope.All)
        {
            authorization.AddPolicy(scope, policy => policy.RequireAuthenticatedUser().RequireClaim(Scope.Claim, scope));
        }

        // For gRPC methods without their own policy, so that a new method requires credentials. A path without a method is UNIMPLEMENTED
        // for every caller, and the management port has no callers.
        authorization.FallbackPolicy = new AuthorizationPolicyBuilder()
            .RequireAssertion(static context => context.User.Identity is { IsAuthenticated: true }
                || (context.Resource as HttpContext)?.GetEndpoint()?.Metadata.GetMetadata<GrpcMethodMetadata>() is null)
            .Build();
    }
}
