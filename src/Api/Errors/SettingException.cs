namespace RouteService.Api.Errors;

/// <summary>
/// The service cannot start with this configuration. The message is one line for the operator, and names the setting.
/// </summary>
internal sealed class SettingException(string message) : Exception(message);
