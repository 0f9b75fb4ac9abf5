using System.Numerics;

namespace RouteService.Domain.Geography;

/// <summary>
/// Coordinates on a Z-order curve (G. M. Morton, "A computer oriented geodetic data base", IBM 1966). The bits of latitude and longitude,
/// each counted up from its minimum, alternate, so a box is one range of codes with gaps, and nearby places mostly have nearby codes. The
/// latitude needs 31 bits and has the odd ones, so a code is never negative as a long.
/// </summary>
public static class ZOrder
{
    private const ulong EvenBits = 0x5555_5555_5555_5555;

    // A few ranges cover a box well; a thin strip crosses the curve again and again, and needs more.
    private const int RangesOfABox = 16;
    private const int RangesOfAStrip = 64;
    private const int StripRatio = 16;

    /// <summary>All places.</summary>
    public static ZOrderRange World { get; } = new(Encode(BoundingBox.World.SouthWest), Encode(BoundingBox.World.NorthEast));

    public static long Encode(Coordinate place) => (long)(
        (Spread((uint)(place.LatitudeE7 + Coordinate.MaxLatitudeE7)) << 1)
        | Spread((uint)((long)place.LongitudeE7 + Coordinate.MaxLongitudeE7)));

    /// <summary>Whether a coordinate has this code.</summary>
    public static bool IsCode(long code) =>
        code >= 0
        && Gather((ulong)code >> 1) <= 2 * (uint)Coordinate.MaxLatitudeE7
        && Gather((ulong)code) <= 2 * (uint)Coordinate.MaxLongitudeE7;

    /// <exception cref="ArgumentOutOfRangeException">No coordinate has this code.</exception>
    public static Coordinate Decode(long code) => new(
        (int)(Gather((ulong)code >> 1) - (long)Coordinate.MaxLatitudeE7),
        (int)(Gather((ulong)code) - (long)Coordinate.MaxLongitudeE7));

    /// <summary>
    /// The smallest code above this one that is in the box: BIGMIN of H. Tropf and H. Herzog, "Multidimensional range search in dynamically
    /// balanced trees", Angewandte Informatik 2/1981. Descends the bits like a search tree of the curve.
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

    /// <summary>The smallest code from this one on that is in one of the boxes; null where there is none.</summary>
    public static long? FirstInBoxes(long from, IReadOnlyList<BoundingBox> boxes)
    {
        long? least = null;
        foreach (var box in boxes)
        {
            var (first, last) = (Encode(box.SouthWest), Encode(box.NorthEast));
            if (from <= last)
            {
                var code = from <= first ? first : IsCode(from) && box.Contains(Decode(from)) ? from : NextInBox(from, first, last);
                least = Math.Min(code, least ?? code);
            }
        }

        return least;
    }

    /// <summary>
    /// Ranges of codes that together contain every location of the boxes, and as few others as their number allows: at most 16, or 64 if a
    /// side of a box is more than 16 times the other. Sorted, disjoint and with a gap between neighbours, so reading them one after the
    /// other reads in the order of codes. Each begins and ends with a location of a box.
    /// </summary>
    public static IReadOnlyList<ZOrderRange> Ranges(IReadOnlyList<BoundingBox> boxes) => boxes is [var all] && all == BoundingBox.World
        ? [World]
        : Ranges(boxes, boxes.Any(IsStrip) ? RangesOfAStrip : RangesOfABox);

    internal static List<ZOrderRange> Ranges(IReadOnlyList<BoundingBox> boxes, int limit)
    {
        var pieces = Pieces(boxes, 4 * limit);

        // The widest gaps between pieces separate the ranges.
        var ends = new List<(long Gap, int Index)>();
        var last = pieces[0].Last;
        for (var i = 1; i < pieces.Count; i++)
        {
            if (pieces[i].First - last > 1)
            {
                ends.Add((pieces[i].First - last, i));
            }

            last = Math.Max(last, pieces[i].Last);
        }

        var widest = ends.OrderByDescending(static end => end.Gap).Take(limit - 1);
        var starts = widest.Select(static end => end.Index).Order().Prepend(0).ToList();
        return [.. starts.Select((start, i) => new ZOrderRange(
            pieces[start].First,
            pieces[start..(i + 1 < starts.Count ? starts[i + 1] : pieces.Count)].Max(static piece => piece.Last)))];
    }

    /// <summary>The boxes as about this many smaller ones, each as the range from its first code to its last, in order.</summary>
    private static List<ZOrderRange> Pieces(IReadOnlyList<BoundingBox> boxes, int count)
    {
        // The piece whose range has the most codes outside the piece is halved first.
        var open = new PriorityQueue<ZOrderRange, long>(boxes.Select(static box =>
        {
            var range = new ZOrderRange(Encode(box.SouthWest), Encode(box.NorthEast));
            return (range, -Waste(range));
        }));
        var whole = new List<ZOrderRange>();
        while (open.Count > 0 && open.Count + whole.Count < count)
        {
            var piece = open.Dequeue();
            if (Waste(piece) == 0)
            {
                whole.Add(piece);
                continue;
            }

            var (lower, upper) = Halve(piece);
            open.Enqueue(lower, -Waste(lower));
            open.Enqueue(upper, -Waste(upper));
        }

        whole.AddRange(open.UnorderedItems.Select(static item => item.Element));
        whole.Sort(static (a, b) => a.First.CompareTo(b.First));
        return whole;
    }

    /// <summary>A box of two places or more as two boxes, each as its first code and its last. All codes of the first come first.</summary>
    private static (ZOrderRange Lower, ZOrderRange Upper) Halve(ZOrderRange box)
    {
        // The codes of a box agree above the highest bit in which its first and its last differ; that bit halves it along the curve.
        var bit = 63 - BitOperations.LeadingZeroCount((ulong)(box.First ^ box.Last));
        return (
            box with { Last = (long)WithoutBitAndOnesBelow((ulong)box.Last, bit) },
            box with { First = (long)WithBitAndZerosBelow((ulong)box.First, bit) });
    }

    /// <summary>Number of codes between those of a box's corners that are outside the box.</summary>
    private static long Waste(ZOrderRange range)
    {
        var (southWest, northEast) = ((ulong)range.First, (ulong)range.Last);
        var height = Gather(northEast >> 1) - (long)Gather(southWest >> 1) + 1;
        var width = Gather(northEast) - (long)Gather(southWest) + 1;
        return range.Last - range.First + 1 - (height * width);
    }

    private static bool IsStrip(BoundingBox box)
    {
        var height = (long)box.NorthEast.LatitudeE7 - box.SouthWest.LatitudeE7 + 1;
        var width = (long)box.NorthEast.LongitudeE7 - box.SouthWest.LongitudeE7 + 1;
        return Math.Max(height, width) / StripRatio > Math.Min(height, width);
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

/// <summary>Codes of <see cref="ZOrder"/> from the first to the last, both included.</summary>
public readonly record struct ZOrderRange(long First, long Last);
