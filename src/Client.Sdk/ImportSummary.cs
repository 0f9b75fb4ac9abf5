namespace RouteService.Client;

/// <summary>What an import has done.</summary>
/// <param name="Read">Features that were sent.</param>
/// <param name="Superseded">Features that a later one at the same place replaced.</param>
/// <param name="Overwritten">Features that were there before and were written again; 0 if all others were removed.</param>
/// <param name="Total">Features that there are afterwards.</param>
public sealed record ImportSummary(long Read, long Superseded, long Overwritten, long Total);
