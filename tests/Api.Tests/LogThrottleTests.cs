using Microsoft.Extensions.Time.Testing;
using RouteService.Api.Errors;

namespace RouteService.Api.Tests;

public sealed class LogThrottleTests
{
    [Fact]
    public void Of_lines_that_are_alike_the_first_is_due_and_then_one_a_minute_with_the_count()
    {
        var clock = new FakeTimeProvider();
        var throttle = new LogThrottle(clock);

        Assert.Equal((true, 1), Ask("a"));
        Assert.Equal((false, 1), Ask("a"));
        Assert.Equal((true, 1), Ask("b"));
        clock.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal((false, 2), Ask("a"));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((true, 3), Ask("a"));
        Assert.Equal((false, 1), Ask("a"));

        (bool, int) Ask(string line) => (throttle.IsDue(line, out var count), count);
    }
}
