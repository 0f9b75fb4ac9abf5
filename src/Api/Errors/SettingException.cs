namespace RouteService.Api.Errors;

/// <summary>
/// The service cannot start with this configuration. The message is one line that names the setting, for the person who starts it.
/// </summary>
internal sealed class SettingException(string message) : Exception(message);
