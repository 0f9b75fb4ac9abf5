using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RouteService.Api.Hosting;
using RouteService.Domain.Features;

namespace RouteService.Api.Tests;

public sealed class StoreHealthCheckTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly List<string> _lines = [];
    private string? _fault;

    [Fact]
    public async Task A_store_that_has_never_answered_is_unhealthy_at_once()
    {
        var check = Create(TimeSpan.FromSeconds(10));
        _fault = "The database is read-only.";

        Assert.Equal((HealthStatus.Unhealthy, "The database is read-only."), await AskAsync(check));
    }

    [Fact]
    public async Task A_store_that_has_answered_may_fail_as_long_as_is_tolerated()
    {
        var check = Create(TimeSpan.FromSeconds(10));
        Assert.Equal((HealthStatus.Healthy, null), await AskAsync(check));
        _fault = "away";

        Assert.Equal((HealthStatus.Healthy, null), await AskAsync(check));
        _clock.Advance(TimeSpan.FromSeconds(9.9));
        Assert.Equal((HealthStatus.Healthy, null), await AskAsync(check));
        _clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal((HealthStatus.Unhealthy, "away"), await AskAsync(check));

        // The time begins again with each success.
        _fault = null;
        Assert.Equal((HealthStatus.Healthy, null), await AskAsync(check));
        _fault = "away";
        _clock.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal((HealthStatus.Healthy, null), await AskAsync(check));
    }

    [Fact]
    public async Task Without_tolerance_the_first_failure_counts_and_each_change_is_logged_once()
    {
        var check = Create(TimeSpan.Zero);
        await AskAsync(check);
        Assert.Empty(_lines);
        _fault = "away";

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal((HealthStatus.Unhealthy, "away"), await AskAsync(check));
            _clock.Advance(TimeSpan.FromSeconds(5));
        }

        _fault = null;
        await AskAsync(check);
        await AskAsync(check);
        _fault = "away again";
        await AskAsync(check);
        Assert.Equal(
            [
                "Warning: Health: the store cannot be used for writes: away",
                "Information: Health: the store can be used for writes again.",
                "Warning: Health: the store cannot be used for writes: away again",
            ],
            _lines);
    }

    [Fact]
    public async Task A_store_that_does_not_answer_is_unhealthy_and_the_end_of_the_question_tells_nothing()
    {
        var check = Create(TimeSpan.Zero, static cancellationToken => Task.Delay(Timeout.Infinite, cancellationToken));
        using var asking = new CancellationTokenSource();
        var ended = check.CheckHealthAsync(new HealthCheckContext(), asking.Token);
        await asking.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ended);

        var asked = AskAsync(check);
        _clock.Advance(TimeSpan.FromSeconds(20));

        Assert.Equal((HealthStatus.Unhealthy, "It has not answered within 20 s."), await asked);
        Assert.Equal(["Warning: Health: the store cannot be used for writes: It has not answered within 20 s."], _lines);
    }

    private StoreHealthCheck Create(TimeSpan tolerance, Func<CancellationToken, Task>? probe = null) => new(
        "writes",
        probe ?? (_ => _fault is { } fault ? Task.FromException(new StoreUnavailableException(fault)) : Task.CompletedTask),
        tolerance,
        _clock,
        new Lines(_lines));

    private static async Task<(HealthStatus, string?)> AskAsync(StoreHealthCheck check)
    {
        var result = await check.CheckHealthAsync(new HealthCheckContext());
        return (result.Status, result.Description);
    }

    private sealed class Lines(List<string> lines) : ILogger<StoreHealthCheck>
    {
        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Add($"{logLevel}: {formatter(state, exception)}");
    }
}
