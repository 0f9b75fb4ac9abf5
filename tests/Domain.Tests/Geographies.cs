using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

/// <summary>Generators that meet the edges (poles, antimeridian, equator) as often as the middle.</summary>
internal static class Geographies
{
    private static readonly Gen<int> Latitudes = Numbers(Coordinate.MaxLatitudeE7);
    private static readonly Gen<int> Longitudes = Numbers(Coordinate.MaxLongitudeE7);

    /// <summary>Runs a property; a counterexample fails the test and is printed with its seed.</summary>
    public static void Hold(this Property property) => property.Check(Config.QuickThrowOnFailure.WithMaxTest(1_000));

    public static Arbitrary<Coordinate> Coordinates { get; } =
        (from latitude in Latitudes from longitude in Longitudes select new Coordinate(latitude, longitude)).ToArbitrary();

    public static Arbitrary<BoundingBox> Boxes { get; } =
        (from a in Coordinates.Generator from b in Coordinates.Generator select new BoundingBox(a, b)).ToArbitrary();

    /// <summary>Any 64 bits, and often few.</summary>
    public static Arbitrary<long> Longs { get; } = Gen.OneOf(
        from high in Gen.Choose(0, int.MaxValue)
        from low in Gen.Choose(0, int.MaxValue)
        from bits in Gen.Choose(0, 3)
        select ((long)high << 33) | ((long)low << 2) | (long)bits,
        Gen.Choose(-3, 300).Select(static number => (long)number)).ToArbitrary();

    private static Gen<int> Numbers(int limit) => Gen.Frequency(
        (6, Gen.Choose(-limit, limit)),
        (1, Gen.Choose(-3, 3)),
        (1, Gen.Choose(limit - 3, limit)),
        (1, Gen.Choose(-limit, -limit + 3)),
        (1, Gen.Elements(-limit, 0, limit)));
}
