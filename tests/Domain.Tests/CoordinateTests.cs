using FsCheck.Fluent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class CoordinateTests
{
    [Theory]
    [InlineData(900_000_000, 1_800_000_000)]
    [InlineData(-900_000_000, -1_800_000_000)]
    public void The_poles_and_the_antimeridian_are_places(int latitude, int longitude)
    {
        var place = new Coordinate(latitude, longitude);

        Assert.Equal((latitude, longitude), (place.LatitudeE7, place.LongitudeE7));
    }

    [Theory]
    [InlineData(900_000_001, 0, "latitudeE7")]
    [InlineData(-900_000_001, 0, "latitudeE7")]
    [InlineData(int.MinValue, 0, "latitudeE7")]
    [InlineData(0, 1_800_000_001, "longitudeE7")]
    [InlineData(0, -1_800_000_001, "longitudeE7")]
    [InlineData(0, int.MaxValue, "longitudeE7")]
    public void What_lies_beyond_them_is_none(int latitude, int longitude, string culprit)
    {
        var refusal = Assert.Throws<ArgumentOutOfRangeException>(() => new Coordinate(latitude, longitude));

        Assert.Equal(culprit, refusal.ParamName);
    }

    [Theory]
    [InlineData(40.9146138, -74.6188906, 409146138, -746188906)]
    [InlineData(0.00000004, -0.00000006, 0, -1)]
    [InlineData(90, -180, 900_000_000, -1_800_000_000)]
    [InlineData(90.00000000000001, 180.00000000000003, 900_000_000, 1_800_000_000)]
    [InlineData(-90.00000004, -180.00000004, -900_000_000, -1_800_000_000)]
    public void Degrees_are_rounded_to_the_nearest_E7(double latitude, double longitude, int latitudeE7, int longitudeE7)
    {
        Assert.True(Coordinate.TryFromDegrees(latitude, longitude, out var place));
        Assert.Equal(new Coordinate(latitudeE7, longitudeE7), place);
    }

    [Theory]
    [InlineData(90.0000001, 0)]
    [InlineData(-90.00000006, 0)]
    [InlineData(0, 180.00000006)]
    [InlineData(0, -180.0000001)]
    [InlineData(double.NaN, 0)]
    [InlineData(0, double.NaN)]
    [InlineData(double.PositiveInfinity, 0)]
    [InlineData(0, double.NegativeInfinity)]
    public void Degrees_that_are_no_place_are_refused(double latitude, double longitude) =>
        Assert.False(Coordinate.TryFromDegrees(latitude, longitude, out _));

    [Fact]
    public void Degrees_read_back_as_the_coordinate_they_were_of() =>
        Prop.ForAll(
            Geographies.Coordinates,
            place => Coordinate.TryFromDegrees(place.LatitudeDegrees, place.LongitudeDegrees, out var back) && back == place)
            .Hold();
}
