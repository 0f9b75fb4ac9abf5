using System.Buffers;
using System.IO.Pipelines;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

/// <summary>A message that has begun has its time, and so has a request of one message; a stream between messages has all the time there is.</summary>
public sealed class RequestBodyTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 0, useSynchronizationContext: false));
    private readonly RequestBody _body;

    public RequestBodyTests() => _body = new RequestBody(_pipe.Reader, _clock, isOneMessage: false);

    [Theory]
    [InlineData(29, true)]
    [InlineData(30, false)]
    public async Task The_rest_of_a_message_has_thirty_seconds(int seconds, bool isInTime)
    {
        await WriteAsync(3);
        await ReadPartAsync();
        var rest = _body.ReadAsync().AsTask();

        _clock.Advance(TimeSpan.FromSeconds(seconds));

        await RestAsync(rest, isInTime);
    }

    [Theory]
    [InlineData(73, true)]
    [InlineData(74, false)]
    public async Task What_has_come_of_a_long_message_gives_the_rest_more_time(int seconds, bool isInTime)
    {
        await WriteAsync(5);
        await ReadPartAsync();

        // 1 MiB: 64 seconds more, from the beginning of the message.
        var more = _body.ReadAsync().AsTask();
        _clock.Advance(TimeSpan.FromSeconds(20));
        await WriteAsync((1024 * 1024) - 5);
        Advance(await more, isPart: true);
        var rest = _body.ReadAsync().AsTask();

        _clock.Advance(TimeSpan.FromSeconds(seconds));

        await RestAsync(rest, isInTime);
    }

    [Fact]
    public async Task A_message_in_pieces_is_read_and_silence_after_it_is_no_fault()
    {
        for (var round = 0; round < 3; round++)
        {
            await WriteAsync(4);
            await ReadPartAsync();
            var rest = _body.ReadAsync().AsTask();
            _clock.Advance(TimeSpan.FromSeconds(20));
            await WriteAsync(4);
            Advance(await rest, isPart: false);

            var next = _body.ReadAsync().AsTask();
            _clock.Advance(TimeSpan.FromHours(5));
            Assert.False(next.IsCompleted);
            await WriteAsync(4);
            Advance(await next, isPart: false);
        }
    }

    [Fact]
    public async Task The_time_of_a_message_begins_with_it_also_where_the_one_before_has_ended_in_the_same_read()
    {
        await WriteAsync(6);
        for (var round = 0; round < 10; round++)
        {
            // Four bytes are the end of a message, and two the beginning of the next.
            var read = await _body.ReadAsync();
            _body.AdvanceTo(read.Buffer.GetPosition(4));
            await ReadPartAsync();
            var rest = _body.ReadAsync().AsTask();
            _clock.Advance(TimeSpan.FromSeconds(20));
            await WriteAsync(4);
            _body.AdvanceTo((await rest).Buffer.Start);
        }
    }

    [Theory]
    [InlineData(0, 29, true)]
    [InlineData(0, 30, false)]
    [InlineData(64 * 1024, 33, true)]
    [InlineData(64 * 1024, 34, false)]
    public async Task A_request_of_one_message_has_its_time_from_its_start_to_its_end(int messageBytes, int seconds, bool isInTime)
    {
        var body = new RequestBody(_pipe.Reader, _clock, isOneMessage: true);
        if (messageBytes > 0)
        {
            await WriteAsync(messageBytes);
            body.AdvanceTo((await body.ReadAsync()).Buffer.End);
        }

        var rest = body.ReadAsync().AsTask();
        _clock.Advance(TimeSpan.FromSeconds(seconds));
        await _pipe.Writer.CompleteAsync();

        if (isInTime)
        {
            Assert.True((await rest).IsCompleted);
        }
        else
        {
            Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(() => rest)).StatusCode);
        }
    }

    [Fact]
    public async Task What_one_read_has_brought_is_handed_out_message_by_message()
    {
        await WriteAsync(10);
        var first = await _body.ReadAsync();
        _body.AdvanceTo(first.Buffer.GetPosition(4));
        await WriteAsync(3);

        var second = await _body.ReadAsync();
        Assert.Equal((10, 6), (first.Buffer.Length, second.Buffer.Length));

        // Six bytes are one message and the beginning of another, of which the rest has come meanwhile.
        _body.AdvanceTo(second.Buffer.GetPosition(4), second.Buffer.End);
        var third = await _body.ReadAsync();
        Assert.Equal(5, third.Buffer.Length);
        _body.AdvanceTo(third.Buffer.End);

        await _pipe.Writer.CompleteAsync();
        var last = await _body.ReadAsync();
        Assert.Equal((0, true), (last.Buffer.Length, last.IsCompleted));
        _body.AdvanceTo(last.Buffer.End);
    }

    [Fact]
    public async Task What_was_not_consumed_is_given_back()
    {
        await WriteAsync(10);
        var read = await _body.ReadAsync();
        _body.AdvanceTo(read.Buffer.GetPosition(4));

        _body.Release();

        Assert.Equal(6, (await _pipe.Reader.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task A_read_that_took_too_long_is_not_left_pending()
    {
        await WriteAsync(3);
        await ReadPartAsync();
        var rest = _body.ReadAsync().AsTask();
        _clock.Advance(TimeSpan.FromSeconds(30));
        await Assert.ThrowsAsync<RpcException>(() => rest);

        await WriteAsync(1);

        Assert.Equal(4, (await _pipe.Reader.ReadAsync()).Buffer.Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_from_a_client_that_has_gone_is_cancelled(bool isWaiting)
    {
        var waiting = isWaiting ? _body.ReadAsync().AsTask() : null;
        await _pipe.Writer.CompleteAsync(new IOException("The client reset the request stream."));

        var end = await Assert.ThrowsAsync<RpcException>(() => waiting ?? _body.ReadAsync().AsTask());
        Assert.Equal(StatusCode.Cancelled, end.StatusCode);
    }

    [Fact]
    public async Task An_advance_for_a_client_that_has_gone_is_cancelled_and_the_end_of_its_call_is_quiet()
    {
        var gone = new RequestBody(new GoneReader(), _clock, isOneMessage: false);
        var read = await gone.ReadAsync();

        Assert.Equal(StatusCode.Cancelled, Assert.Throws<RpcException>(() => gone.AdvanceTo(read.Buffer.End)).StatusCode);
        await gone.ReadAsync();
        gone.Release();
    }

    /// <summary>As the stock server reads: what is no whole message yet is examined and not consumed.</summary>
    private void Advance(ReadResult read, bool isPart)
    {
        if (isPart)
        {
            _body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
        else
        {
            _body.AdvanceTo(read.Buffer.End);
        }
    }

    private async Task ReadPartAsync() => Advance(await _body.ReadAsync(), isPart: true);

    /// <summary>A read whose time is over ends so whatever comes then.</summary>
    private async Task RestAsync(Task<ReadResult> rest, bool isInTime)
    {
        await WriteAsync(4);
        if (isInTime)
        {
            Advance(await rest, isPart: false);
        }
        else
        {
            Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(() => rest)).StatusCode);
        }
    }

    private async Task WriteAsync(int bytes) => await _pipe.Writer.WriteAsync(new byte[bytes]);

    /// <summary>As Kestrel's reader is for a request that was reset after it had been read.</summary>
    private sealed class GoneReader : PipeReader
    {
        public override bool TryRead(out ReadResult result)
        {
            result = new ReadResult(new ReadOnlySequence<byte>(new byte[4]), isCanceled: false, isCompleted: false);
            return true;
        }

        public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => throw new IOException("The client reset the request stream.");

        public override void CancelPendingRead()
        {
        }

        public override void Complete(Exception? exception = null)
        {
        }
    }
}
