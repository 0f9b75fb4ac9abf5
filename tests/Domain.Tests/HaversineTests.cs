using FsCheck.Fluent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class HaversineTests
{
    private const double HalfCircumference = Math.PI * Haversine.EarthRadiusMeters;

    // A double holds a way of half the earth to some nanometres; a thousand operations' rounding stays far below a millimetre,
    // but near the antipodes the formula itself loses half its digits, some decimetres.
    private const double Tolerance = 1;

    [Fact]
    public void The_way_back_is_as_long() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (a, b) => Haversine.Meters(a, b).Equals(Haversine.Meters(b, a)))
            .Hold();

    [Fact]
    public void A_detour_is_never_shorter() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, Geographies.Coordinates, (a, b, c) =>
            Haversine.Meters(a, c) <= Haversine.Meters(a, b) + Haversine.Meters(b, c) + Tolerance)
            .Hold();

    [Fact]
    public void No_way_is_negative_or_longer_than_half_around_the_earth() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (a, b) => Haversine.Meters(a, b) is >= 0 and <= HalfCircumference + Tolerance)
            .Hold();

    [Fact]
    public void A_place_is_at_no_distance_from_itself() =>
        Prop.ForAll(Geographies.Coordinates, place => Haversine.Meters(place, place) == 0).Hold();

    [Fact]
    public void Antipodes_are_half_around_the_earth_apart() =>
        Prop.ForAll(Geographies.Coordinates, place =>
        {
            var longitude = place.LongitudeE7 <= 0 ? place.LongitudeE7 + Coordinate.MaxLongitudeE7 : place.LongitudeE7 - Coordinate.MaxLongitudeE7;
            return Math.Abs(Haversine.Meters(place, new Coordinate(-place.LatitudeE7, longitude)) - HalfCircumference) < Tolerance;
        }).Hold();

    [Fact]
    public void What_is_farther_by_degrees_is_not_below_the_least_distance() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, Geographies.Coordinates, (from, one, other) =>
        {
            var (near, far) = Degrees(from, one) <= Degrees(from, other) ? (one, other) : (other, one);
            return Haversine.Meters(from, far) >= Haversine.LeastMeters(from, near);
        }).Hold();

    [Theory]
    [InlineData(0, 0, 0, 10_000_000, 0.99)]
    [InlineData(600_000_000, 1_000_000_000, 600_000_000, 1_001_000_000, 0.99)]
    [InlineData(-600_000_000, 1_000_000_000, -601_000_000, 1_000_000_000, 0.49)]
    [InlineData(0, 1_799_000_000, 0, 1_789_000_000, 0.099)]
    public void The_least_distance_is_not_far_below_that_of_the_other_location(int latitude, int longitude, int south, int west, double part)
    {
        var (from, other) = (new Coordinate(latitude, longitude), new Coordinate(south, west));

        Assert.InRange(Haversine.LeastMeters(from, other) / Haversine.Meters(from, other), part, 1);
    }

    [Fact]
    public void Neighbours_across_the_antimeridian_are_near()
    {
        var meters = Haversine.Meters(new Coordinate(0, 1_799_999_999), new Coordinate(0, -1_799_999_999));

        Assert.Equal(2e-7 * Math.PI / 180 * Haversine.EarthRadiusMeters, meters, 1e-6);
    }

    [Fact]
    public void All_longitudes_of_a_pole_are_one_place() =>
        Assert.Equal(0, Haversine.Meters(new Coordinate(900_000_000, 0), new Coordinate(900_000_000, 1_234_567_890)));

    [Fact]
    public void The_two_longitudes_of_the_antimeridian_are_one_place() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (a, b) =>
        {
            var (east, west) = (new Coordinate(a.LatitudeE7, 1_800_000_000), new Coordinate(a.LatitudeE7, -1_800_000_000));
            return Haversine.Meters(east, west) == 0 && Haversine.Meters(east, b).Equals(Haversine.Meters(west, b));
        }).Hold();

    [Theory]
    [InlineData(409_146_138, -746_188_906, 409_146_138, -746_188_906, 0)]
    [InlineData(0, 0, 0, 10_000_000, 111_194.92664455873)] // One degree of the equator: R * pi / 180.
    [InlineData(0, 0, 900_000_000, 0, 10_007_543.398010286)] // A quarter of a meridian.
    [InlineData(-900_000_000, 0, 900_000_000, 0, 20_015_086.796020572)] // Pole to pole.
    public void Known_ways(int fromLatitude, int fromLongitude, int toLatitude, int toLongitude, double meters) =>
        Assert.Equal(meters, Haversine.Meters(new Coordinate(fromLatitude, fromLongitude), new Coordinate(toLatitude, toLongitude)), 1e-6);

    private static double Degrees(Coordinate from, Coordinate to) =>
        Math.Sqrt(Math.Pow((double)to.LatitudeE7 - from.LatitudeE7, 2) + Math.Pow((double)to.LongitudeE7 - from.LongitudeE7, 2));
}
