using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class ZOrderTests
{
    private static readonly Arbitrary<Coordinate> Coordinates = (
        from latitude in Near(Coordinate.MaxLatitudeE7)
        from longitude in Near(Coordinate.MaxLongitudeE7)
        select new Coordinate(latitude, longitude)).ToArbitrary();

    [Fact]
    public void A_code_reads_back_as_its_place() => Hold(Prop.ForAll(Coordinates, place => ZOrder.Decode(ZOrder.Encode(place)) == place));

    [Fact]
    public void No_code_is_negative() => Hold(Prop.ForAll(Coordinates, place => ZOrder.Encode(place) >= 0));

    [Fact]
    public void Two_places_have_two_codes() => Hold(Prop.ForAll(Coordinates, Coordinates, (a, b) => (a == b) == (ZOrder.Encode(a) == ZOrder.Encode(b))));

    [Fact]
    public void The_codes_of_a_box_are_between_those_of_its_corners() => Hold(Prop.ForAll(Coordinates, Coordinates, Coordinates, (a, b, place) =>
    {
        var box = new BoundingBox(a, b);
        return !box.Contains(place)
            || (ZOrder.Encode(box.SouthWest) <= ZOrder.Encode(place) && ZOrder.Encode(place) <= ZOrder.Encode(box.NorthEast));
    }));

    [Fact]
    public void The_next_code_in_a_box_is_the_one_that_trying_all_finds()
    {
        // Boxes and places of a small corner of the world, where all can be tried, at a place with many carries between the bits.
        var small =
            from south in Gen.Choose(-9, 6)
            from west in Gen.Choose(-9, 6)
            from height in Gen.Choose(0, 5)
            from width in Gen.Choose(0, 5)
            from latitude in Gen.Choose(-10, 10)
            from longitude in Gen.Choose(-10, 10)
            select (Box: new BoundingBox(new(south, west), new(south + height, west + width)), Place: new Coordinate(latitude, longitude));

        Hold(Prop.ForAll(small.ToArbitrary(), sample =>
        {
            var (box, place) = sample;
            var (first, last, code) = (ZOrder.Encode(box.SouthWest), ZOrder.Encode(box.NorthEast), ZOrder.Encode(place));
            if (code <= first || code >= last || box.Contains(place))
            {
                return true;
            }

            var all = from latitude in Enumerable.Range(box.SouthWest.LatitudeE7, box.NorthEast.LatitudeE7 - box.SouthWest.LatitudeE7 + 1)
                      from longitude in Enumerable.Range(box.SouthWest.LongitudeE7, box.NorthEast.LongitudeE7 - box.SouthWest.LongitudeE7 + 1)
                      select ZOrder.Encode(new Coordinate(latitude, longitude));
            return ZOrder.NextInBox(code, first, last) == all.Where(candidate => candidate > code).Min();
        }));
    }

    [Fact]
    public void The_next_code_in_any_box_is_in_it_and_above() => Hold(Prop.ForAll(Coordinates, Coordinates, Coordinates, (a, b, place) =>
    {
        var box = new BoundingBox(a, b);
        var (first, last, code) = (ZOrder.Encode(box.SouthWest), ZOrder.Encode(box.NorthEast), ZOrder.Encode(place));
        if (code <= first || code >= last || box.Contains(place))
        {
            return true;
        }

        var next = ZOrder.NextInBox(code, first, last);
        return next > code && box.Contains(ZOrder.Decode(next));
    }));

    private static Gen<int> Near(int limit) => Gen.Frequency(
        (4, Gen.Choose(-limit, limit)), (1, Gen.Choose(-5, 5)), (1, Gen.Choose(limit - 5, limit)), (1, Gen.Choose(-limit, -limit + 5)));

    private static void Hold(Property property) => property.Check(Config.QuickThrowOnFailure.WithMaxTest(5_000));
}
