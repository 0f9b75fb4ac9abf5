using System.Text;
using Grpc.Core;

namespace RouteService.Operations.Tests;

/// <summary>Who reads or writes slowly harms no other call of the connection.</summary>
public sealed class SlowClientTests : ServiceTest
{
    private const string Bidi = "/HelloService/BidiHello";

    [Fact]
    public async Task A_call_whose_message_stops_half_way_ends_and_its_neighbours_go_on()
    {
        await StartAsync();
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        await connection.CallAsync(1, Bidi);
        await connection.CallAsync(3, Bidi);
        await connection.MessageAsync(3, RawConnection.Message("before the silence"));
        await connection.MessageAsync(3, []);
        string[] paths = ["/helloworld.Greeter/SayHello", "/HelloService/LotsOfReplies", "/routeguide.RouteGuide/RecordRoute", Bidi];
        foreach (var (i, path) in paths.Index())
        {
            await connection.CallAsync(5 + (2 * i), path);
            await connection.MessageAsync(5 + (2 * i), RawConnection.Message("the rest does not come")[..(i + 1)]);
        }

        // Kestrel's own limit, the rate of a connection's bodies, would have ended the connection after some five seconds.
        var ended = new Dictionary<int, RawFrame>();
        while (ended.Count < paths.Length)
        {
            var frame = (await connection.ReadAsync(RawConnection.Headers))!.Value;
            if (frame.EndsStream)
            {
                ended.Add(frame.Stream, frame);
            }
        }

        Assert.Equal([5, 7, 9, 11], ended.Keys.Order());
        Assert.All(ended.Values, static end => Assert.Contains(
            ("grpc-status", $"{(int)StatusCode.DeadlineExceeded}"), RawConnection.Fields(end.Payload)));
        foreach (var neighbour in (int[])[1, 3])
        {
            await connection.MessageAsync(neighbour, RawConnection.Message("after"), isLast: true);
            var body = Encoding.UTF8.GetString((await connection.AnswerAsync(neighbour)).Body);
            Assert.EndsWith("Hello, after!", body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_stalled_reader_ends_no_neighbour()
    {
        // INITIAL_WINDOW_SIZE: 100 bytes may be sent on a stream until its client makes room, which it does for the neighbour alone.
        await StartAsync();
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort, (4, 100));
        await connection.CallAsync(1, "/HelloService/LotsOfReplies");
        await connection.MessageAsync(1, RawConnection.Message(new string('x', 100)), isLast: true);
        Assert.Equal(100, (await connection.ReadAsync(RawConnection.Data))!.Value.Payload.Length);
        await connection.CallAsync(3, Bidi);
        await connection.SendAsync(RawConnection.Frame(RawConnection.WindowUpdate, 0, 3, 0, 0, 0x10, 0));

        // Kestrel's own limit, a rate of the connection's responses, has a grace of five seconds.
        await Task.Delay(TimeSpan.FromSeconds(10));
        await connection.MessageAsync(3, RawConnection.Message("neighbour"));
        Assert.Equal(RawConnection.Message("Hello, neighbour!"), (await connection.ReadAsync(RawConnection.Data))!.Value.Payload);

        // With room, the stalled call goes on to its end.
        await connection.SendAsync(RawConnection.Frame(RawConnection.WindowUpdate, 0, 1, 0, 0, 0x10, 0));
        Assert.Equal(StatusCode.OK, (await connection.AnswerAsync(1)).Status);
    }
}
