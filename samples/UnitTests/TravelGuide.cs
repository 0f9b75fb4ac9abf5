using RouteService.Client;

namespace RouteService.Samples;

/// <summary>What is tested here: code that takes a client by its interface.</summary>
public sealed class TravelGuide(IRouteServiceClient client)
{
    public async Task<string> DescribeAsync(BoundingBox area, CancellationToken cancellationToken = default)
    {
        try
        {
            var names = new List<string>();
            await foreach (var feature in client.ListFeaturesAsync(area, cancellationToken: cancellationToken))
            {
                names.Add(feature.Name);
            }

            return names.Count == 0 ? "Nothing to see here." : $"See {string.Join(" and ", names.Order(StringComparer.Ordinal))}!";
        }
        catch (RouteServiceException e) when (e.IsTransient)
        {
            return "Ask me again later.";
        }
    }
}
