using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

public sealed class LogFollowerTests
{
    /// <summary>A fault of the program's own, too: what follows a log must not end while health says that it does.</summary>
    [Fact]
    public async Task Any_failure_is_followed_by_another_attempt()
    {
        var clock = new FakeTimeProvider();
        var (followed, removed) = (0, 0);
        var again = new TaskCompletionSource();
        using var follower = new LogFollower(
            "notes",
            async cancellationToken =>
            {
                if (++followed == 1)
                {
                    throw new InvalidOperationException("a fault");
                }

                again.TrySetResult();
                await Task.Delay(Timeout.Infinite, cancellationToken);
            },
            _ => ++removed == 1 ? throw new InvalidOperationException("a fault") : Task.FromResult(0),
            clock,
            NullLogger<LogFollower>.Instance);
        await follower.StartAsync(default);

        while (!again.Task.IsCompleted || Volatile.Read(ref removed) < 2)
        {
            clock.Advance(TimeSpan.FromMinutes(10));
            await Task.Delay(1);
        }

        Assert.False(follower.ExecuteTask!.IsCompleted);
        await follower.StopAsync(default);
    }
}
