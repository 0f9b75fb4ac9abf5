using System.Globalization;
using System.Numerics;
using FsCheck;
using FsCheck.Fluent;
using NetTopologySuite.Geometries;
using NetTopologySuite.Operation.Valid;
using Coordinate = RouteService.Domain.Geography.Coordinate;
using Polygon = RouteService.Domain.Geography.Polygon;

namespace RouteService.Domain.Tests;

public sealed class PolygonTests
{
    private const int Grid = 12;
    private const long Half = 1_800_000_000;

    [Fact]
    public void A_polygon_is_valid_where_NetTopologySuite_finds_it_valid()
    {
        var (valid, invalid) = (0, 0);
        Prop.ForAll(Shapes(), shape =>
        {
            var isValid = IsValid(shape.Rings);
            var fault = Refusal(shape.Rings);
            valid += isValid ? 1 : 0;
            invalid += isValid ? 0 : 1;
            return ((fault is null) == isValid).Label($"{shape}: {fault?.Message}");
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5_000));

        Assert.InRange(valid, 1_000, 4_000);
        Assert.InRange(invalid, 1_000, 4_000);
    }

    [Fact]
    public void A_polygon_has_what_a_slow_model_of_fractions_says()
    {
        var (inside, outside) = (0, 0);
        Prop.ForAll(Shapes(), shape =>
        {
            if (Refusal(shape.Rings) is not null)
            {
                return true;
            }

            var polygon = new Polygon(shape.Rings);
            foreach (var place in shape.Places())
            {
                var has = ModelContains(shape.Rings, place);
                inside += has ? 1 : 0;
                outside += has ? 0 : 1;
                if (polygon.Contains(place) != has || (has && !polygon.Boxes.Any(box => box.Contains(place))))
                {
                    return false;
                }
            }

            return AreaTests.AreDisjoint(polygon.Boxes);
        }).Hold();

        Assert.True(inside > 10_000 && outside > 10_000);
    }

    [Fact]
    public void Neither_orientation_nor_the_first_point_of_a_ring_matters() =>
        Prop.ForAll(Shapes(), Gen.Choose(1, 5).ToArbitrary(), (shape, steps) =>
        {
            if (Refusal(shape.Rings) is not null)
            {
                return true;
            }

            var polygon = new Polygon(shape.Rings);
            var other = new Polygon([.. shape.Rings.Select(ring => Rotated(ring, steps).Reverse().ToArray())]);
            return shape.Places().All(place => polygon.Contains(place) == other.Contains(place));
        }).Hold();

    [Fact]
    public void A_polygon_across_the_antimeridian_goes_the_shorter_way()
    {
        var fiji = new Polygon([[new(-200_000_000, 1_770_000_000), new(-200_000_000, -1_780_000_000), new(-150_000_000, -1_780_000_000), new(-150_000_000, 1_770_000_000), new(-200_000_000, 1_770_000_000)]]);

        Assert.True(fiji.Contains(new(-170_000_000, 1_800_000_000)));
        Assert.True(fiji.Contains(new(-170_000_000, -1_800_000_000)));
        Assert.False(fiji.Contains(new(-170_000_000, 0)));
        Assert.Equal(2, fiji.Boxes.Count);
    }

    [Fact]
    public void An_edge_on_the_antimeridian_has_both_of_its_longitudes()
    {
        var polygon = new Polygon([[new(0, 1_790_000_000), new(0, 1_800_000_000), new(100, -1_800_000_000), new(100, 1_790_000_000), new(0, 1_790_000_000)]]);

        Assert.True(polygon.Contains(new(50, 1_800_000_000)) && polygon.Contains(new(50, -1_800_000_000)));
        Assert.All([new Coordinate(50, 1_800_000_000), new(50, -1_800_000_000)], place => Assert.Contains(polygon.Boxes, box => box.Contains(place)));
        Assert.False(polygon.Contains(new(50, -1_799_999_999)));
    }

    [Fact]
    public void A_polygon_may_be_nearly_as_wide_as_the_world_and_reach_both_poles()
    {
        var world = new Polygon([[
            new(-900_000_000, -1_799_999_999), new(-900_000_000, -600_000_000), new(-900_000_000, 600_000_000), new(-900_000_000, 1_799_999_999),
            new(900_000_000, 1_799_999_999), new(900_000_000, 600_000_000), new(900_000_000, -600_000_000), new(900_000_000, -1_799_999_999), new(-900_000_000, -1_799_999_999)]]);

        Assert.True(world.Contains(new(900_000_000, 0)) && world.Contains(new(-900_000_000, -1_799_999_999)) && world.Contains(new(0, 0)));
        Assert.False(world.Contains(new(0, 1_800_000_000)));
        Assert.False(world.Contains(new(0, -1_800_000_000)));
    }

