using System.Buffers;

namespace RouteService.Client.Listing;

/// <summary>
/// Places of the features that a listing has delivered. The service guarantees no order, so a listing that breaks is requested again from
/// its beginning, and the features in this set are skipped. A feature takes 8 bytes. The set is appended to, and sorted only at a break.
/// For one user at a time.
/// </summary>
internal sealed class DeliveredFeatures(int capacity) : IDisposable
{
    // A short listing takes 8 KB. Chunks double to 512 KB, so that a long listing has few and the pool keeps them for the next: it keeps
    // some dozens of each length.
    private const int FirstChunk = 1_024;
    private const int LongestChunk = 65_536;

    private readonly List<ulong[]> _full = [];
    private ulong[] _chunk = [];
    private int _count;

    // Capacity of the chunk, and the count in those before it.
    private int _room;
    private int _inFull;

    // Delivered before the last break, sorted.
    private ulong[] _before = [];

    /// <summary>Whether more features came than the set holds; then the listing cannot survive another break.</summary>
    public bool HasOverflowed { get; private set; }

    public void Add(ulong place)
    {
        if (_count < _room)
        {
            _chunk[_count++] = place;
        }
        else
        {
            AddToNextChunk(place);
        }
    }

    /// <summary>Whether the feature was delivered before the last break.</summary>
    public bool WasDelivered(ulong place) => _before.Length > 0 && Array.BinarySearch(_before, place) >= 0;

    /// <summary>Records a break: <see cref="WasDelivered"/> now covers everything that was delivered until here.</summary>
    public void Break()
    {
        if (HasOverflowed)
        {
            return;
        }

        var all = new ulong[_before.Length + _inFull + _count];
        _before.CopyTo(all, 0);
        var length = _before.Length;
        foreach (var chunk in _full)
        {
            chunk.CopyTo(all, length);
            length += chunk.Length;
        }

        _chunk.AsSpan(0, _count).CopyTo(all.AsSpan(length));
        Array.Sort(all);
        _before = all;
        ReturnChunks();
    }

    public void Dispose() => ReturnChunks();

    private void AddToNextChunk(ulong place)
    {
        if (HasOverflowed)
        {
            return;
        }

        if (_chunk.Length > 0)
        {
            _full.Add(_chunk);
            _inFull += _chunk.Length;
        }

        var wanted = Math.Clamp(_chunk.Length * 2, FirstChunk, LongestChunk);
        _chunk = [];
        _count = 0;
        _room = 0;
        var left = capacity - _before.Length - _inFull;
        if (left <= 0)
        {
            // Features from before the last break stay: the current stream still has to skip them.
            HasOverflowed = true;
            ReturnChunks();
            return;
        }

        _chunk = ArrayPool<ulong>.Shared.Rent(wanted);
        _room = Math.Min(_chunk.Length, left);
        _chunk[_count++] = place;
    }

    private void ReturnChunks()
    {
        foreach (var chunk in _full)
        {
            ArrayPool<ulong>.Shared.Return(chunk);
        }

        _full.Clear();
        if (_chunk.Length > 0)
        {
            ArrayPool<ulong>.Shared.Return(_chunk);
        }

        _chunk = [];
        _count = 0;
        _room = 0;
        _inFull = 0;
    }
}
