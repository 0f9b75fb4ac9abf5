using Grpc.Core;
using Npgsql;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>The built program while PostgreSQL runs and does not answer as it should: each call ends with the truth and in time.</summary>
public sealed class FaultTests : ServiceTest
{
    [Fact]
    public async Task Connections_that_an_administrator_ends_while_they_are_idle_cost_no_call()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        for (var i = 0; i < 10; i++)
        {
            Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
            Assert.All(await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => service.CountAsync())), static count => Assert.Equal(10, count));
            await database.TerminateAsync();
        }

        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task Connections_that_idle_too_long_for_the_database_cost_no_call_and_no_warning()
    {
        var database = await DatabaseAsync(features: 10);
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET idle_session_timeout = '1500ms'");
        var service = await StartAsync(database.ConnectionString);
        for (var i = 0; i < 2; i++)
        {
            // Together they use more sessions than the service itself does when it looks for notes, so that some become idle.
            await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => service.CountAsync()));
            var begun = $"{Sessions.OfService} AND query NOT LIKE 'LISTEN%' AND backend_start <= '{await database.ExecuteAsync("SELECT clock_timestamp()"):O}'";
            var sessions = await database.CountAsync(begun);
            await database.UntilAsync(begun, count => count == 0 || count < sessions);
            Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        }

        Assert.Equal(10, await service.CountAsync());
        Assert.DoesNotContain("warn:", await service.OutputAsync("gRPC on port"));
    }

    [Fact]
    public async Task A_table_that_is_altered_under_prepared_statements_costs_no_call()
    {
        await using var store = await TestStore.CreateAsync("Maximum Pool Size=5");
        await using var catalog = new PostgisFeatureCatalog(store.Connections);
        var place = new Coordinate(1, 1);
        for (var type = 2_000; type < 2_003; type++)
        {
            for (var i = 0; i < 4; i++)
            {
                // Each on its connection, where the statements are then prepared.
                await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => CallAsync()));
            }

            await store.Database.ExecuteAsync($"ALTER TABLE feature ALTER COLUMN name TYPE varchar({type})");
            await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => CallAsync()));
            await CallAsync();
        }

        async Task CallAsync()
        {
            await catalog.WriteAsync(
                new FeatureWrite([new FeatureChange.Update(place, "here", Properties.Empty) { AllowMissing = true }], RequestId: null), default);
            Assert.Equal("here", (await catalog.GetAsync(place, default))!.Name);
            Assert.Equal("here", (await store.Store.FindAsync(place, default))!.Name);
        }
    }

    [Fact]
    public async Task Prepared_statements_that_are_gone_cost_no_call()
    {
        await using var store = await TestStore.CreateAsync("Maximum Pool Size=1");
        for (var i = 0; i < 5; i++)
        {
            Assert.Null(await store.Store.FindAsync(new Coordinate(1, 1), default));
        }

        await store.Connections.ReadAsync(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand("DEALLOCATE ALL", connection);
                return await command.ExecuteNonQueryAsync(token);
            },
            default);

        Assert.Null(await store.Store.FindAsync(new Coordinate(1, 1), default));
    }

    [Fact]
    public async Task Streams_that_wait_for_the_log_leave_connections_for_calls()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync($"{database.ConnectionString};Maximum Pool Size=12");
        var streams = Enumerable.Range(0, 50)
            .Select(i => service.Routes.RouteChat(
                new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-listen", $"{i},0" } }, ServiceOnPostgis.Deadline))
            .ToList();
        await using (await database.LockAsync("note"))
        {
            foreach (var stream in streams)
            {
                await stream.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = 800, Longitude = -1500 }, Message = "here" });
            }

            await database.UntilAsync(Sessions.Waiting, static count => count >= 8);
            for (var i = 0; i < 20; i++)
            {
                Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
            }
        }

        foreach (var stream in streams)
        {
            Assert.True(await stream.ResponseStream.MoveNext(default));
            stream.Dispose();
        }
    }

    [Fact]
    public async Task A_query_that_an_administrator_ends_is_tried_once_more()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        Task<string> found;
        Task<int> counted;
        await using (await database.LockFeaturesAsync())
        {
            found = service.NameAtAsync(800, -1500);
            counted = service.CountAsync();
            await database.UntilAsync(Sessions.Waiting, static count => count >= 2);
            await database.TerminateAsync();
            await database.UntilAsync(Sessions.Waiting, static count => count >= 2);
        }

        Assert.StartsWith("place 1 ", await found);
        Assert.Equal(10, await counted);
    }

    [Fact]
    public async Task A_query_that_an_administrator_ends_twice_is_unavailable()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        await using (await database.LockFeaturesAsync())
        {
            var found = service.NameAtAsync(800, -1500);
            var counted = service.CountAsync();
            while (!found.IsCompleted || !counted.IsCompleted)
            {
                await database.TerminateAsync(Sessions.Waiting);
                await Task.Delay(20);
            }

            await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => found);
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => counted);
        }

        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task Who_finds_the_pool_exhausted_is_told_so()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync($"{database.ConnectionString};Maximum Pool Size=1;Timeout=1;Command Timeout=30");
        Task<int> counted;
        await using (await database.LockFeaturesAsync())
        {
            // The health check may have the connection.
            do
            {
                counted = service.CountAsync();
                await Task.WhenAny(counted, database.UntilAsync(Sessions.Listing, static count => count == 1));
            }
            while (counted.IsCompleted);

            Assert.Contains("connections", await ServiceOnPostgis.AssertFailsAsync(StatusCode.ResourceExhausted, () => service.NameAtAsync(800, -1500)));
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.ResourceExhausted, service.CountAsync);
            await service.NotReadyAsync();
        }

        Assert.Equal(10, await counted);
        await service.ReadyAsync();
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
    }

    [Theory]
    [InlineData("Options=-c statement_timeout=200ms")]
    [InlineData("Command Timeout=1")]
    public async Task A_database_that_takes_too_long_is_a_deadline_exceeded(string setting)
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync($"{database.ConnectionString};{setting}");
        await using (await database.LockFeaturesAsync())
        {
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.DeadlineExceeded, () => service.NameAtAsync(800, -1500));
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.DeadlineExceeded, service.CountAsync);
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.DeadlineExceeded, () => service.RecordAsync(points: 3));
            await service.NotReadyAsync();
        }

        await service.ReadyAsync();
        Assert.Equal(10, await service.CountAsync());
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
    }

    [Theory]
    [InlineData("the client cancels")]
    [InlineData("the deadline passes")]
    public async Task A_listing_stops_its_query_within_a_second_when(string end)
    {
        var database = await DatabaseAsync(features: 10);

        // Nothing but the call's end can end its query.
        var service = await StartAsync($"{database.ConnectionString};Command Timeout=600");
        await using (await database.LockFeaturesAsync())
        {
            // A busy machine may be late once, or at the deadline; a service that does not stop its query is late each time.
            var took = TimeSpan.MaxValue;
            for (var attempt = 1; attempt <= 5 && took > TimeSpan.FromSeconds(1); attempt++)
            {
                using var cancellation = new CancellationTokenSource();
                var deadline = end is "the deadline passes" ? DateTime.UtcNow.AddSeconds(attempt) : ServiceOnPostgis.Deadline;
                using var listing = service.Routes.ListFeatures(ServiceOnPostgis.World, deadline: deadline, cancellationToken: cancellation.Token);
                var first = listing.ResponseStream.MoveNext(default);
                var waiting = database.UntilAsync(Sessions.Listing, static count => count == 1);
                if (await Task.WhenAny(waiting, first) == first)
                {
                    continue;
                }

                await waiting;
                if (end is "the client cancels")
                {
                    await cancellation.CancelAsync();
                }

                Assert.Equal(
                    end is "the client cancels" ? StatusCode.Cancelled : StatusCode.DeadlineExceeded,
                    (await Assert.ThrowsAsync<RpcException>(() => first)).StatusCode);
                took = await database.UntilAsync(Sessions.Listing, static count => count == 0);
            }

            Assert.True(took < TimeSpan.FromSeconds(1), $"It has taken {took}.");
        }

        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task Ten_clients_that_read_a_message_a_second_stop_nobody_with_a_pool_of_ten()
    {
        var database = await DatabaseAsync(features: 100_000);
        var service = await StartAsync($"{database.ConnectionString};Maximum Pool Size=10;Timeout=1");
        using var enough = new CancellationTokenSource();
        var slow = Enumerable.Range(0, 10).Select(_ => ReadSlowlyAsync()).ToList();
        await Task.WhenAll(slow.Select(reader => reader.FirstRead.Task));

        // They hold no connection while they wait for their clients, though the database has much more for them.
        await database.UntilQuietAsync();
        for (var i = 1; i <= 20; i++)
        {
            Assert.StartsWith($"place {i} ", await service.NameAtAsync(i * 800, i * -1500));
        }

        Assert.Equal(100_000, await service.CountAsync());
        Assert.All(slow, static reader => Assert.False(reader.Reading.IsCompleted));
        await enough.CancelAsync();
        await Task.WhenAll(slow.Select(reader => reader.Reading));

        (Task Reading, TaskCompletionSource FirstRead) ReadSlowlyAsync()
        {
            var firstRead = new TaskCompletionSource();
            return (Read(), firstRead);

            async Task Read()
            {
                using var listing = service.Routes.ListFeatures(ServiceOnPostgis.World, deadline: ServiceOnPostgis.Deadline, cancellationToken: enough.Token);
                try
                {
                    while (await listing.ResponseStream.MoveNext(default))
                    {
                        firstRead.TrySetResult();
                        await Task.Delay(TimeSpan.FromSeconds(1), enough.Token);
                    }
                }
                catch (Exception e) when (e is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
                {
                    // The test has seen enough.
                }
            }
        }
    }
}
