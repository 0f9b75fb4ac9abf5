namespace RouteService.Api.Security;

/// <summary>Reloads the watched files when they change: certificates, authorities, and keys (<see cref="WatchedFile{T}"/>).</summary>
internal sealed class FileReloader(IEnumerable<IWatchedFile> files, TimeProvider clock, ILogger<FileReloader> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var file in files)
            {
                file.Reload(logger);
            }
        }
    }
}
