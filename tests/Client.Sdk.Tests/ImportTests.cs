using System.Text.Json.Nodes;
using Grpc.Core;
using static RouteService.Client.Tests.Places;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Client.Tests;

/// <summary>Imports of more than the windows of flow control hold, so that they wait for the server.</summary>
public sealed class ImportTests(RunningService running) : IClassFixture<RunningService>
{
    private const int Many = 60;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task An_import_that_the_server_lets_wait_is_sent_once_however_long_that_is()
    {
        await using var service = await ScriptedService.StartAsync(Waiting(static _ => TimeSpan.FromSeconds(2)));
        await using var client = Connect(service.Address, static options => options with { StreamSilence = TimeSpan.FromMilliseconds(200) });

        Assert.Equal(Many, (await client.Features.ImportFeaturesAsync([.. Large()])).Total);
        Assert.Equal(Many, (await client.Features.ImportFeaturesAsync(Large().ToAsyncEnumerable())).Total);
        Assert.Equal(2, service.Script.Calls);
    }

    [Fact]
    public async Task An_import_that_waits_ends_by_its_timeout_and_by_its_token()
    {
        await using var service = await ScriptedService.StartAsync(Waiting(static _ => Timeout.InfiniteTimeSpan));
        await using var client = Connect(service.Address);
        using var cancel = new CancellationTokenSource();

        // The third waits for the others, and not yet for the server.
        var imports = Enumerable.Range(0, 2).Select(_ => client.Features.ImportFeaturesAsync([.. Large()], cancellationToken: cancel.Token)).ToList();
        await UntilAsync(() => service.Script.Calls == 2);
        imports.Add(client.Features.ImportFeaturesAsync([.. Large()], cancellationToken: cancel.Token));
        var late = await Assert.ThrowsAsync<RouteServiceException>(() => client.Features.ImportFeaturesAsync([.. Large()], timeout: TimeSpan.FromMilliseconds(300)));
        Assert.Equal((FailureReason.DeadlineExceeded, 0, 2), (late.Reason, late.Attempts, service.Script.Calls));

        await cancel.CancelAsync();
        foreach (var import in imports)
        {
            Assert.Equal(cancel.Token, (await Assert.ThrowsAsync<OperationCanceledException>(() => import)).CancellationToken);
        }

        late = await Assert.ThrowsAsync<RouteServiceException>(() => client.Features.ImportFeaturesAsync([.. Large()], timeout: TimeSpan.FromSeconds(1)));
        Assert.Equal((FailureReason.DeadlineExceeded, 1), (late.Reason, late.Attempts));
    }

    [Fact]
    public async Task An_import_that_waits_on_a_connection_that_has_gone_silent_is_made_again_on_another()
    {
        await using var service = await ScriptedService.StartAsync(Waiting(static call => call == 1 ? Timeout.InfiniteTimeSpan : TimeSpan.Zero));
        await using var proxy = TcpProxy.Start(() => service.Port);
        await using var client = Connect(proxy.Address, static options => options with { KeepAlive = TimeSpan.FromSeconds(1) });

        var import = client.Features.ImportFeaturesAsync([.. Large()]);
        await UntilAsync(() => service.Script.Calls == 1);
        proxy.Stall();
        await UntilAsync(() => proxy.Connections == 2);
        Assert.False(import.IsCompleted);
        proxy.Flow();

        Assert.Equal(Many, (await import.WaitAsync(Patience)).Total);
    }

    [Fact]
    public async Task Many_imports_at_once_hold_up_neither_each_other_nor_other_calls()
    {
        await using var client = Connect($"http://{running.Address}");

        var imports = Task.WhenAll(Enumerable.Range(0, 6).Select(_ => client.Features.ImportFeaturesAsync(Large().ToAsyncEnumerable())));
        while (!imports.IsCompleted)
        {
            await client.GetFeatureAsync(Here, Patience);
            await Task.Delay(10);
        }

        Assert.All(await imports.WaitAsync(Patience), static summary => Assert.Equal(Many, summary.Read));
    }

    private static Script Waiting(Func<int, TimeSpan> wait) => new()
    {
        ImportFeatures = async (stream, context, call) =>
        {
            // The options come first.
            await stream.MoveNext(context.CancellationToken);
            await Task.Delay(wait(call), context.CancellationToken);
            var total = 0;
            while (await stream.MoveNext(context.CancellationToken))
            {
                total += stream.Current.Batch.Features.Count;
            }

            return new V1.ImportFeaturesResponse { TotalCount = total };
        },
    };

    private static IEnumerable<CatalogFeature> Large() =>
        Enumerable.Range(0, Many).Select(static i => new CatalogFeature(At(i), $"{i}", new JsonObject { ["text"] = new string('x', 60_000) }));

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!isSo())
        {
            await Task.Delay(10, patience.Token);
        }
    }
}
