using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Infrastructure.Tests;

public sealed class HilbertCurveTests
{
    [Fact]
    public void The_curve_goes_from_each_location_of_a_square_to_one_beside_it()
    {
        // An aligned square of 64 by 64 steps is one piece of the curve.
        const int Side = 64;
        var south = -Coordinate.MaxLatitudeE7 + (5 * Side);
        var west = -Coordinate.MaxLongitudeE7 + (9 * Side);
        Coordinate[] square =
        [
            .. from y in Enumerable.Range(0, Side)
               from x in Enumerable.Range(0, Side)
               select new Coordinate(south + y, west + x),
        ];

        Coordinate[] along = [.. square.OrderBy(HilbertCurve.Position)];

        Assert.Equal(square.Length - 1, HilbertCurve.Position(along[^1]) - HilbertCurve.Position(along[0]));
        Assert.All(along.Zip(along.Skip(1)), static step => Assert.Equal(
            1, Math.Abs(step.First.LatitudeE7 - step.Second.LatitudeE7) + Math.Abs(step.First.LongitudeE7 - step.Second.LongitudeE7)));
    }

    [Fact]
    public void Corners_of_the_world_have_positions_of_their_own()
    {
        var (latitude, longitude) = (Coordinate.MaxLatitudeE7, Coordinate.MaxLongitudeE7);
        Coordinate[] corners = [new(latitude, longitude), new(latitude, -longitude), new(-latitude, longitude), new(-latitude, -longitude), new(0, 0)];

        Assert.Equal(corners.Length, corners.Select(HilbertCurve.Position).Distinct().Count());
    }
}
