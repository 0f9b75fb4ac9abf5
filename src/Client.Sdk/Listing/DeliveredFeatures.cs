using System.Buffers;

namespace RouteService.Client.Listing;

/// <summary>
/// Places of the features that a listing has delivered. The service guarantees no order, so a listing that breaks is requested again from
/// its beginning, and the features in this set are skipped. A feature takes 8 bytes, and as much again while the set grows. The set is
/// appended to, and sorted only at a break. For one user at a time.
/// </summary>
internal sealed class DeliveredFeatures(int capacity) : IDisposable
{
    // A short listing takes 8 KB.
    private const int FirstLength = 1_024;

    // From the pool: a long listing leaves its array to the next.
    private ulong[] _places = [];
    private int _count;

    // Number of places that fit: the length of the array, at most the capacity.
    private int _room;

    // Delivered before the last break: these come first, sorted.
    private int _before;

    /// <summary>Whether more features came than the set holds; then the listing cannot survive another break.</summary>
    public bool HasOverflowed { get; private set; }

    public void Add(ulong place)
    {
        if (_count < _room || TryGrow())
        {
            _places[_count++] = place;
        }
    }

    /// <summary>Whether the feature was delivered before the last break.</summary>
    public bool WasDelivered(ulong place) => _before > 0 && Array.BinarySearch(_places, 0, _before, place) >= 0;

    /// <summary>Records a break: <see cref="WasDelivered"/> now covers everything that was delivered until here.</summary>
    public void Break()
    {
        Array.Sort(_places, 0, _count);
        _before = _count;
    }

    public void Dispose()
    {
        if (_places.Length > 0)
        {
            ArrayPool<ulong>.Shared.Return(_places);
        }

        _places = [];
        _count = 0;
        _room = 0;
        _before = 0;
    }

    private bool TryGrow()
    {
        if (_count == capacity)
        {
            HasOverflowed = true;
            return false;
        }

        var larger = ArrayPool<ulong>.Shared.Rent((int)Math.Clamp(2L * _count, FirstLength, Array.MaxLength));
        _places.AsSpan(0, _count).CopyTo(larger);
        if (_places.Length > 0)
        {
            ArrayPool<ulong>.Shared.Return(_places);
        }

        _places = larger;
        _room = Math.Min(larger.Length, capacity);
        return true;
    }
}
