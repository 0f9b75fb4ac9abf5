using RouteService.Client;
using RouteService.Client.Testing;
using Xunit;

namespace RouteService.Samples;

// Usage: dotnet run --project samples/UnitTests
public sealed class TravelGuideTests
{
    private static readonly BoundingBox Manhattan = BoundingBox.FromDegrees(40.70, -74.02, 40.88, -73.90);

    private readonly InMemoryRouteService _service = new()
    {
        new Feature(Coordinate.FromDegrees(40.7033, -74.0170), "Battery Park"),
        new Feature(Coordinate.FromDegrees(40.7812, -73.9665), "Central Park"),
        new Feature(Coordinate.FromDegrees(40.6602, -73.9690), "Prospect Park"),
    };

    [Fact]
    public async Task The_places_of_an_area_are_named() =>
        Assert.Equal("See Battery Park and Central Park!", await new TravelGuide(_service).DescribeAsync(Manhattan));

    [Fact]
    public async Task An_area_may_be_empty() =>
        Assert.Equal("Nothing to see here.", await new TravelGuide(_service).DescribeAsync(BoundingBox.FromDegrees(0, 0, 1, 1)));

    [Fact]
    public async Task An_outage_is_no_error_of_ours()
    {
        _service.Fault = call => new RouteServiceException(FailureReason.Unavailable, $"{call}: it is down.");

        Assert.Equal("Ask me again later.", await new TravelGuide(_service).DescribeAsync(Manhattan));
    }
}
