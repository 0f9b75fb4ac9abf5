using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Domain.Tests;

/// <summary>Reads of features that watches share.</summary>
public sealed class FeatureReadsTests
{
    private readonly MemoryChangeLog _log = new();
    private readonly FeatureReads _reads;

    public FeatureReadsTests() => _reads = new FeatureReads(_log);

    [Fact]
    public async Task Those_who_ask_while_one_reads_share_the_next_read_and_see_what_was_written_before_it()
    {
        var gate = new TaskCompletionSource();
        _log.Gate = gate.Task;
        var first = ReadAsync(0);
        await UntilAsync(1);
        var others = Enumerable.Range(1, 100).Select(i => ReadAsync(i % 10, 10)).ToList();
        _log.Put(At(10), "written");
        gate.SetResult();

        Assert.Empty(await first);
        Assert.All(await Task.WhenAll(others), features => Assert.Equal("written", features[At(10)].Name));
        Assert.Equal([1, 11], _log.ReadsOfFeatures);
    }

    [Fact]
    public async Task A_read_has_a_limit_of_places()
    {
        var gate = new TaskCompletionSource();
        _log.Gate = gate.Task;
        var first = ReadAsync(0);
        await UntilAsync(1);
        var others = Enumerable.Range(0, 20).Select(i => ReadAsync([.. Enumerable.Range(i * 64, 64)])).ToList();
        gate.SetResult();

        await Task.WhenAll([first, .. others]);
        Assert.Equal([1, 256, 256, 256, 256, 256], _log.ReadsOfFeatures);
    }

    [Fact]
    public async Task A_read_that_fails_fails_those_who_asked_and_nobody_else()
    {
        var gate = new TaskCompletionSource();
        _log.Gate = gate.Task;
        _log.IsAway = true;
        var first = ReadAsync(0);
        await UntilAsync(1);
        gate.SetResult();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => first);
        _log.IsAway = false;

        Assert.Empty(await ReadAsync(0));
    }

    [Fact]
    public async Task Who_goes_ends_no_read_of_others()
    {
        var gate = new TaskCompletionSource();
        _log.Gate = gate.Task;
        using var going = new CancellationTokenSource();
        var first = _reads.ReadAsync([At(0)], going.Token);
        await UntilAsync(1);
        var (second, third) = (_reads.ReadAsync([At(1)], going.Token), ReadAsync(2));

        await going.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        gate.SetResult();

        Assert.Empty(await third);
    }

    private static Coordinate At(int i) => new(i, 0);

    private Task<Dictionary<Coordinate, CatalogFeature>> ReadAsync(params int[] places) =>
        _reads.ReadAsync(Array.ConvertAll(places, At), default);

    private async Task UntilAsync(int reads)
    {
        while (_log.ReadsOfFeatures.Count < reads)
        {
            await Task.Delay(1);
        }
    }
}
