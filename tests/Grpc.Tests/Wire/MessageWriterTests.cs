using System.Buffers;
using System.IO.Compression;
using FsCheck;
using FsCheck.Fluent;
using Grpc.Core;
using Grpc.Net.Compression;
using Grpc.Wire;

namespace Grpc.Tests.Wire;

/// <summary>What <see cref="MessageWriter"/> writes, by what <see cref="MessageReader"/> reads of it.</summary>
public sealed class MessageWriterTests
{
    private static readonly GzipCompressionProvider Gzip = new(CompressionLevel.Fastest);

    private readonly ArrayBufferWriter<byte> _output = new();

    [Fact]
    public void Every_way_to_serialize_comes_back_compressed_or_not() =>
        Prop.ForAll<byte[], bool, int[]>((message, compressed, places) =>
        {
            foreach (var serializer in (Action<byte[], SerializationContext>[])[AsArray, WithLength, WithoutLength, InPieces, AsProtobufDoes])
            {
                var output = new ArrayBufferWriter<byte>();
                var writer = new MessageWriter(null);

                var written = writer.Write(message, serializer, output, compressed ? Gzip : null);

                Assert.Equal(output.WrittenCount, written);
                Assert.Equal(message, Read(Segments.Cut(output.WrittenSpan.ToArray(), places), null));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void One_writer_writes_message_after_message()
    {
        var writer = new MessageWriter(null);

        writer.Write<byte[]>([1], WithLength, _output);
        writer.Write<byte[]>([2, 3], WithoutLength, _output);
        writer.Write<byte[]>([], WithLength, _output);
        writer.Write<byte[]>([4], AsArray, _output);

        Assert.Equal([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4], _output.WrittenSpan.ToArray());
    }

    [Fact]
    public void A_serializer_that_throws_midway_writes_nothing_and_spoils_nothing()
    {
        var writer = new MessageWriter(null);

        Assert.Throws<FormatException>(() => writer.Write<byte[]>([1, 2, 3], ThrowsAfterWith(WithLengthOf), _output));
        Assert.Throws<FormatException>(() => writer.Write<byte[]>([1, 2, 3], ThrowsAfterWith(static (_, _) => { }), _output));
        Assert.Equal(0, _output.WrittenCount);
        writer.Write<byte[]>([9], WithoutLength, _output);
        writer.Write<byte[]>([8], WithLength, _output);

        Assert.Equal([0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 1, 8], _output.WrittenSpan.ToArray());
    }

    [Fact]
    public void A_serializer_that_does_not_complete_writes_nothing()
    {
        Assert.Throws<InvalidOperationException>(() => new MessageWriter(null).Write<byte[]>([1], static (_, _) => { }, _output));
        Assert.Equal(0, _output.WrittenCount);
    }

    [Fact]
    public void A_serializer_that_writes_another_length_than_it_announced_writes_nothing()
    {
        Assert.Throws<InvalidOperationException>(() => new MessageWriter(null).Write<byte[]>(
            [1],
            static (message, context) =>
            {
                context.SetPayloadLength(2);
                context.GetBufferWriter().Write(message);
                context.Complete();
            },
            _output));
        Assert.Equal(0, _output.WrittenCount);
    }

    [Fact]
    public void A_message_over_the_limit_writes_nothing_however_it_is_serialized()
    {
        foreach (var serializer in (Action<byte[], SerializationContext>[])[AsArray, WithLength, WithoutLength])
        {
            foreach (var compression in (ICompressionProvider?[])[null, Gzip])
            {
                var failure = Assert.Throws<RpcException>(() => new MessageWriter(3).Write<byte[]>([1, 2, 3, 4], serializer, _output, compression));

                Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
                Assert.Equal(0, _output.WrittenCount);
            }
        }

        Assert.Equal(8, new MessageWriter(3).Write<byte[]>([1, 2, 3], WithLength, _output));
    }

    [Fact]
    public void A_compressed_message_may_be_as_long_as_the_limit_and_no_longer_when_it_is_plain()
    {
        var message = new byte[100_000];
        new MessageWriter(null).Write(message, AsArray, _output, Gzip);
        var frame = new ReadOnlySequence<byte>(_output.WrittenMemory);

        Assert.Equal(message, Read(frame, 100_000));
        var failure = Assert.Throws<RpcException>(() => Read(frame, 99_999));

        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
        Assert.Contains("99999", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_decompression_bomb_stops_at_the_limit()
    {
        new MessageWriter(null).Write(new byte[100_000_000], AsArray, _output, Gzip);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Throws<RpcException>(() => Read(new ReadOnlySequence<byte>(_output.WrittenMemory), 1_000_000));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000_000);
    }

    [Fact]
    public void A_compressed_message_without_an_encoding_is_internal()
    {
        var reader = new MessageReader(null);
        var failure = Assert.Throws<RpcException>(() => reader.Read(default, compressed: true, encoding: null, static context => context.PayloadAsNewBuffer()));

        Assert.Equal(MessageReader.CompressedWithoutEncoding, failure.Status);
    }

    [Fact]
    public void A_message_that_is_not_gzip_is_internal()
    {
        var reader = new MessageReader(null);
        var failure = Assert.Throws<RpcException>(
            () => reader.Read(new ReadOnlySequence<byte>("no gzip"u8.ToArray()), compressed: true, Gzip, static context => context.PayloadAsNewBuffer()));

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
    }

    private static byte[] Read(ReadOnlySequence<byte> frame, int? limit)
    {
        Assert.True(MessageFrame.TryRead(ref frame, limit, out var compressed, out var payload));
        Assert.True(frame.IsEmpty);
        return new MessageReader(limit).Read(payload, compressed, Gzip, static context =>
        {
            Assert.Equal(context.PayloadLength, context.PayloadAsReadOnlySequence().Length);
            return context.PayloadAsNewBuffer();
        });
    }

    private static void AsArray(byte[] message, SerializationContext context) => context.Complete(message);

    private static void WithLength(byte[] message, SerializationContext context)
    {
        context.SetPayloadLength(message.Length);
        WithoutLength(message, context);
    }

    private static void WithoutLength(byte[] message, SerializationContext context)
    {
        context.GetBufferWriter().Write(message);
        context.Complete();
    }

    /// <summary>Advances by nothing before it asks for its first memory.</summary>
    private static void AsProtobufDoes(byte[] message, SerializationContext context)
    {
        context.SetPayloadLength(message.Length);
        var output = context.GetBufferWriter();
        output.Advance(0);
        output.Write(message);
        context.Complete();
    }

    private static void InPieces(byte[] message, SerializationContext context)
    {
        context.SetPayloadLength(message.Length);
        foreach (var one in message)
        {
            context.GetBufferWriter().GetSpan(1)[0] = one;
            context.GetBufferWriter().Advance(1);
        }

        context.Complete();
    }

    private static void WithLengthOf(byte[] message, SerializationContext context) => context.SetPayloadLength(message.Length);

    private static Action<byte[], SerializationContext> ThrowsAfterWith(Action<byte[], SerializationContext> begin) => (message, context) =>
    {
        begin(message, context);
        context.GetBufferWriter().Write(message.AsSpan(1));
        throw new FormatException("midway");
    };
}
