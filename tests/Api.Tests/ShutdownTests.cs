using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using RouteService.Api.Errors;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

public sealed class ShutdownTests
{
    [Fact]
    public void Signals_within_a_second_of_the_first_are_one()
    {
        var clock = new FakeTimeProvider();
        using var lifetime = new Lifetime();
        using var shutdown = new Shutdown(new ShutdownOptions(), new StreamLifetime(), lifetime, clock, NullLogger<Shutdown>.Instance);

        Assert.False(shutdown.IsSecondSignal());
        Assert.False(shutdown.IsSecondSignal());
        clock.Advance(TimeSpan.FromSeconds(0.9));
        Assert.False(shutdown.IsSecondSignal());
        clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.True(shutdown.IsSecondSignal());
        Assert.True(shutdown.IsSecondSignal());
    }

    [Fact]
    public void The_grace_of_calls_begins_after_the_delay()
    {
        var services = new ServiceCollection();
        services.AddSingleton(new ShutdownOptions { DelaySeconds = 40, GraceSeconds = 2 });
        services.AddShutdown();
        using var provider = services.BuildServiceProvider();

        Assert.Equal(TimeSpan.FromSeconds(42), provider.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout);
    }

    private sealed class Lifetime : IHostApplicationLifetime, IDisposable
    {
        private readonly CancellationTokenSource _source = new();

        public CancellationToken ApplicationStarted => _source.Token;

        public CancellationToken ApplicationStopping => _source.Token;

        public CancellationToken ApplicationStopped => _source.Token;

        public void StopApplication() => _source.Cancel();

        public void Dispose() => _source.Dispose();
    }
}
