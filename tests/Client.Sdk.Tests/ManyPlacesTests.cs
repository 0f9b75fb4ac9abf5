using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <summary>Chat sessions at as many places as docs/chat.md promises, with the built service and its default limits.</summary>
public sealed class ManyPlacesTests : IAsyncLifetime
{
    private const int MaxPlaces = 10_000;

    private readonly RunningService _service = new();
    private TcpProxy _proxy = null!;

    [Fact]
    public async Task A_session_at_ten_thousand_places_opens_and_goes_on_through_a_restart()
    {
        await using var client = Connect(_proxy.Address);
        await using var writer = await client.JoinChatAsync();
        await using var session = await client.JoinChatAsync(Enumerable.Range(1, MaxPlaces).Select(At));
        int[] places = [1, 2_000, 2_001, 7_777, MaxPlaces];
        foreach (var i in places)
        {
            await session.PostAsync(At(i), $"mine {i}");
            await writer.PostAsync(At(i), $"before {i}");
        }

        var received = await TakeAsync(session, 2 * places.Length);
        await RestartAsync();
        foreach (var i in places)
        {
            await writer.PostAsync(At(i), $"after {i}");
        }

        received.AddRange(await TakeAsync(session, places.Length));

        Assert.All(places, i => Assert.Equal(
            [$"mine {i}", $"before {i}", $"after {i}"], received.Where(note => note.Location == At(i)).Select(static note => note.Message)));
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => session.PostAsync(At(MaxPlaces + 1), "one more"));
        Assert.Contains("10000 places", error.Message);
        Assert.Equal("still here", (await session.PostAsync(At(1), "still here")).Message);
    }

    [Fact]
    public async Task A_session_that_has_posted_at_thousands_of_places_goes_on_through_a_restart()
    {
        const int Count = 4_500;
        await using var client = Connect(_proxy.Address);
        await using var session = await client.JoinChatAsync();
        await using var other = await client.JoinChatAsync();
        await Task.WhenAll(Enumerable.Range(1, Count).Select(i => session.PostAsync(At(i), $"first {i}")));

        await RestartAsync();
        await session.PostAsync(At(1), "again 1");
        await other.PostAsync(At(Count), $"again {Count}");

        var notes = await TakeAsync(session, Count + 2);
        Assert.Equal(Count + 2, notes.Select(static note => note.Sequence).Distinct().Count());
        Assert.Equal(["first 1", "again 1"], notes.Where(static note => note.Location == At(1)).Select(static note => note.Message));
        Assert.Equal([$"first {Count}", $"again {Count}"], notes.Where(static note => note.Location == At(Count)).Select(static note => note.Message));
    }

    public async ValueTask InitializeAsync()
    {
        await _service.InitializeAsync();
        _proxy = TcpProxy.Start(() => _service.GrpcPort);
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _service.DisposeAsync();
    }

    private async Task RestartAsync()
    {
        Assert.Equal(0, await _service.StopAsync());
        await _service.InitializeAsync();
    }
}
