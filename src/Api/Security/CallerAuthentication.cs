using System.Security.Claims;
using System.Text.Encodings.Web;
using Google.Rpc;
using Grpc.Core;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

internal sealed class CallerOptions : AuthenticationSchemeOptions
{
    /// <summary>A scheme for each kind of credentials, with its header. The first valid credentials name the caller.</summary>
    public IReadOnlyList<(string Scheme, string Header)> Schemes { get; set; } = [];

    /// <summary>Expected metadata, as the message for callers without credentials names it.</summary>
    public string Expected { get; set; } = "";
}

/// <summary>
/// The default scheme: valid credentials of any kind are enough, whatever a gateway adds to them. The caller has the scopes of all valid
/// credentials. A refusal is a gRPC status.
/// </summary>
/// <remarks>The base class gets no logger: it would log a second line for each refusal, without its call.</remarks>
internal sealed partial class CallerAuthentication(
    IOptionsMonitor<CallerOptions> options, UrlEncoder encoder, LogThrottle throttle, ILogger<CallerAuthentication> logger)
    : AuthenticationHandler<CallerOptions>(options, NullLoggerFactory.Instance, encoder)
{
    public const string SchemeName = "Caller";

    private const int MaxNameLength = 100;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        ClaimsPrincipal? caller = null;
        CredentialsException? refusal = null;
        foreach (var (scheme, header) in Options.Schemes)
        {
            if (!Request.Headers.ContainsKey(header))
            {
                continue;
            }

            var result = await Context.AuthenticateAsync(scheme);
            if (result.Failure is { } failure)
            {
                refusal = CredentialsException.Join(refusal, failure);
            }
            else if (result.Principal is { } principal)
            {
                caller ??= new ClaimsPrincipal();
                caller.AddIdentities(principal.Identities);
            }
        }

        if (caller is null)
        {
            return refusal is null ? AuthenticateResult.NoResult() : AuthenticateResult.Fail(refusal);
        }

        if (refusal is not null && throttle.IsDue(nameof(Log.RefusedBeside), out var count))
        {
            var method = Context.GetEndpoint() is null ? "an unknown method" : Request.Path.Value!;
            Log.RefusedBeside(logger, caller.Identity?.Name, method, refusal.Message, count);
        }

        return AuthenticateResult.Success(new AuthenticationTicket(caller, SchemeName));
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var refusal = (await HandleAuthenticateOnceAsync()).Failure as CredentialsException
            ?? new CredentialsException($"Authentication required: send {Options.Expected}.");
        if (throttle.IsDue(nameof(Log.Unauthenticated), out var count))
        {
            Log.Unauthenticated(logger, Request.Path, Context.ClientIdentity(), refusal.Message, count);
        }

        var (code, reason) = refusal.IsUnavailable
            ? (StatusCode.Unavailable, "KEYS_UNAVAILABLE")
            : (StatusCode.Unauthenticated, "UNAUTHENTICATED");
        Response.Refuse(code, refusal.Message, new ErrorInfo { Reason = reason, Domain = ErrorInterceptor.ErrorDomain });
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var scope = Context.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>()?.Policy;
        var client = Context.ClientIdentity();
        var name = client.Length > MaxNameLength ? $"{client[..MaxNameLength]}…" : client;
        var message = $"'{name}' lacks the scope {scope} that {Request.Path} requires.";
        if (throttle.IsDue(nameof(Log.Forbidden), out var count))
        {
            Log.Forbidden(logger, message, count);
        }

        Response.Refuse(
            StatusCode.PermissionDenied, message, new ErrorInfo { Reason = "SCOPE_MISSING", Domain = ErrorInterceptor.ErrorDomain });
        return Task.CompletedTask;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Method} refused to {Client}: {Refusal} (since the last such line: {Count})")]
        public static partial void Unauthenticated(ILogger logger, string method, string client, string refusal, int count);

        [LoggerMessage(2, LogLevel.Information, "{Refusal} (since the last such line: {Count})")]
        public static partial void Forbidden(ILogger logger, string refusal, int count);

        [LoggerMessage(
            3,
            LogLevel.Information,
            "'{Caller}' sent {Method} invalid credentials beside valid ones, ignored: {Refusal} (since the last such line: {Count})")]
        public static partial void RefusedBeside(ILogger logger, string? caller, string method, string refusal, int count);
    }
}
