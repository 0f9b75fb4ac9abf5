using Microsoft.AspNetCore.Authentication;

namespace RouteService.Api.Security;

/// <summary>Credentials are refused. The message is sent to the caller.</summary>
/// <param name="message">Reason of the refusal.</param>
/// <param name="isUnavailable">Whether the credentials could not be checked, and may be valid.</param>
internal sealed class CredentialsException(string message, bool isUnavailable = false) : AuthenticationFailureException(message)
{
    public bool IsUnavailable => isUnavailable;

    /// <summary>The refusal of several credentials.</summary>
    public static CredentialsException Join(CredentialsException? refusal, Exception failure)
    {
        var next = failure as CredentialsException ?? new CredentialsException("The credentials cannot be read.");
        return refusal is null ? next : new($"{refusal.Message} {next.Message}", refusal.IsUnavailable || next.IsUnavailable);
    }
}
