using Grpc.AspNetCore.Connections;
using Grpc.Core;
using Grpc.Tests.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Tests;

/// <summary>A message that has begun has its time; a stream between messages has all the time there is.</summary>
public sealed class SlowMessageTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ManualClock _clock = new();
    private readonly TaskCompletionSource<RpcException> _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task The_rest_of_a_message_has_thirty_seconds()
    {
        await using var server = await StartAsync();
        await using var connection = await RawConnection.OpenAsync(server.Address);
        var message = RawConnection.Message("late");
        await connection.CallAsync(1, "/tests.Echo/Duplex");
        await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, 1, message[..3]));
        await _clock.WhenRunning(1).WaitAsync(Patience);
        _clock.Advance(TimeSpan.FromSeconds(29));
        Assert.False(_refused.Task.IsCompleted);

        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(StatusCode.DeadlineExceeded, (await _refused.Task.WaitAsync(Patience)).StatusCode);
        Assert.True((await connection.ReadAsync(RawConnection.Headers))!.Value.EndsStream);
    }

    [Fact]
    public async Task A_long_message_has_longer()
    {
        await using var server = await StartAsync();
        await using var connection = await RawConnection.OpenAsync(server.Address);
        await connection.CallAsync(1, "/tests.Echo/Duplex");

        // 1 MiB announced: 64 seconds more.
        await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, 1, 0, 0, 0x10, 0, 0, 1));
        await _clock.WhenRunning(1).WaitAsync(Patience);
        _clock.Advance(TimeSpan.FromSeconds(93));
        Assert.False(_refused.Task.IsCompleted);

        _clock.Advance(TimeSpan.FromSeconds(1));

        await _refused.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task A_message_that_comes_in_pieces_is_read_and_silence_after_it_is_no_fault()
    {
        await using var server = await StartAsync();
        await using var connection = await RawConnection.OpenAsync(server.Address);
        var message = RawConnection.Message("in pieces");
        await connection.CallAsync(1, "/tests.Echo/Duplex");
        for (var round = 0; round < 3; round++)
        {
            await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, 1, message[..4]));
            await _clock.WhenRunning(1).WaitAsync(Patience);
            _clock.Advance(TimeSpan.FromSeconds(20));
            await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, 1, message[4..]));

            Assert.Equal(message, (await connection.ReadAsync(RawConnection.Data))!.Value.Payload);
            Assert.Equal(0, _clock.Running);
            _clock.Advance(TimeSpan.FromHours(5));
        }

        Assert.False(_refused.Task.IsCompleted);
    }

    private Task<EchoServer> StartAsync() => EchoServer.StartAsync(
        new Script
        {
            Duplex = async (requests, responses, context) =>
            {
                try
                {
                    while (await requests.MoveNext(context.CancellationToken))
                    {
                        await responses.WriteAsync(requests.Current, context.CancellationToken);
                    }
                }
                catch (RpcException e)
                {
                    _refused.SetResult(e);
                    throw;
                }
            },
        },
        services: services => services.AddSingleton<TimeProvider>(_clock),
        connections: new GrpcConnectionOptions { MaxAge = TimeSpan.Zero });
}
