namespace RouteService.Client;

/// <summary>
/// A part of the earth's surface, its edge included: a <see cref="Box"/>, a <see cref="Circle"/> or a <see cref="Polygon"/>.
/// </summary>
public abstract record Area
{
    private Area()
    {
    }

    /// <summary>
    /// Latitudes and longitudes from a south-west to a north-east corner. A box whose west is east of its east crosses the antimeridian;
    /// -180° to 180° is every longitude. Longitudes count as they are written: a box to 180° does not have places at -180°.
    /// </summary>
    public sealed record Box : Area
    {
        /// <summary>From two corners.</summary>
        /// <exception cref="ArgumentException">
        /// <paramref name="southWest"/> is north of <paramref name="northEast"/>, or the longitudes go from 180° to -180°.
        /// </exception>
        public Box(Coordinate southWest, Coordinate northEast)
        {
            if (southWest.LatitudeE7 > northEast.LatitudeE7)
            {
                throw new ArgumentException(
                    FormattableString.Invariant(
                        $"The south of the box, {southWest.Latitude}, is north of its north, {northEast.Latitude}."),
                    nameof(southWest));
            }

            if (southWest.LongitudeE7 == Coordinate.MaxLongitudeE7 && northEast.LongitudeE7 == -Coordinate.MaxLongitudeE7)
            {
                throw new ArgumentException(
                    "The longitudes of the box go from 180 to -180, which is empty; all of them are -180 to 180.", nameof(southWest));
            }

            (SouthWest, NorthEast) = (southWest, northEast);
        }

        /// <summary>The same area as another box, which does not cross the antimeridian.</summary>
        public Box(BoundingBox box)
            : this(box.SouthWest, box.NorthEast)
        {
        }

        /// <summary>The corner in the south-west.</summary>
        public Coordinate SouthWest { get; }

        /// <summary>The corner in the north-east.</summary>
        public Coordinate NorthEast { get; }
    }

    /// <summary>The places at most a distance away from a center, as <see cref="NearFeature.DistanceMeters"/> is measured.</summary>
    public sealed record Circle : Area
    {
        /// <summary>Half around the earth in metres: such a circle has every place.</summary>
        public const double MaxRadiusMeters = 20_015_087;

        /// <param name="center">Center of the circle.</param>
        /// <param name="radiusMeters">Radius in metres, from 0 to <see cref="MaxRadiusMeters"/>.</param>
        /// <exception cref="ArgumentOutOfRangeException">The radius is out of range or not a number.</exception>
        public Circle(Coordinate center, double radiusMeters)
        {
            if (radiusMeters is not (>= 0 and <= MaxRadiusMeters))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(radiusMeters), radiusMeters, "A radius is from 0 to 20015087 m, half around the earth.");
            }

            (Center, RadiusMeters) = (center, radiusMeters);
        }

        /// <summary>Center of the circle.</summary>
        public Coordinate Center { get; }

        /// <summary>Radius in metres.</summary>
        public double RadiusMeters { get; }
    }

    /// <summary>
    /// The places inside of a ring and not inside of its holes. Edges are straight in longitude and latitude, not great circles, go the
    /// shorter way round, and belong to the polygon, also those of holes. All rings together have at most 10 000 points.
    /// </summary>
    /// <remarks>
    /// A ring is closed: its last point is its first again. It may have either orientation, does not meet itself, and does not go around a
    /// pole. Holes lie in the outer ring and beside each other. The service checks that, and names the ring and the point of a fault.
    /// </remarks>
    public sealed record Polygon : Area
    {
        /// <param name="ring">The outer ring.</param>
        /// <param name="holes">The holes, a ring each.</param>
        public Polygon(IEnumerable<Coordinate> ring, params IEnumerable<IEnumerable<Coordinate>> holes)
        {
            ArgumentNullException.ThrowIfNull(ring);
            ArgumentNullException.ThrowIfNull(holes);
            Rings = [[.. ring], .. holes.Select(static hole => (IReadOnlyList<Coordinate>)[.. hole])];
        }

        /// <summary>The outer ring, then the holes.</summary>
        public IReadOnlyList<IReadOnlyList<Coordinate>> Rings { get; }
    }
}
