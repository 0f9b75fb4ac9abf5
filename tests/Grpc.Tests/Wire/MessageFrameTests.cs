using System.Buffers;
using FsCheck;
using FsCheck.Fluent;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Tests.Wire;

public sealed class MessageFrameTests
{
    [Fact]
    public void A_message_is_taken_from_every_split_of_the_buffer()
    {
        byte[] bytes = [0, 0, 0, 0, 3, 10, 20, 30, 1, 0, 0, 0, 0, 0];
        foreach (var split in Segments.EverySplit(bytes))
        {
            var buffer = split;

            Assert.True(MessageFrame.TryRead(ref buffer, null, out var compressed, out var payload));
            Assert.False(compressed);
            Assert.Equal([10, 20, 30], payload.ToArray());
            Assert.True(MessageFrame.TryRead(ref buffer, null, out compressed, out payload));
            Assert.True(compressed);
            Assert.True(payload.IsEmpty);
            Assert.False(MessageFrame.TryRead(ref buffer, null, out _, out _));
            Assert.Equal(1, buffer.Length);
        }
    }

    [Fact]
    public void A_message_that_is_not_all_there_is_left_as_it_is()
    {
        byte[] bytes = [0, 0, 0, 0, 3, 10, 20, 30];
        for (var length = 0; length < bytes.Length; length++)
        {
            foreach (var split in Segments.EverySplit(bytes[..length]))
            {
                var buffer = split;

                Assert.False(MessageFrame.TryRead(ref buffer, null, out _, out _));
                Assert.Equal(length, buffer.Length);
            }
        }
    }

    [Fact]
    public void Messages_come_back_however_the_buffer_is_cut() =>
        Prop.ForAll<byte[][], int[]>((messages, places) =>
        {
            var buffer = Segments.Cut([.. messages.SelectMany(Frame)], places);
            foreach (var message in messages)
            {
                Assert.True(MessageFrame.TryRead(ref buffer, null, out _, out var payload));
                Assert.Equal(message, payload.ToArray());
            }

            Assert.True(buffer.IsEmpty);
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(2)]
    [InlineData(255)]
    public void A_flag_that_is_none_is_internal(byte flag)
    {
        var failure = Assert.Throws<RpcException>(() => Read([flag, 0, 0, 0, 0], null));

        Assert.Equal(MessageFrame.InvalidCompressedFlag, failure.Status);
    }

    [Fact]
    public void A_length_over_the_limit_is_known_from_the_header_alone()
    {
        Assert.False(Read([0, 0, 0, 0, 100], 100));
        var failure = Assert.Throws<RpcException>(() => Read([0, 0, 0, 0, 101], 100));

        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
        Assert.Contains("101", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("100", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_length_that_no_array_can_have_is_over_any_limit() =>
        Assert.Equal(StatusCode.ResourceExhausted, Assert.Throws<RpcException>(() => Read([0, 255, 255, 255, 255], null)).StatusCode);

    private static bool Read(byte[] bytes, int? limit)
    {
        var buffer = new ReadOnlySequence<byte>(bytes);
        return MessageFrame.TryRead(ref buffer, limit, out _, out _);
    }

    private static byte[] Frame(byte[] payload)
    {
        var frame = new byte[MessageFrame.HeaderLength + payload.Length];
        MessageFrame.WriteHeader(frame, compressed: false, payload.Length);
        payload.CopyTo(frame, MessageFrame.HeaderLength);
        return frame;
    }
}
