using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The order of features on disk: a Hilbert curve through all coordinates (D. Hilbert, Mathematische Annalen 38, 1891). A rectangle has
/// fewer pieces on this curve than on a Z-order curve, so a listing reads fewer pages.
/// </summary>
internal static class HilbertCurve
{
    /// <summary>The position of a location on the curve, as a number that no other location has.</summary>
    public static long Position(Coordinate location)
    {
        var x = (uint)((long)location.LongitudeE7 + Coordinate.MaxLongitudeE7);
        var y = (uint)(location.LatitudeE7 + Coordinate.MaxLatitudeE7);
        var position = 0UL;
        for (var half = 1U << 31; half > 0; half >>= 1)
        {
            var (right, upper) = ((x & half) != 0, (y & half) != 0);
            position = (position << 2) | (right ? (upper ? 2UL : 3UL) : (upper ? 1UL : 0UL));
            if (!upper)
            {
                // The lower quarters are turned: the left one along a diagonal, the right one along the other.
                (x, y) = right ? (~y, ~x) : (y, x);
            }
        }

        return (long)position;
    }
}