    [Fact]
    public void The_inside_of_a_hole_is_out_and_its_edge_is_in()
    {
        var polygon = new Polygon([Square(0, 0, 100), Square(10, 10, 20)]);

        Assert.False(polygon.Contains(new(20, 20)));
        Assert.True(polygon.Contains(new(10, 20)) && polygon.Contains(new(10, 10)) && polygon.Contains(new(30, 30)) && polygon.Contains(new(9, 20)));
        Assert.False(polygon.Contains(new(11, 11)));
    }

    [Theory]
    [InlineData("", "rings", "is empty")]
    [InlineData("0,0 0,9 9,9", "rings[0].points", "3 points")]
    [InlineData("0,0 0,9 9,9 9,0", "rings[0].points[3]", "expected the ring's first point again, 0,0")]
    [InlineData("0,0 0,9 0,9 0,0", "rings[0].points", "fewer than three different")]
    [InlineData("0,0 5,1800000000 5,9 0,0", "rings[0].points[0]", "exactly 180 degrees")]
    [InlineData("0,5 9,-1799999995 9,9 0,5", "rings[0].points[0]", "exactly 180 degrees")]
    [InlineData("800000000,0 800000000,1200000000 800000000,-1200000000 800000000,0", "rings[0].points[3]", "goes around a pole")]
    [InlineData("0,0 0,9 9,0 9,9 0,0", "rings[0].points[3]", "crosses the edge that begins at rings[0].points[1]")]
    [InlineData("0,0 0,9 0,4 9,9 0,0", "rings[0].points[1]", "runs along the edge that begins at rings[0].points[0]")]
    [InlineData("0,0 0,9 9,9 0,4 9,0 0,0", "rings[0].points[3]", "meets the edge that begins at rings[0].points[0]")]
    [InlineData("0,0 0,0 0,9 0,9 9,0 9,9 9,9 0,0", "rings[0].points[5]", "crosses the edge that begins at rings[0].points[2]")]
    [InlineData("0,-1800000000 0,1800000000 9,1800000000 9,-1800000000 0,-1800000000", "rings[0].points", "fewer than three different")]
    [InlineData("0,0 0,9 9,9 9,0 0,0|20,20 20,21 21,21 20,20", "rings[1].points[0]", "not inside of rings[0]")]
    [InlineData("0,0 0,9 9,9 0,0|6,1 7,1 7,2 6,1", "rings[1].points[0]", "not inside of rings[0]")]
    [InlineData("0,0 0,9 9,9 9,0 0,0|1,1 1,8 8,8 8,1 1,1|2,2 2,3 3,3 2,2", "rings[2].points[0]", "inside of the hole rings[1]")]
    [InlineData("0,0 0,9 9,9 9,0 0,0|1,1 1,6 6,6 1,1|5,3 2,5 2,8 5,3", "rings[2].points[0]", "crosses the edge that begins at rings[1].points[2]")]
    [InlineData("0,0 0,9 9,9 9,0 0,0|0,2 0,4 3,3 0,2", "rings[1].points[0]", "runs along the edge that begins at rings[0].points[0]")]
    [InlineData("0,-1800000000 0,-600000000 0,600000000 0,1800000000 9,600000000 9,-600000000 0,-1800000000", "rings[0].points", "spans 360 degrees")]
    public void The_fault_and_its_place_are_told(string rings, string place, string words)
    {
        var refusal = Assert.Throws<InvalidValueException>(() => new Polygon(Parse(rings)));

        Assert.Equal(place, refusal.Place);
        Assert.Contains(words, refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0,0 0,9 9,9 9,0 0,0|0,4 3,3 3,5 0,4")] // A hole touches the edge of the shell.
    [InlineData("0,0 0,9 9,9 9,0 0,0|0,0 3,2 2,3 0,0")] // A hole touches a corner of the shell.
    [InlineData("0,0 0,9 9,9 9,0 0,0|1,1 1,2 2,2 1,1|2,2 3,2 3,3 2,2")] // Holes touch each other.
    [InlineData("0,0 0,9 9,9 9,0 0,0|0,4 5,0 9,5 5,9 0,4")] // A hole touches all sides and cuts the inside into four.
    [InlineData("0,0 0,9 0,9 9,9 9,0 0,0 0,0")] // Points repeat.
    [InlineData("0,1799999990 0,-1799999990 20,-1799999990 20,1799999990 0,1799999990|1,-1799999995 2,-1799999995 2,-1799999999 1,-1799999995")]
    public void Rings_may_touch_at_points(string rings) => Assert.Null(Refusal(Parse(rings)));

    [Fact]
    public void A_helix_of_a_ring_is_refused()
    {
        // East for more than a turn while it goes north, and back beside itself.
        var there = Enumerable.Range(0, 8).Select(static i => new Coordinate(i * 10_000_000, Wrapped(i * 600_000_000L))).ToList();
        var back = there.AsEnumerable().Reverse().Select(static point => new Coordinate(point.LatitudeE7 + 1_000_000, point.LongitudeE7));

        var refusal = Refusal([[.. there, .. back, there[0]]]);

        Assert.Contains("spans 360 degrees", refusal!.Message);
    }

    [Fact]
    public void Ten_thousand_points_are_taken_and_one_more_is_not()
    {
        // A comb with long teeth aslant, so that the boxes of all its edges meet.
        var teeth = Enumerable.Range(0, 4_999).SelectMany(static i => new[] { new Coordinate(i * 10, i * 10), new Coordinate(100_000_000 + (i * 10), -100_000_000 + (i * 10) + 4) });
        Coordinate[] comb = [.. teeth, new(-100_000_000, 200_000_000), new(0, 0)];
        Assert.Equal(Polygon.MaxPoints, comb.Length);

        Assert.Null(Refusal([comb]));
        Assert.Equal("rings", Refusal([[.. comb, new(0, 0)]])!.Place);

        var polygon = new Polygon([comb]);
        Assert.All(comb.Where(static (_, i) => i % 100 == 0), point => Assert.True(polygon.Contains(point)));
    }

    /// <summary>An L has a corner of each kind; a hole in it, or a ring beside it, begins there. Points are X,Y.</summary>
    [Theory]
    [InlineData("10,10 4,14 4,12", true)]
    [InlineData("10,10 14,4 12,4", true)]
    [InlineData("10,10 5,5 5,4", true)]
    [InlineData("10,10 14,12 12,14", false)]
    [InlineData("20,10 15,6 15,4", true)]
    [InlineData("20,10 12,12 14,14", false)]
    [InlineData("10,20 6,15 4,15", true)]
    [InlineData("10,20 12,12 14,14", false)]
    [InlineData("0,0 5,4 4,5", true)]
    public void A_hole_that_begins_at_a_corner_is_inside_or_outside_whatever_the_corner_is(string points, bool isInside)
    {
        Coordinate[] shell = [.. Points("0,0 20,0 20,10 10,10 10,20 0,20")];
        var hole = Points(points).ToArray();
        for (var steps = 0; steps < shell.Length; steps++)
        {
            Coordinate[] turned = [.. shell[steps..], .. shell[..steps]];
            foreach (var ring in (Coordinate[][])[turned, [.. turned.Reverse()]])
            {
                foreach (var inner in (Coordinate[][])[hole, [hole[0], hole[2], hole[1]]])
                {
                    Assert.Equal(isInside, Refusal([[.. ring, ring[0]], [.. inner, inner[0]]]) is null);
                }
            }
        }

        static IEnumerable<Coordinate> Points(string text) => text.Split(' ').Select(static point => point.Split(','))
            .Select(static point => new Coordinate(int.Parse(point[1], CultureInfo.InvariantCulture), int.Parse(point[0], CultureInfo.InvariantCulture)));
    }

    private static InvalidValueException? Refusal(Coordinate[][] rings)
    {
        try
        {
            _ = new Polygon(rings);
            return null;
        }
        catch (InvalidValueException refusal)
        {
            Assert.StartsWith("rings", refusal.Place);
            return refusal;
        }
    }

    private static Coordinate[][] Parse(string rings) => [.. rings.Split('|', StringSplitOptions.RemoveEmptyEntries).Select(static ring =>
        ring.Split(' ').Select(static point => point.Split(',')).Select(static point => new Coordinate(int.Parse(point[0]), int.Parse(point[1]))).ToArray())];

    private static Coordinate[] Square(int south, int west, int size) =>
        [new(south, west), new(south, west + size), new(south + size, west + size), new(south + size, west), new(south, west)];

    private static Coordinate[] Rotated(Coordinate[] ring, int steps)
    {
        var open = ring[..^1];
        var first = steps % open.Length;
        return [.. open[first..], .. open[..first], open[first]];
    }

    private static int Wrapped(long longitude)
    {
        var turned = (((longitude + Half) % (2 * Half)) + (2 * Half)) % (2 * Half);
        return (int)(turned - Half);
    }

    /// <summary>The longitudes of a ring, each the nearest of its turns to the one before; null where that is not told.</summary>
    private static List<(long X, long Y)>? Unrolled(Coordinate[] ring)
    {
        var points = new List<(long X, long Y)>();
        foreach (var point in ring)
        {
            var x = (long)point.LongitudeE7;
            if (points.Count > 0)
            {
                var before = points[^1].X;
                var candidates = Enumerable.Range(-3, 7).Select(turn => x + (turn * 2 * Half)).Where(candidate => Math.Abs(candidate - before) < Half).ToList();
                if (candidates.Count != 1)
                {
                    return null;
                }

                x = candidates[0];
            }

            points.Add((x, point.LatitudeE7));
        }

        return points[0] == points[^1] && points.Max(static point => point.X) - points.Min(static point => point.X) < 2 * Half ? points : null;
    }

    private static bool IsValid(Coordinate[][] rings)
    {
        // NetTopologySuite takes flat triangles, which run back along themselves.
        var unrolled = rings.Select(Unrolled).ToList();
        if (unrolled.Contains(null) || unrolled.Any(static ring => IsFlat(ring!)))
        {
            return false;
        }

        var shell = Ring(unrolled[0]!, 0);
        var holes = unrolled.Skip(1).Select(hole => Enumerable.Range(-3, 7).Select(turn => Ring(hole!, turn * 2 * Half)).FirstOrDefault(turned => shell.EnvelopeInternal.Contains(turned.EnvelopeInternal))).ToList();
        if (holes.Contains(null))
        {
            return false;
        }

        var validity = new IsValidOp(new NetTopologySuite.Geometries.Polygon(shell, [.. holes]));
        if (validity.IsValid || validity.ValidationError.ErrorType != TopologyValidationErrors.DisconnectedInteriors)
        {
            return validity.IsValid;
        }

        // A hole may cut the inside in two: which places are inside is clear all the same. NetTopologySuite stops there, so the rest is asked for ring by ring.
        var parts = holes.Prepend(shell).Select(static ring => new NetTopologySuite.Geometries.Polygon(ring)).ToList();
        return parts.TrueForAll(static part => part.IsValid)
            && parts.Skip(1).All(hole => parts[0].Covers(hole) && !parts[0].Relate(hole, "****1****"))
            && parts.Skip(1).All(hole => parts.Skip(1).All(other => other == hole || (!hole.Relate(other, "T********") && !hole.Relate(other, "****1****"))));

        static LinearRing Ring(List<(long X, long Y)> points, long shift) =>
            new([.. points.Select(point => new NetTopologySuite.Geometries.Coordinate(point.X + shift, point.Y))]);
    }

    private static bool IsFlat(List<(long X, long Y)> ring) =>
        ring.Zip(ring.Skip(1)).Aggregate(BigInteger.Zero, static (sum, edge) => sum + (new BigInteger(edge.First.X) * edge.Second.Y) - (new BigInteger(edge.Second.X) * edge.First.Y)).IsZero;

    private static bool ModelContains(Coordinate[][] rings, Coordinate place) =>
        ModelPosition(rings[0], place) switch
        {
            0 => true,
            > 0 => rings.Skip(1).All(hole => ModelPosition(hole, place) <= 0),
            _ => false,
        };

    /// <summary>1 inside, 0 on the edge, -1 outside: by a ray to the north, for each turn around the earth, in exact fractions.</summary>
    private static int ModelPosition(Coordinate[] ring, Coordinate place)
    {
        var points = Unrolled(ring)!;
        foreach (var x in Enumerable.Range(-3, 7).Select(turn => place.LongitudeE7 + (turn * 2 * Half)))
        {
            var (y, above) = ((long)place.LatitudeE7, 0);
            foreach (var (a, b) in points.Zip(points.Skip(1)))
            {
                var (left, right) = a.X <= b.X ? (a, b) : (b, a);
                if (left.X == right.X)
                {
                    if (x == left.X && y >= Math.Min(a.Y, b.Y) && y <= Math.Max(a.Y, b.Y))
                    {
                        return 0;
                    }
                }
                else if (left.X <= x && x <= right.X)
                {
                    // The edge's latitude at x, times the edge's width.
                    var at = (new BigInteger(left.Y) * (right.X - x)) + (new BigInteger(right.Y) * (x - left.X));
                    var here = new BigInteger(y) * (right.X - left.X);
                    if (at == here)
                    {
                        return 0;
                    }

                    above += at > here && x < right.X ? 1 : 0;
                }
            }

            if (above % 2 == 1)
            {
                return 1;
            }
        }

        return -1;
    }

    /// <summary>Rings on a grid, which lies anywhere and is of any size: random ones, many of which cross themselves, with holes or without.</summary>
    private static Arbitrary<Shape> Shapes()
    {
        var shell = Gen.OneOf(
            RingOf(Gen.Choose(3, 6), Grid),
            Gen.Constant<(int X, int Y)[]>([(0, 0), (Grid, 0), (Grid, Grid), (0, Grid)]),
            Gen.Constant<(int X, int Y)[]>([(0, 0), (Grid / 2, 3), (Grid, 0), (Grid - 2, Grid / 2), (Grid, Grid), (0, Grid), (2, Grid / 2)]));
        var hole = from x in Gen.Choose(0, Grid - 4)
                   from y in Gen.Choose(0, Grid - 4)
                   from size in Gen.Choose(2, 5)
                   from points in RingOf(Gen.Choose(3, 4), size)
                   select points.Select(point => Moved(point, x, y)).ToArray();
        return (
            from outer in shell
            from count in Gen.Frequency((3, Gen.Constant(0)), (2, Gen.Constant(1)), (2, Gen.Constant(2)))
            from holes in Gen.ArrayOf(hole, count)
            from width in Gen.Elements(1L, 7, 12_345_678, 149_999_999, 150_000_000, 290_000_000, 299_999_999, 300_000_000)
            from height in Gen.Elements(1, 7, 12_345_678, 150_000_000)
            from west in Gen.Elements(-Half, -Half + 1, -3 * width, Half - (5 * width), Half - (Grid * width), Half)
            from south in Gen.Elements(-900_000_000, Math.Min(-3 * height, 900_000_000 - (Grid * height)), 900_000_000 - (Grid * height))
            select Shape.Of(holes.Prepend(outer), (x, y) => new Coordinate((int)(south + ((long)y * height)), Wrapped(west + ((long)x * width)))))
            .ToArbitrary();
    }

    private static (int X, int Y) Moved((int X, int Y) point, int x, int y) => (Math.Min(point.X + x, Grid), Math.Min(point.Y + y, Grid));

    private static Gen<(int X, int Y)[]> RingOf(Gen<int> count, int size) =>
        from n in count
        from points in Gen.ArrayOf(from x in Gen.Choose(0, size) from y in Gen.Choose(0, size) select (x, y), n)
        select points;

    private sealed record Shape(Coordinate[][] Rings, Coordinate[] OfGrid)
    {
        public static Shape Of(IEnumerable<(int X, int Y)[]> rings, Func<int, int, Coordinate> at) => new(
            [.. rings.Select(ring => ring.Append(ring[0]).Select(point => at(point.X, point.Y)).ToArray())],
            [.. from x in Enumerable.Range(-1, Grid + 3) from y in Enumerable.Range(0, Grid + 1) select at(x, y)]);

        /// <summary>The points of the grid, which meet vertices and edges, and their neighbours in E7.</summary>
        public IEnumerable<Coordinate> Places() => OfGrid.SelectMany(static point => new[]
        {
            point,
            new(Math.Min(point.LatitudeE7 + 1, 900_000_000), point.LongitudeE7),
            new(point.LatitudeE7, Wrapped(point.LongitudeE7 + 1L)),
            new(Math.Max(point.LatitudeE7 - 1, -900_000_000), Wrapped(point.LongitudeE7 - 1L)),
        });

        public override string ToString() => string.Join(" | ", Rings.Select(static ring => string.Join(' ', ring.Select(static point => $"{point.LatitudeE7},{point.LongitudeE7}"))));
    }
}
