using Grpc.Core;

namespace RouteService.Operations.Tests;

/// <summary>The headers of one call never harm another's: each call here has a neighbour on its connection, which goes on.</summary>
public sealed class HeaderTests(RunningService service) : IClassFixture<RunningService>
{
    internal const string Bidi = "/HelloService/BidiHello";
    internal const string Chat = "/routeguide.RouteGuide/RouteChat";

    private const string SayHello = "/helloworld.Greeter/SayHello";

    // A gateway that terminates TLS sends "https" over h2c.
    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    [InlineData("other")]
    public async Task Any_scheme_is_served(string scheme) => await ServedAsync((":scheme", scheme));

    // Text that is not UTF-8, in every kind of header that the service or its stack reads.
    [Theory]
    [InlineData("x-user-name")]
    [InlineData("x-data-bin")]
    [InlineData("user-agent")]
    [InlineData("cookie")]
    [InlineData("host")]
    [InlineData("traceparent")]
    [InlineData("tracestate")]
    [InlineData("baggage")]
    [InlineData("authorization")]
    [InlineData("x-api-key")]
    [InlineData("grpc-timeout")]
    [InlineData("grpc-encoding")]
    [InlineData("grpc-accept-encoding")]
    public async Task A_value_with_any_byte_is_served(string name)
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);
        string[] values =
        [
            "", "José", "\x80", "\xff", "\xc3", "\xc3\xa9", "\x7f", "\t",
            new([.. Enumerable.Range(0x80, 0x80).Select(static value => (char)value)]),
            new([.. Enumerable.Range(1, 0x1f).Where(static value => value is not ('\r' or '\n')).Select(static value => (char)value)]),
        ];
        var stream = 3;
        foreach (var value in values)
        {
            var answer = await connection.AnswerAsync(stream, SayHello, RawConnection.Message("you"), (name, value));

            Assert.True(answer is { Status: StatusCode.OK, Reset: null }, $"{name}: {Uri.EscapeDataString(value)}: {answer.Status}");
            stream += 2;
        }

        await NeighbourAsync(connection);
    }

    // Each kind of call, as the stack reads a header when the method asks for it, and a deadline when the call begins.
    [Theory]
    [InlineData("x-data-bin", "a")]
    [InlineData("x-data-bin", "AAAA=")]
    [InlineData("x-data-bin", "AAAA,!")]
    [InlineData("route-chat-mode-bin", "sequenced")]
    [InlineData("grpc-timeout", "99999999H")]
    [InlineData("grpc-timeout", "100000000S")]
    [InlineData("grpc-timeout", "999999999H")]
    [InlineData("grpc-timeout", "9223372036854775807H")]
    [InlineData("grpc-timeout", "99999999999999999999n")]
    [InlineData("grpc-timeout", "-1S")]
    [InlineData("grpc-timeout", "S")]
    [InlineData("grpc-timeout", "1")]
    [InlineData("grpc-timeout", "1 S")]
    [InlineData("grpc-timeout", "1S, 2S")]
    public async Task What_the_stack_cannot_read_in_a_header_is_passed_over_by_calls_of_each_kind(string name, string value)
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);
        string[] paths =
        [
            SayHello, "/HelloService/LotsOfReplies", "/HelloService/LotsOfGreetings", Bidi, "/routeguide.RouteGuide/GetFeature",
            "/routeguide.RouteGuide/RecordRoute", Chat, "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ];
        var stream = 3;
        foreach (var path in paths)
        {
            // An empty message is valid in each of these but the chat, which then refuses the note.
            var answer = await connection.AnswerAsync(stream, path, [0, 0, 0, 0, 0], (name, value));

            Assert.Equal((path, path == Chat ? StatusCode.InvalidArgument : StatusCode.OK), (path, answer.Status));
            stream += 2;
        }

        await NeighbourAsync(connection);
    }

    [Theory]
    [InlineData("content-type", "application/grpc\xe9", 415)]
    [InlineData("content-type", "text/plain", 415)]
    [InlineData("content-type", "application/grpc-web", 415)]
    [InlineData("content-type", null, 415)]
    public async Task What_is_no_gRPC_is_refused_by_itself(string name, string? value, int http)
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);

        var answer = await connection.AnswerAsync(3, SayHello, RawConnection.Message("you"), (name, value));

        Assert.Equal(($"{http}", StatusCode.Internal), (answer.Http, answer.Status));
        await NeighbourAsync(connection);
    }

    [Theory]
    [InlineData(":authority", "\xe9")]
    [InlineData(":path", "/helloworld.Greeter/Say\xe9")]
    public async Task What_cannot_be_a_request_is_reset_by_itself(string name, string value)
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);

        // PROTOCOL_ERROR.
        Assert.Equal(1, (await connection.AnswerAsync(3, SayHello, RawConnection.Message("you"), (name, value))).Reset);
        await NeighbourAsync(connection);
    }

    [Fact]
    public async Task Trailers_of_the_client_are_passed_over()
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);
        await connection.CallAsync(3, SayHello);
        await connection.MessageAsync(3, RawConnection.Message("you"));
        await connection.SendAsync(RawConnection.TrailersFrame(3, ("x-sum", "José")));

        Assert.Equal(StatusCode.OK, (await connection.AnswerAsync(3)).Status);
        await NeighbourAsync(connection);
    }

    [Fact]
    public async Task Headers_are_limited_by_their_bytes_alone()
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);
        var (stream, taken, refused) = (3, 0, 0);

        // A header counts 32 bytes beside its name and its value (RFC 9113, 6.5.2); what is over the limit is refused up to twice of it.
        (int Headers, int Length)[] cases =
            [(1, 60_000), (1, 80_000), (1, 120_000), (20, 3_000), (30, 3_000), (1_500, 1), (2_100, 1), (3_000, 1)];
        foreach (var (headers, length) in cases)
        {
            var size = 300 + (headers * (32 + 5 + length));
            var metadata = Enumerable.Range(1_000, headers).Select(i => ($"x{i}", (string?)new string('v', length)));
            var answer = await connection.AnswerAsync(stream, SayHello, RawConnection.Message("you"), [.. metadata]);

            Assert.Equal(size <= 64 * 1024 ? (StatusCode.OK, "200") : (StatusCode.Unknown, "431"), (answer.Status, answer.Http));
            _ = size <= 64 * 1024 ? taken++ : refused++;
            stream += 2;
        }

        Assert.True(taken > 2 && refused > 2);
        await NeighbourAsync(connection);
    }

    private async Task ServedAsync(params (string Name, string? Value)[] headers)
    {
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
        await connection.CallAsync(1, Bidi);

        var answer = await connection.AnswerAsync(3, SayHello, RawConnection.Message("you"), headers);
        Assert.Equal(RawConnection.Message("Hello, you!"), answer.Body);
        await NeighbourAsync(connection);
    }

    /// <summary>The call on the connection's first stream, BidiHello, goes on.</summary>
    internal static async Task NeighbourAsync(RawConnection connection)
    {
        await connection.MessageAsync(1, RawConnection.Message("neighbour"), isLast: true);
        Assert.Equal(RawConnection.Message("Hello, neighbour!"), (await connection.AnswerAsync(1)).Body);
    }
}
