using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class AreaTests
{
    [Fact]
    public void A_box_has_what_is_between_its_corners_going_east() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, Geographies.Coordinates, (a, b, place) =>
        {
            var low = new Coordinate(Math.Min(a.LatitudeE7, b.LatitudeE7), a.LongitudeE7);
            var high = new Coordinate(Math.Max(a.LatitudeE7, b.LatitudeE7), b.LongitudeE7);
            if (low.LongitudeE7 == 1_800_000_000 && high.LongitudeE7 == -1_800_000_000)
            {
                return true;
            }

            var box = new Box(low, high);
            var (west, east, longitude) = (low.LongitudeE7, high.LongitudeE7, place.LongitudeE7);
            var isBetween = west <= east ? west <= longitude && longitude <= east : longitude >= west || longitude <= east;
            return box.Contains(place) == (isBetween && place.LatitudeE7 >= low.LatitudeE7 && place.LatitudeE7 <= high.LatitudeE7)
                && box.Contains(low) && box.Contains(high) && AreDisjoint(box.Boxes);
        }).Hold();

    [Fact]
    public void A_box_of_all_longitudes_has_both_of_the_antimeridian_and_one_to_180_has_that_alone()
    {
        var all = new Box(new(-10, -1_800_000_000), new(10, 1_800_000_000));
        var half = new Box(new(-10, 0), new(10, 1_800_000_000));
        var across = new Box(new(-10, 1_790_000_000), new(10, -1_790_000_000));

        Assert.True(all.Contains(new(0, 1_800_000_000)) && all.Contains(new(0, -1_800_000_000)));
        Assert.True(half.Contains(new(0, 1_800_000_000)));
        Assert.False(half.Contains(new(0, -1_800_000_000)));
        Assert.True(across.Contains(new(0, 1_800_000_000)) && across.Contains(new(0, -1_800_000_000)));
        Assert.False(across.Contains(new(0, 0)));
    }

    [Theory]
    [InlineData(11, 0, 10, 0, "low.latitude_e7")]
    [InlineData(0, 1_800_000_000, 10, -1_800_000_000, "low.longitude_e7")]
    public void An_empty_box_is_refused(int south, int west, int north, int east, string place) =>
        Assert.Equal(place, Assert.Throws<InvalidValueException>(() => new Box(new(south, west), new(north, east))).Place);

    [Theory]
    [InlineData(-1e-9)]
    [InlineData(20_015_087.001)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void A_radius_out_of_range_is_refused(double radius) =>
        Assert.Equal("radius_meters", Assert.Throws<InvalidValueException>(() => new Circle(default, radius)).Place);

    [Fact]
    public void A_circle_has_what_a_straight_line_through_the_earth_says() =>
        Prop.ForAll(Circles(), Geographies.Coordinates, (circle, anywhere) =>
        {
            foreach (var place in NearTheEdge(circle).Append(anywhere))
            {
                // Meters from the length of the chord, whose own rounding is decimetres near the antipodes.
                var (a, b) = (Vector(circle.Center), Vector(place));
                var chord = Math.Sqrt(Square(a.X - b.X) + Square(a.Y - b.Y) + Square(a.Z - b.Z));
                var meters = 2 * Haversine.EarthRadiusMeters * Math.Asin(Math.Min(chord / 2, 1));
                if (Math.Abs(meters - circle.RadiusMeters) > 1 && circle.Contains(place) != meters < circle.RadiusMeters)
                {
                    return false;
                }
            }

            return circle.Contains(circle.Center);
        }).Hold();

    [Fact]
    public void The_edge_of_a_circle_belongs_to_it() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (center, place) =>
            new Circle(center, Haversine.Meters(center, place)).Contains(place)).Hold();

    [Fact]
    public void A_circle_of_no_radius_has_its_center_under_all_its_coordinates()
    {
        Assert.True(new Circle(new(900_000_000, 17), 0).Contains(new(900_000_000, -1_234_567_890)));
        Assert.True(new Circle(new(5, 1_800_000_000), 0).Contains(new(5, -1_800_000_000)));
        Assert.False(new Circle(new(5, 1_800_000_000), 0).Contains(new(5, 1_799_999_999)));
    }

    [Fact]
    public void The_greatest_circle_is_the_whole_earth() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (center, place) =>
        {
            var earth = new Circle(center, Circle.MaxRadiusMeters);
            return earth.Contains(place) && earth.Boxes.Single() == BoundingBox.World;
        }).Hold();

    [Fact]
    public void What_a_circle_has_is_in_its_boxes() =>
        Prop.ForAll(Circles(), Geographies.Coordinates, (circle, anywhere) =>
            AreDisjoint(circle.Boxes)
            && NearTheEdge(circle).Append(anywhere).Append(circle.Center).All(place => !circle.Contains(place) || circle.Boxes.Any(box => box.Contains(place))))
            .Hold();

    [Fact]
    public void The_boxes_of_a_circle_are_not_much_larger_than_it()
    {
        var boxes = new Circle(new(600_000_000, 1_799_999_000), 1_000).Boxes;

        // 1 001 m are 0.0090021 degrees of latitude, and of longitude, at 60 degrees, twice that.
        Assert.All(boxes, static box => Assert.InRange(box.NorthEast.LatitudeE7, 600_090_000, 600_090_030));
        Assert.All(boxes, static box => Assert.InRange(box.SouthWest.LatitudeE7, 599_909_970, 599_910_000));
        Assert.Equal(2, boxes.Count);
        Assert.InRange(boxes.Sum(static box => (long)box.NorthEast.LongitudeE7 - box.SouthWest.LongitudeE7), 2 * 180_000, 2 * 180_100);
    }

    internal static bool AreDisjoint(IReadOnlyList<BoundingBox> boxes) => boxes.Count switch
    {
        1 => true,
        2 => boxes[0].NorthEast.LongitudeE7 < boxes[1].SouthWest.LongitudeE7 || boxes[1].NorthEast.LongitudeE7 < boxes[0].SouthWest.LongitudeE7,
        _ => false,
    };

    private static Arbitrary<Circle> Circles() => (
        from center in Geographies.Coordinates.Generator
        from size in Gen.Choose(0, 7)
        from share in Gen.Choose(0, 2_001_508)
        select new Circle(center, share * Math.Pow(10, size - 6))).ToArbitrary();

    /// <summary>Places in 16 directions, a little inside and outside of the edge.</summary>
    private static IEnumerable<Coordinate> NearTheEdge(Circle circle)
    {
        var latitude = double.DegreesToRadians(circle.Center.LatitudeDegrees);
        foreach (var direction in Enumerable.Range(0, 16).Select(static i => i * Math.PI / 8))
        {
            foreach (var distance in ((double[])[0.999_999, 1 - 1e-12, 1, 1.000_001]).Select(share => circle.RadiusMeters * share / Haversine.EarthRadiusMeters))
            {
                var there = Math.Asin(Math.Clamp(
                    (Math.Sin(latitude) * Math.Cos(distance)) + (Math.Cos(latitude) * Math.Sin(distance) * Math.Cos(direction)), -1, 1));
                var turn = Math.Atan2(
                    Math.Sin(direction) * Math.Sin(distance) * Math.Cos(latitude), Math.Cos(distance) - (Math.Sin(latitude) * Math.Sin(there)));
                var longitude = circle.Center.LongitudeDegrees + double.RadiansToDegrees(turn);
                longitude = longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude;
                if (Coordinate.TryFromDegrees(double.RadiansToDegrees(there), longitude, out var place))
                {
                    yield return place;
                }
            }
        }
    }

    private static (double X, double Y, double Z) Vector(Coordinate place)
    {
        var (latitude, longitude) = (double.DegreesToRadians(place.LatitudeDegrees), double.DegreesToRadians(place.LongitudeDegrees));
        return (Math.Cos(latitude) * Math.Cos(longitude), Math.Cos(latitude) * Math.Sin(longitude), Math.Sin(latitude));
    }

    private static double Square(double value) => value * value;
}
