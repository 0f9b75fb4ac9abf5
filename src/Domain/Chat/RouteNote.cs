using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>A note that a traveller leaves at a place.</summary>
/// <param name="Location">Where; notes meet only at exactly the same coordinate.</param>
/// <param name="Message">Any text, also none.</param>
public sealed record RouteNote(Coordinate Location, string Message);
