using RouteService.Domain.Chat;
using RouteService.Domain.Features;

namespace RouteService.Api.Hosting;

/// <summary>Follows the note log for the notes of other replicas, again after failures, and removes old notes.</summary>
internal sealed partial class ChatFollower(NoteFeed feed, NoteWriter writer, TimeProvider clock, ILogger<ChatFollower> logger)
    : BackgroundService
{
    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RemovalPeriod = TimeSpan.FromHours(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        FollowAsync(stoppingToken),
        RemoveOldAsync(stoppingToken));

    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        var wasUnavailable = false;
        while (true)
        {
            var started = clock.GetTimestamp();
            try
            {
                await feed.FollowAsync(stoppingToken);
                return;
            }
            catch (StoreUnavailableException e)
            {
                // Logged once for each outage, not for each failed attempt.
                if (!wasUnavailable || clock.GetElapsedTime(started) > 10 * RetryPeriod)
                {
                    Log.LogUnavailable(logger, e, e.Message);
                }

                wasUnavailable = true;
            }

            await Task.Delay(RetryPeriod, clock, stoppingToken);
        }
    }

    private async Task RemoveOldAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(RemovalPeriod, clock);
        do
        {
            try
            {
                var removed = await writer.RemoveOldAsync(stoppingToken);
                if (removed > 0)
                {
                    Log.Removed(logger, removed);
                }
            }
            catch (StoreUnavailableException e)
            {
                Log.NotRemoved(logger, e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private static partial class Log
    {
        [LoggerMessage(
            1,
            LogLevel.Warning,
            "The note log is unavailable; notes from other replicas are delayed until it recovers: {Reason}")]
        public static partial void LogUnavailable(ILogger logger, Exception exception, string reason);

        [LoggerMessage(2, LogLevel.Information, "Removed {Count} notes that have reached the age limit.")]
        public static partial void Removed(ILogger logger, int count);

        [LoggerMessage(3, LogLevel.Warning, "Old notes could not be removed; the next attempt is in an hour: {Reason}")]
        public static partial void NotRemoved(ILogger logger, string reason);
    }
}
