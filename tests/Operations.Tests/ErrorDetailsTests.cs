using Google.Rpc;
using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>The rich error model over the wire: google.rpc.Status in grpc-status-details-bin.</summary>
public sealed class ErrorDetailsTests : ServiceTest
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task They_come_instead_of_messages_and_after_them(bool afterMessage)
    {
        await StartAsync();
        using var chat = new RouteGuide.RouteGuideClient(Connect()).RouteChat(deadline: Soon);
        if (afterMessage)
        {
            var note = new RouteNote { Location = new Point { Latitude = 1 }, Message = "here" };
            await chat.RequestStream.WriteAsync(note);
            await chat.RequestStream.WriteAsync(note);
            Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        }

        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = 900_000_001 } });

        var end = await RefusalAsync(StatusCode.InvalidArgument, chat.ResponseStream.MoveNext(CancellationToken.None));
        var details = end.GetRpcStatus()!;
        Assert.Equal((end.Status.Detail, (int)end.StatusCode), (details.Message, details.Code));
        var violation = Assert.Single(details.GetDetail<BadRequest>().FieldViolations);
        Assert.Equal("location.latitude", violation.Field);
        Assert.Contains("900000001", violation.Description, StringComparison.Ordinal);
    }

    // Clients bound the headers and trailers of a call, at 8 KB for most; above that they see RESOURCE_EXHAUSTED instead of the status.
    [Theory]
    [InlineData("route-chat-mode")]
    [InlineData("route-chat-listen")]
    [InlineData("route-chat-after")]
    public async Task A_long_text_of_the_caller_leaves_room_for_the_status(string key)
    {
        await StartAsync();
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        var stream = 1;
        var smiles = string.Concat(Enumerable.Repeat("\xf0\x9f\x98\x80", 10_000));
        foreach (var text in (string[])["z", new('z', 3_000), new('z', 60_000), smiles])
        {
            (string, string?)[] metadata = key == "route-chat-mode" ? [(key, text)] : [("route-chat-mode", "sequenced"), (key, text)];
            var answer = await connection.AnswerAsync(stream, "/routeguide.RouteGuide/RouteChat", [], metadata);

            Assert.Equal(StatusCode.InvalidArgument, answer.Status);
            Assert.StartsWith($"{key} is '", answer.Fields["grpc-message"], StringComparison.Ordinal);
            Assert.InRange(answer.Fields.Sum(static field => field.Key.Length + field.Value.Length + 32), 0, 8 * 1024);
            stream += 2;
        }
    }
}
