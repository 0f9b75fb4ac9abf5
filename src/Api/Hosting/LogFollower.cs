using RouteService.Domain.Chat;
using RouteService.Domain.Watch;

namespace RouteService.Api.Hosting;

/// <summary>Follows a log for what other replicas write, again after failures, and removes what is old in it.</summary>
/// <param name="content">What the log has, for messages.</param>
/// <param name="follow">Follows the log; returns when no other process writes to it.</param>
/// <param name="removeOld">Removes what is old, and returns the number.</param>
/// <param name="clock">Measures the periods.</param>
/// <param name="logger">Tells of failures.</param>
internal sealed partial class LogFollower(
    string content,
    Func<CancellationToken, Task> follow,
    Func<CancellationToken, Task<int>> removeOld,
    TimeProvider clock,
    ILogger<LogFollower> logger)
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
                await follow(stoppingToken);
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // Logged once for each outage, not for each failed attempt.
                if (!wasUnavailable || clock.GetElapsedTime(started) > 10 * RetryPeriod)
                {
                    Log.LogUnavailable(logger, e, content, e.Message);
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
                var removed = await removeOld(stoppingToken);
                if (removed > 0)
                {
                    Log.Removed(logger, removed, content);
                }
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Log.NotRemoved(logger, content, e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private static partial class Log
    {
        [LoggerMessage(
            1,
            LogLevel.Warning,
            "The log of {Content} is unavailable; {Content} of other replicas are delayed until it recovers: {Reason}")]
        public static partial void LogUnavailable(ILogger logger, Exception exception, string content, string reason);

        [LoggerMessage(2, LogLevel.Information, "Removed {Count} {Content} that have reached a limit of their log.")]
        public static partial void Removed(ILogger logger, int count, string content);

        [LoggerMessage(3, LogLevel.Warning, "Old {Content} could not be removed; the next attempt is in an hour: {Reason}")]
        public static partial void NotRemoved(ILogger logger, string content, string reason);
    }
}

internal static class LogFollowerExtensions
{
    /// <summary>Follows the logs of the chat and of the features.</summary>
    public static void AddLogFollowers(this IServiceCollection services)
    {
        services.AddSingleton<IHostedService>(static provider => Create(
            provider,
            "notes",
            provider.GetRequiredService<NoteFeed>().FollowAsync,
            provider.GetRequiredService<NoteWriter>().RemoveOldAsync));
        services.AddSingleton<IHostedService>(static provider => Create(
            provider,
            "changes of features",
            provider.GetRequiredService<ChangeFeed>().FollowAsync,
            provider.GetRequiredService<ChangeFeed>().RemoveOldAsync));

        static LogFollower Create(
            IServiceProvider provider,
            string content,
            Func<CancellationToken, Task> follow,
            Func<CancellationToken, Task<int>> removeOld) =>
            ActivatorUtilities.CreateInstance<LogFollower>(provider, content, follow, removeOld);
    }
}
