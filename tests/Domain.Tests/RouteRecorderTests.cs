using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Routes;

namespace RouteService.Domain.Tests;

public sealed class RouteRecorderTests
{
    private static readonly Coordinate Home = new(409_146_138, -746_188_906);

    [Fact]
    public async Task A_route_without_points_is_all_zeros()
    {
        var route = new RouteRecorder(new Places(Home), new HandClock());

        Assert.Equal(new RouteSummary(0, 0, 0, TimeSpan.Zero), await route.FinishAsync(default));
    }

    [Fact]
    public async Task A_place_passed_twice_counts_twice_and_other_points_do_not()
    {
        var route = new RouteRecorder(new Places(Home), new HandClock());
        foreach (var point in (Coordinate[])[Home, new(0, 0), Home])
        {
            await route.AddAsync(point, default);
        }

        var summary = await route.FinishAsync(default);

        Assert.Equal((3, 2), (summary.PointCount, summary.FeatureCount));
        Assert.Equal(2 * Haversine.Meters(Home, new(0, 0)), summary.Meters);
    }

    [Fact]
    public async Task Time_runs_from_the_start_to_the_end_on_the_given_clock()
    {
        var clock = new HandClock();
        var route = new RouteRecorder(new Places(), clock);
        clock.Advance(TimeSpan.FromSeconds(2.5));
        await route.AddAsync(Home, default);
        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(TimeSpan.FromSeconds(3.5), (await route.FinishAsync(default)).Elapsed);
    }

    [Theory]
    [InlineData(0.9, 0)]
    [InlineData(2.5, 2)]
    [InlineData(1e12, int.MaxValue)]
    public void Whole_meters_leave_out_the_rest_and_stay_in_range(double meters, int whole) =>
        Assert.Equal(whole, new RouteSummary(2, 0, meters, TimeSpan.Zero).WholeMeters);

    [Theory]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(513)]
    [InlineData(5_000)]
    public async Task Every_point_is_looked_up_once_however_many_there_are(int points)
    {
        var places = new Places(Home);
        var route = new RouteRecorder(places, new HandClock());
        for (var i = 0; i < points; i++)
        {
            await route.AddAsync(i % 2 == 0 ? Home : new Coordinate(i, i), default);
        }

        var summary = await route.FinishAsync(default);

        Assert.Equal((points, (points + 1) / 2), (summary.PointCount, summary.FeatureCount));
        Assert.Equal(points, places.LookedUp);
    }

    [Fact]
    public async Task The_store_is_asked_for_many_points_at_once()
    {
        var places = new Places(Home);
        var route = new RouteRecorder(places, new HandClock());
        for (var i = 0; i < 5_000; i++)
        {
            await route.AddAsync(Home, default);
        }

        await route.FinishAsync(default);

        Assert.InRange(places.Questions, 1, 50);
    }

    [Fact]
    public async Task One_who_adds_faster_than_the_store_answers_is_slowed_to_its_pace()
    {
        var answer = new TaskCompletionSource<int>();
        var places = new Places { Answer = answer.Task };
        var route = new RouteRecorder(places, new HandClock());

        // The store looks up the first batch, and the second is gathered meanwhile; then there is no more room.
        var added = 0;
        ValueTask last;
        do
        {
            Assert.InRange(++added, 1, 5_000);
            last = route.AddAsync(Home, default);
        }
        while (last.IsCompleted);

        Assert.Equal(1, places.Questions);
        Assert.Equal(2 * places.LookedUp, added);
        answer.SetResult(7);
        await last;
        Assert.Equal(14, (await route.FinishAsync(default)).FeatureCount);
    }

    [Fact]
    public async Task Points_that_come_while_the_store_reads_the_ones_before_do_not_replace_them()
    {
        var reading = new TaskCompletionSource();
        var places = new Places(Home) { Reading = reading.Task };
        var route = new RouteRecorder(places, new HandClock());
        var first = 0;
        while (places.Questions == 0)
        {
            await route.AddAsync(Home, default);
            first++;
        }

        for (var i = 1; i < first; i++)
        {
            await route.AddAsync(new Coordinate(0, 0), default);
        }

        reading.SetResult();

        Assert.Equal(first, (await route.FinishAsync(default)).FeatureCount);
    }

    [Fact]
    public async Task A_store_that_fails_fails_the_route()
    {
        var route = new RouteRecorder(new Places { Answer = Task.FromException<int>(new StoreUnavailableException("away")) }, new HandClock());
        await route.AddAsync(Home, default);

        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await route.FinishAsync(default));
    }

    private sealed class Places(params Coordinate[] features) : IFeatureStore
    {
        public int LookedUp { get; private set; }

        public int Questions { get; private set; }

        /// <summary>What a question about at least one place is answered with, when it completes; null for the truth.</summary>
        public Task<int>? Answer { get; init; }

        /// <summary>When the places of a question are read.</summary>
        public Task Reading { get; init; } = Task.CompletedTask;

        public async ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken)
        {
            Questions += locations.IsEmpty ? 0 : 1;
            LookedUp += locations.Length;
            await Reading;
            return Answer is not null && !locations.IsEmpty ? await Answer : locations.ToArray().Count(features.Contains);
        }

        public ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IAsyncEnumerable<ReadOnlyMemory<Feature>> PagesInAreaAsync(BoundingBox area, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<long> CountAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<FeatureContent> input, FeatureImport import, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public IAsyncEnumerable<FeatureContent> ReadAllAsync(CancellationToken cancellationToken) => throw new NotSupportedException();
    }

    /// <summary>A clock that stands still until it is moved.</summary>
    private sealed class HandClock : TimeProvider
    {
        private long _timestamp;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _timestamp;

        public void Advance(TimeSpan time) => _timestamp += time.Ticks;
    }
}
