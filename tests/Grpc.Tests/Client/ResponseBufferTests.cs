using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using FsCheck;
using FsCheck.Fluent;
using Grpc.Core;
using Grpc.Net.Client.Internal;
using Grpc.Wire;
using static Grpc.Tests.Client.Answers;

namespace Grpc.Tests.Client;

public sealed class ResponseBufferTests
{
    [Fact]
    [SuppressMessage("Usage", "VSTHRD002", Justification = "The stream answers at once, and FsCheck's properties are not asynchronous.")]
    public void Messages_come_back_however_the_transport_cuts_them() =>
        Prop.ForAll(Lengths(), Lengths(), (messages, pieces) =>
        {
            byte[][] payloads = [.. messages.Select(static length => Enumerable.Range(0, length).Select(static i => (byte)i).ToArray())];
            using var source = new PiecemealStream([.. payloads.SelectMany(static payload => Message(payload))], pieces);

            Assert.Equal(payloads, ReadAllAsync(new ResponseBuffer(source, null)).GetAwaiter().GetResult());
        }).QuickCheckThrowOnFailure();

    [Fact]
    public async Task Every_cut_of_a_response_gives_its_messages()
    {
        byte[] bytes = [.. Message("one"), .. Message(""), .. Message("three")];
        for (var cut = 1; cut < bytes.Length; cut++)
        {
            using var source = new PiecemealStream(bytes, [cut, bytes.Length]);

            Assert.Equal(["one"u8.ToArray(), [], "three"u8.ToArray()], await ReadAllAsync(new ResponseBuffer(source, null)));
        }
    }

    [Fact]
    public async Task Every_response_cut_short_is_internal()
    {
        var bytes = Message("whole");
        for (var length = 1; length < bytes.Length; length++)
        {
            using var source = new PiecemealStream(bytes[..length], [bytes.Length]);

            var failure = await Assert.ThrowsAsync<RpcException>(() => ReadAllAsync(new ResponseBuffer(source, null)));
            Assert.Equal(MessageFrame.Incomplete, failure.Status);
        }
    }

    [Fact]
    public async Task A_length_that_is_only_claimed_takes_no_memory()
    {
        var bytes = Message([1, 2, 3]);
        MessageFrame.WriteHeader(bytes, compressed: false, 1_000_000_000);
        using var source = new PiecemealStream(bytes, [bytes.Length]);
        var before = GC.GetTotalAllocatedBytes(precise: true);

        await Assert.ThrowsAsync<RpcException>(() => ReadAllAsync(new ResponseBuffer(source, null)));

        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 100_000_000);
    }

    private static async Task<List<byte[]>> ReadAllAsync(ResponseBuffer buffer)
    {
        var all = new List<byte[]>();
        do
        {
            while (buffer.TryRead(out _, out var payload))
            {
                all.Add(payload.ToArray());
            }
        }
        while (await buffer.FillAsync(CancellationToken.None));

        return all;
    }

    // Around the sizes at which the buffer moves and grows, and far from them.
    private static Arbitrary<int[]> Lengths() =>
        Gen.OneOf(Gen.Choose(0, 20), Gen.Choose(4_080, 4_100), Gen.Choose(0, 40_000)).ArrayOf().ToArbitrary();

    /// <summary>Gives no more at a time than its script says, over and over.</summary>
    private sealed class PiecemealStream(byte[] bytes, int[] pieces) : MemoryStream(bytes)
    {
        private int _read;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var piece = pieces.Length == 0 ? buffer.Length : Math.Max(1, pieces[_read++ % pieces.Length]);
            return base.ReadAsync(buffer[..Math.Min(buffer.Length, piece)], cancellationToken);
        }
    }
}
