using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Coordinates on a Z-order curve (G. M. Morton, "A computer oriented geodetic data base", IBM 1966). The bits of latitude and longitude,
/// each counted up from its minimum, alternate, so a box is one range of codes with gaps, and nearby places mostly have nearby codes. The
/// latitude needs 31 bits and has the odd ones, so a code is never negative as a long.
/// </summary>
internal static class ZOrder
{
    private const ulong EvenBits = 0x5555_5555_5555_5555;

    public static long Encode(Coordinate place) => (long)(
        (Spread((uint)(place.LatitudeE7 + Coordinate.MaxLatitudeE7)) << 1)
        | Spread((uint)((long)place.LongitudeE7 + Coordinate.MaxLongitudeE7)));

    /// <exception cref="ArgumentOutOfRangeException">No coordinate has this code.</exception>
    public static Coordinate Decode(long code) => new(
        (int)(Gather((ulong)code >> 1) - (long)Coordinate.MaxLatitudeE7),
        (int)(Gather((ulong)code) - (long)Coordinate.MaxLongitudeE7));

    /// <summary>
    /// The smallest code above this one that is in the box: BIGMIN of H. Tropf and H. Herzog, "Multidimensional range search in dynamically
    /// balanced trees", Angewandte Informatik 2/1981. Goes down the bits as a search tree of the curve would be gone down.
    /// </summary>
    /// <param name="code">Within the range of the box's codes, and not itself in the box.</param>
    /// <param name="southWest">The code of the box's south-west corner, its smallest.</param>
    /// <param name="northEast">The code of the box's north-east corner, its largest.</param>
    public static long NextInBox(long code, long southWest, long northEast)
    {
        var (z, min, max, next) = ((ulong)code, (ulong)southWest, (ulong)northEast, 0UL);
        for (var bit = 63; bit >= 0; bit--)
        {
            switch ((z >> bit) & 1, (min >> bit) & 1, (max >> bit) & 1)
            {
                case (0, 0, 1):
                    // The box spans both halves and the code is in the lower: the answer is there or else the least of the upper half.
                    next = WithBitAndZerosBelow(min, bit);
                    max = WithoutBitAndOnesBelow(max, bit);
                    break;
                case (0, 1, 1):
                    // All of the box lies above the code.
                    return (long)min;
                case (1, 0, 0):
                    // All of the box that is left lies below the code.
                    return (long)next;
                case (1, 0, 1):
                    min = WithBitAndZerosBelow(min, bit);
                    break;
            }
        }

        return (long)next;
    }

    /// <summary>The bits of a code that belong to the same dimension as this one and are below it.</summary>
    private static ulong BelowInDimension(int bit) => ((bit & 1) == 0 ? EvenBits : ~EvenBits) & ((1UL << bit) - 1);

    private static ulong WithBitAndZerosBelow(ulong code, int bit) => (code | (1UL << bit)) & ~BelowInDimension(bit);

    private static ulong WithoutBitAndOnesBelow(ulong code, int bit) => (code & ~(1UL << bit)) | BelowInDimension(bit);

    /// <summary>Puts the 32 bits on the even bits of 64, by halving the distance between groups.</summary>
    private static ulong Spread(uint value)
    {
        ulong bits = value;
        bits = (bits | (bits << 16)) & 0x0000_FFFF_0000_FFFF;
        bits = (bits | (bits << 8)) & 0x00FF_00FF_00FF_00FF;
        bits = (bits | (bits << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
        bits = (bits | (bits << 2)) & 0x3333_3333_3333_3333;
        return (bits | (bits << 1)) & EvenBits;
    }

    private static uint Gather(ulong bits)
    {
        bits &= EvenBits;
        bits = (bits | (bits >> 1)) & 0x3333_3333_3333_3333;
        bits = (bits | (bits >> 2)) & 0x0F0F_0F0F_0F0F_0F0F;
        bits = (bits | (bits >> 4)) & 0x00FF_00FF_00FF_00FF;
        bits = (bits | (bits >> 8)) & 0x0000_FFFF_0000_FFFF;
        return (uint)(bits | (bits >> 16));
    }
}
