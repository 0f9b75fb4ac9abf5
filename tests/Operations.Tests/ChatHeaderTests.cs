using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>The metadata in which a chat says where it listens.</summary>
public sealed class ChatHeaderTests : ServiceTest
{
    // Joined by commas, and as entries of their own; docs/chat.md promises these numbers.
    [Theory]
    [InlineData(65_536, 1, 2_700)]
    [InlineData(65_536, 850, 1)]
    [InlineData(65_536, 500, 3)]
    [InlineData(262_144, 1, 10_000)]
    public async Task A_chat_listens_at_as_many_locations_as_its_metadata_holds(int headerBytes, int entries, int locations)
    {
        Service.Settings["RouteService__Grpc__Connection__MaxHeaderBytes"] = $"{headerBytes}";
        await StartAsync();
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        await connection.CallAsync(1, HeaderTests.Bidi);

        // The longest of all locations; a note is at the last.
        var places = Enumerable.Range(0, entries * locations)
            .Select(static i => new Point { Latitude = -899_900_000 + i, Longitude = -1_799_900_000 }).ToList();
        var note = new RouteNote { Location = places[^1], Message = "there" };
        Assert.Equal(StatusCode.OK, (await connection.AnswerAsync(3, HeaderTests.Chat, RawConnection.Message(note))).Status);
        var listen = places.Chunk(locations).Select(static entry =>
            ("route-chat-listen", (string?)string.Join(',', entry.Select(static place => $"{place.Latitude},{place.Longitude}"))));
        await connection.CallAsync(5, HeaderTests.Chat, [("route-chat-mode", "sequenced"), .. listen]);

        var first = RawConnection.Message(note).Length;
        var heard = new List<byte>();
        while (heard.Count < first)
        {
            heard.AddRange((await connection.ReadAsync(RawConnection.Data))!.Value.Payload);
        }

        Assert.Equal("there", RouteNote.Parser.ParseFrom([.. heard[5..]]).Message);
        await HeaderTests.NeighbourAsync(connection);
    }
}
