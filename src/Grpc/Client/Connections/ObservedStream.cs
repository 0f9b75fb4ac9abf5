namespace Grpc.Net.Client.Internal;

/// <summary>A connection that tells its peer when the server first speaks on it, and when it is closed. Reads and writes go straight through.</summary>
internal sealed class ObservedStream(Stream connection, Peer peer) : Stream
{
    // The server's first bytes, to beyond a GOAWAY in second place.
    private readonly byte[] _first = new byte[64];
    private int _firstLength;
    private int _closed;

    public override bool CanRead => connection.CanRead;

    public override bool CanWrite => connection.CanWrite;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _firstLength == _first.Length ? connection.ReadAsync(buffer, cancellationToken) : ReadFirstAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => connection.Read(buffer, offset, count);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        connection.WriteAsync(buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        connection.WriteAsync(buffer, offset, count, cancellationToken);

    public override void Write(byte[] buffer, int offset, int count) => connection.Write(buffer, offset, count);

    public override Task FlushAsync(CancellationToken cancellationToken) => connection.FlushAsync(cancellationToken);

    public override void Flush() => connection.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            connection.Dispose();
            if (Interlocked.Exchange(ref _closed, 1) == 0)
            {
                peer.OnClosed(this);
            }
        }

        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadFirstAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = await connection.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        if (read > 0)
        {
            var heard = Math.Min(read, _first.Length - _firstLength);
            buffer.Span[..heard].CopyTo(_first.AsSpan(_firstLength));
            _firstLength += heard;
            peer.OnGreeted(_first.AsSpan(0, _firstLength));
        }

        return read;
    }
}
