using System.Buffers;

namespace Grpc.Tests.Wire;

/// <summary>The same bytes, cut into a buffer of several pieces.</summary>
internal static class Segments
{
    /// <summary>Every way to cut the bytes in two, and into single bytes.</summary>
    public static IEnumerable<ReadOnlySequence<byte>> EverySplit(byte[] bytes)
    {
        yield return new ReadOnlySequence<byte>(bytes);
        for (var i = 0; i <= bytes.Length; i++)
        {
            yield return Of(bytes[..i], bytes[i..]);
        }

        yield return Of([.. bytes.Chunk(1), []]);
    }

    /// <summary>The bytes cut at these places, taken modulo their number.</summary>
    public static ReadOnlySequence<byte> Cut(byte[] bytes, IEnumerable<int> places)
    {
        var cuts = places.Select(place => (int)((uint)place % (uint)(bytes.Length + 1))).Order().ToArray();
        return Of([.. cuts.Prepend(0).Zip(cuts.Append(bytes.Length), (from, to) => bytes[from..to])]);
    }

    public static ReadOnlySequence<byte> Of(params byte[][] pieces)
    {
        var first = new Segment(pieces[0], 0);
        var last = first;
        foreach (var piece in pieces.Skip(1))
        {
            last = last.Append(piece);
        }

        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(byte[] bytes, long runningIndex)
        {
            Memory = bytes;
            RunningIndex = runningIndex;
        }

        public Segment Append(byte[] bytes)
        {
            var next = new Segment(bytes, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
