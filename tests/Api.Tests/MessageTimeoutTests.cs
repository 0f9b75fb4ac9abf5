using System.IO.Pipelines;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

/// <summary>A message that has begun has its time; a stream between messages has all the time there is.</summary>
public sealed class MessageTimeoutTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 0, useSynchronizationContext: false));
    private readonly TimedBody _body;

    public MessageTimeoutTests() => _body = new TimedBody(_pipe.Reader, _clock);

    [Fact]
    public async Task The_rest_of_a_message_has_thirty_seconds()
    {
        await WriteAsync(3);
        await ReadPartAsync();
        var rest = _body.ReadAsync().AsTask();

        _clock.Advance(TimeSpan.FromSeconds(29));
        Assert.False(rest.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(() => rest)).StatusCode);
    }

    [Fact]
    public async Task What_has_come_of_a_long_message_gives_the_rest_more_time()
    {
        await WriteAsync(5);
        await ReadPartAsync();

        // 1 MiB: 64 seconds more, from the beginning of the message.
        var more = _body.ReadAsync().AsTask();
        _clock.Advance(TimeSpan.FromSeconds(20));
        await WriteAsync((1024 * 1024) - 5);
        Advance(await more, isPart: true);
        var rest = _body.ReadAsync().AsTask();

        _clock.Advance(TimeSpan.FromSeconds(73));
        Assert.False(rest.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(1));

        await Assert.ThrowsAsync<RpcException>(() => rest);
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

    private async Task WriteAsync(int bytes) => await _pipe.Writer.WriteAsync(new byte[bytes]);
}
