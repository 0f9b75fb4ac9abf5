using System.Diagnostics.Metrics;
using RouteService.Domain.Chat;

namespace RouteService.Domain.Tests;

internal static class ChatFixture
{
    public static RouteChat Create(INoteLog log, ChatOptions? options = null, TimeProvider? clock = null) =>
        new(log, options ?? new ChatOptions(), clock ?? TimeProvider.System, new ChatMetrics(new Meters()));

    private sealed class Meters : IMeterFactory
    {
        public Meter Create(MeterOptions options) => new(options);

        public void Dispose()
        {
        }
    }
}
