using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>A note that a client leaves at a location.</summary>
/// <param name="Location">Where it is; only notes at exactly the same coordinate belong together.</param>
/// <param name="Message">Any text, also the empty one.</param>
public sealed record RouteNote(Coordinate Location, string Message);
