using FsCheck.Fluent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class BoundingBoxTests
{
    [Fact]
    public void The_corners_come_in_any_order() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (a, b) =>
        {
            var across = new Coordinate(a.LatitudeE7, b.LongitudeE7);
            var opposite = new Coordinate(b.LatitudeE7, a.LongitudeE7);
            return new BoundingBox(a, b) == new BoundingBox(b, a) && new BoundingBox(a, b) == new BoundingBox(across, opposite);
        }).Hold();

    [Fact]
    public void All_four_corners_are_inside() =>
        Prop.ForAll(Geographies.Coordinates, Geographies.Coordinates, (a, b) =>
        {
            var box = new BoundingBox(a, b);
            return box.Contains(a) && box.Contains(b)
                && box.Contains(new Coordinate(a.LatitudeE7, b.LongitudeE7)) && box.Contains(new Coordinate(b.LatitudeE7, a.LongitudeE7));
        }).Hold();

    [Fact]
    public void One_E7_beyond_an_edge_is_outside() =>
        Prop.ForAll(Geographies.Boxes, box =>
        {
            var (south, west) = (box.SouthWest.LatitudeE7, box.SouthWest.LongitudeE7);
            var (north, east) = (box.NorthEast.LatitudeE7, box.NorthEast.LongitudeE7);
            return Outside(south - 1, west) && Outside(north + 1, east) && Outside(south, west - 1) && Outside(north, east + 1);

            bool Outside(int latitude, int longitude) =>
                !Coordinate.IsLatitude(latitude) || !Coordinate.IsLongitude(longitude) || !box.Contains(new Coordinate(latitude, longitude));
        }).Hold();

    [Fact]
    public void A_place_is_inside_when_both_its_numbers_are_between_the_edges() =>
        Prop.ForAll(Geographies.Boxes, Geographies.Coordinates, (box, place) =>
            box.Contains(place)
            == (Math.Clamp(place.LatitudeE7, box.SouthWest.LatitudeE7, box.NorthEast.LatitudeE7) == place.LatitudeE7
                && Math.Clamp(place.LongitudeE7, box.SouthWest.LongitudeE7, box.NorthEast.LongitudeE7) == place.LongitudeE7))
            .Hold();

    [Fact]
    public void The_world_has_every_place() =>
        Prop.ForAll(Geographies.Coordinates, BoundingBox.World.Contains).Hold();

    [Fact]
    public void A_box_never_crosses_the_antimeridian()
    {
        var fiji = new BoundingBox(new Coordinate(-200_000_000, 1_790_000_000), new Coordinate(-150_000_000, -1_790_000_000));

        Assert.True(fiji.Contains(new Coordinate(-170_000_000, 0)));
        Assert.False(fiji.Contains(new Coordinate(-170_000_000, 1_795_000_000)));
    }
}
