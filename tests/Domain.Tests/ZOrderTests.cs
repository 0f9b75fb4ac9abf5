using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class ZOrderTests
{
    private static readonly Arbitrary<Coordinate> Coordinates = Geographies.Coordinates;

    [Fact]
    public void A_code_reads_back_as_its_place() => Hold(Prop.ForAll(Coordinates, place => ZOrder.Decode(ZOrder.Encode(place)) == place));

    [Fact]
    public void A_code_is_one_where_it_reads_as_a_place() =>
        Hold(Prop.ForAll(Geographies.Longs, Coordinates, (any, place) =>
            ZOrder.IsCode(ZOrder.Encode(place))
            && new[] { any, any << 32, ZOrder.Encode(place) ^ (1L << 61), ZOrder.Encode(place) | (3L << 61) }.All(code => ZOrder.IsCode(code) == IsPlace(code))));

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

            return ZOrder.NextInBox(code, first, last) == Places(box).Select(ZOrder.Encode).Where(candidate => candidate > code).Min();
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

    [Fact]
    public void The_first_code_in_boxes_is_the_one_that_trying_all_finds() =>
        Hold(Prop.ForAll(SmallBoxes(), Gen.Choose(-12, 12).ToArbitrary(), Gen.Choose(-12, 12).ToArbitrary(), (boxes, latitude, longitude) =>
        {
            var from = ZOrder.Encode(new Coordinate(latitude, longitude));
            var codes = boxes.SelectMany(Places).Select(ZOrder.Encode).Where(code => code >= from).ToList();
            return ZOrder.FirstInBoxes(from, boxes) == (codes.Count > 0 ? codes.Min() : null);
        }));

    [Fact]
    public void The_first_code_in_boxes_is_found_from_numbers_that_are_no_codes_too()
    {
        BoundingBox[] boxes = [new(new(-5, -5), new(-4, -4)), BoundingBox.World];

        Assert.Equal(ZOrder.World.First, ZOrder.FirstInBoxes(long.MinValue, boxes));
        Assert.Null(ZOrder.FirstInBoxes(ZOrder.World.Last + 1, boxes));
        for (var bit = 0; bit < 62; bit++)
        {
            var first = ZOrder.FirstInBoxes((1L << bit) - 1, boxes)!.Value;
            Assert.True(first >= (1L << bit) - 1 && ZOrder.IsCode(first));
        }
    }

    [Fact]
    public void The_world_is_one_range() => Assert.Equal([ZOrder.World], ZOrder.Ranges([BoundingBox.World]));

    [Fact]
    public void The_ranges_of_boxes_have_all_their_places_and_no_more_ranges_than_allowed() =>
        Hold(Prop.ForAll(SmallBoxes(), Gen.Choose(1, 6).ToArbitrary(), (boxes, limit) =>
        {
            var ranges = ZOrder.Ranges(boxes, limit);
            var codes = boxes.SelectMany(Places).Select(ZOrder.Encode).ToHashSet();
            return ranges.Count <= limit
                && codes.All(code => ranges.Any(range => range.First <= code && code <= range.Last))
                && ranges.All(range => codes.Contains(range.First) && codes.Contains(range.Last) && range.First <= range.Last)
                && ranges.Zip(ranges.Skip(1)).All(static pair => pair.First.Last + 1 < pair.Second.First);
        }));

    [Fact]
    public void With_enough_ranges_they_have_nothing_but_the_places_of_the_boxes() =>
        Hold(Prop.ForAll(SmallBoxes(), boxes =>
            ZOrder.Ranges(boxes, 300).Sum(static range => range.Last - range.First + 1) == boxes.SelectMany(Places).Distinct().LongCount()));

    [Fact]
    public void Any_place_of_any_boxes_is_in_their_ranges() => Hold(Prop.ForAll(Geographies.Boxes, Geographies.Boxes, Coordinates, (a, b, place) =>
    {
        var ranges = ZOrder.Ranges([a, b]);
        var inside = (BoundingBox box) => new Coordinate(
            Math.Clamp(place.LatitudeE7, box.SouthWest.LatitudeE7, box.NorthEast.LatitudeE7),
            Math.Clamp(place.LongitudeE7, box.SouthWest.LongitudeE7, box.NorthEast.LongitudeE7));
        return ranges.Count <= 64 && new[] { a, b }.Select(inside).Select(ZOrder.Encode).All(code =>
            ranges.Any(range => range.First <= code && code <= range.Last));
    }));

    [Fact]
    public void A_thin_strip_has_more_ranges_than_a_square()
    {
        var square = new BoundingBox(new(-100_000_001, -100_000_003), new(200_000_005, 200_000_007));
        var strip = new BoundingBox(new(-1_000_001, -1_790_000_003), new(1_000_005, 1_790_000_007));

        Assert.Equal(16, ZOrder.Ranges([square]).Count);
        Assert.Equal(64, ZOrder.Ranges([strip]).Count);
    }

    [Fact]
    public void A_square_of_the_curve_is_one_range()
    {
        var southWest = ZOrder.Decode(0b1101L << 40);
        var square = new BoundingBox(southWest, ZOrder.Decode((0b1110L << 40) - 1));

        Assert.Equal([new ZOrderRange(0b1101L << 40, (0b1110L << 40) - 1)], ZOrder.Ranges([square]));
    }

    /// <summary>One box or two, which may overlap, where all places can be tried.</summary>
    private static Arbitrary<BoundingBox[]> SmallBoxes()
    {
        var box =
            from south in Gen.Choose(-9, 6)
            from west in Gen.Choose(-9, 6)
            from height in Gen.Choose(0, 9)
            from width in Gen.Choose(0, 9)
            select new BoundingBox(new(south, west), new(south + height, west + width));
        return Gen.OneOf(
            from one in box select new[] { one },
            from one in box from other in box select new[] { one, other }).ToArbitrary();
    }

    private static IEnumerable<Coordinate> Places(BoundingBox box) =>
        from latitude in Enumerable.Range(box.SouthWest.LatitudeE7, box.NorthEast.LatitudeE7 - box.SouthWest.LatitudeE7 + 1)
        from longitude in Enumerable.Range(box.SouthWest.LongitudeE7, box.NorthEast.LongitudeE7 - box.SouthWest.LongitudeE7 + 1)
        select new Coordinate(latitude, longitude);

    private static bool IsPlace(long code)
    {
        try
        {
            return ZOrder.Encode(ZOrder.Decode(code)) == code;
        }
        catch (ArgumentOutOfRangeException)
        {
            return false;
        }
    }

    private static void Hold(Property property) => property.Check(Config.QuickThrowOnFailure.WithMaxTest(5_000));
}
