using System.Buffers;

namespace RouteService.Client.Listing;

/// <summary>
/// The places of the features that a listing has delivered. The service promises no order, so a listing that breaks is asked for again from its beginning, and what is in
/// here is left out. 8 bytes each: appended to while all goes well, and sorted only when it is needed. For one user at a time.
/// </summary>
internal sealed class DeliveredFeatures(int capacity) : IDisposable
{
    // Below the length at which arrays go to the large object heap.
    private const int ChunkLength = 8_192;

    private readonly List<ulong[]> _full = [];
    private ulong[] _chunk = [];
    private int _count;

    // What was delivered before the last break, in order.
    private ulong[] _before = [];

    /// <summary>Whether there were more than it holds; then it holds none.</summary>
    public bool HasOverflowed { get; private set; }

    public void Add(ulong place)
    {
        if (_count < _chunk.Length)
        {
            _chunk[_count++] = place;
        }
        else
        {
            AddToNextChunk(place);
        }
    }

    /// <summary>Whether it was delivered before the last break.</summary>
    public bool WasDelivered(ulong place) => _before.Length > 0 && Array.BinarySearch(_before, place) >= 0;

    /// <summary>The listing broke: what was delivered until now is what <see cref="WasDelivered"/> tells.</summary>
    public void Break()
    {
        if (HasOverflowed)
        {
            return;
        }

        var all = new ulong[_before.Length + (_full.Count * ChunkLength) + _count];
        _before.CopyTo(all, 0);
        var length = _before.Length;
        foreach (var chunk in _full)
        {
            chunk.AsSpan(0, ChunkLength).CopyTo(all.AsSpan(length));
            length += ChunkLength;
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
            _chunk = [];
        }

        _count = 0;
        if (_before.Length + ((_full.Count + 1L) * ChunkLength) > Math.Max(capacity, capacity == 0 ? 0 : ChunkLength))
        {
            HasOverflowed = true;
            _before = [];
            ReturnChunks();
            return;
        }

        // The pool may give more; chunks are all of one length.
        _chunk = ArrayPool<ulong>.Shared.Rent(ChunkLength);
        if (_chunk.Length != ChunkLength)
        {
            _chunk = new ulong[ChunkLength];
        }

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
    }
}
