using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>A note that a client posts at a location.</summary>
/// <param name="Location">Location of the note. Only notes at exactly the same coordinate belong together.</param>
/// <param name="Message">Any text; may be empty.</param>
public sealed record RouteNote(Coordinate Location, string Message);
