using Microsoft.Extensions.Time.Testing;
using RouteService.Domain.Chat;

namespace RouteService.Domain.Tests;

public sealed class SlowConsumerLimitTests
{
    [Fact]
    public void The_time_begins_again_whenever_all_that_was_queued_has_been_read()
    {
        var clock = new FakeTimeProvider();
        var limit = new SlowConsumerLimit(new ChatOptions { MaxSecondsBehind = 10 }, clock, ChatFixture.CreateMetrics());
        limit.Queued();
        limit.Queued();
        limit.Check();
        clock.Advance(TimeSpan.FromSeconds(9));
        limit.Done(2);
        limit.Check();

        clock.Advance(TimeSpan.FromSeconds(9));
        limit.Queued();
        limit.Check();
        clock.Advance(TimeSpan.FromSeconds(9));
        limit.Check();

        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(ChatLimit.SecondsBehind, Assert.Throws<ChatLimitException>(limit.Check).Limit);
    }
}
