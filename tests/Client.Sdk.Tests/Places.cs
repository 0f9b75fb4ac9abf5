using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

internal static class Places
{
    /// <summary>A client that fails fast.</summary>
    public static RouteServiceClient Connect(string address, Func<RouteServiceClientOptions, RouteServiceClientOptions>? with = null)
    {
        var options = new RouteServiceClientOptions { Address = address, Retry = new() { Delay = TimeSpan.FromMilliseconds(10) } };
        return new RouteServiceClient(with?.Invoke(options) ?? options);
    }

    public static Coordinate Here { get; } = Coordinate.FromDegrees(40.5, -74.5);

    /// <summary>Number i of many places.</summary>
    public static Coordinate At(int i) => Coordinate.FromE7(i * 800, i * -1500);

    public static Proto.Feature Feature(int i) => new() { Name = $"place {i}", Location = new Point { Latitude = i * 800, Longitude = i * -1500 } };

    /// <summary>The next notes of a session; fails if they do not come.</summary>
    public static async Task<List<RouteNote>> TakeAsync(IRouteChat session, int count)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var notes = new List<RouteNote>();
        await foreach (var note in session.WithCancellation(patience.Token))
        {
            notes.Add(note);
            if (notes.Count == count)
            {
                break;
            }
        }

        return notes;
    }

    public static async Task<List<T>> ToListAsync<T>(IAsyncEnumerable<T> items)
    {
        var list = new List<T>();
        await foreach (var item in items)
        {
            list.Add(item);
        }

        return list;
    }
}
