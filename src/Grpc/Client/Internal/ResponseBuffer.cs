using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// What has come of a response and is not read yet. All messages of one piece are taken off it before the transport is asked for another.
/// For one reader at a time.
/// </summary>
internal sealed class ResponseBuffer(Stream source, int? maxLength)
{
    private const int FirstLength = 4 * 1024;
    private const int GrownLength = 64 * 1024;

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(FirstLength);
    private int _start;
    private int _end;
    private bool _wasFilled;

    /// <inheritdoc cref="MessageFrame.TryRead" />
    public bool TryRead(out bool compressed, out ReadOnlySequence<byte> payload)
    {
        var unread = new ReadOnlySequence<byte>(_bytes, _start, _end - _start);
        var found = MessageFrame.TryRead(ref unread, maxLength, out compressed, out payload);
        _start = _end - (int)unread.Length;
        return found;
    }

    /// <summary>Waits for more bytes; false at the end of the response, when the buffer is done with.</summary>
    /// <exception cref="RpcException">The response ends within a message.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        MakeRoom();
        var count = await source.ReadAsync(_bytes.AsMemory(_end), cancellationToken).ConfigureAwait(false);
        if (count > 0)
        {
            _end += count;
            _wasFilled = _end == _bytes.Length;
            return true;
        }

        var whole = _start == _end;
        Resize(0);
        return whole ? false : throw new RpcException(MessageFrame.Incomplete);
    }

    private void MakeRoom()
    {
        if (_start == _end)
        {
            _start = _end = 0;
            if (_wasFilled && _bytes.Length < GrownLength)
            {
                // More comes at a time than fits.
                Resize(_bytes.Length * 2);
            }
        }
        else if (_end == _bytes.Length && _start > 0)
        {
            _bytes.AsSpan(_start, _end - _start).CopyTo(_bytes);
            _end -= _start;
            _start = 0;
        }
        else if (_end == _bytes.Length)
        {
            // By doubling, not by the length that the message claims: what a peer only claims takes no memory.
            Resize((int)Math.Min(Array.MaxLength, _bytes.Length * 2L));
        }

        Debug.Assert(_end < _bytes.Length, "A read needs room.");
    }

    /// <summary>Never while a read is under way, which would go on writing into the array that the pool has given to somebody else.</summary>
    private void Resize(int length)
    {
        var bytes = length == 0 ? [] : ArrayPool<byte>.Shared.Rent(length);
        _bytes.AsSpan(_start, Math.Min(bytes.Length, _end - _start)).CopyTo(bytes);
        ArrayPool<byte>.Shared.Return(_bytes);
        _end = Math.Min(bytes.Length, _end - _start);
        _start = 0;
        _bytes = bytes;
    }
}
