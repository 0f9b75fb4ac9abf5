using Grpc.Core;
using RouteService.Contracts.V1;

namespace RouteService.Postgis.Tests;

/// <summary>ImportFeatures of the built program on a database.</summary>
public sealed class ImportFeaturesTests : ServiceTest
{
    private const string Copying = $"{Sessions.OfService} AND query LIKE 'COPY import%'";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_import_is_done_once_and_leaves_no_table(bool isPooled)
    {
        var database = await DatabaseAsync(features: 10);
        var pooler = isPooled ? Ours(await Pooler.StartAsync(database.ConnectionString)) : null;
        var service = await StartAsync(pooler?.To(database) ?? database.ConnectionString);
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET statement_timeout = '7s'");
        var id = Guid.NewGuid().ToString();
        for (var i = 0; i < 2; i++)
        {
            using var call = Open(service);
            await call.RequestStream.WriteAsync(Options(replaceAll: false, id));
            await call.RequestStream.WriteAsync(Batch(800, 801));
            await call.RequestStream.CompleteAsync();
            Assert.Equal(new ImportFeaturesResponse { ReadCount = 2, OverwrittenCount = 0, TotalCount = 12 }, await call);
        }

        Assert.Equal("imported 801", await service.NameAtAsync(801, 0));
        Assert.Equal(0L, await database.ExecuteAsync("SELECT count(*) FROM pg_class WHERE relname = 'import'"));
        await database.UntilAsync($"{Copying} OR backend_xid IS NOT NULL AND {Sessions.OfService}", static count => count == 0);
    }

    [Fact]
    public async Task An_import_whose_client_leaves_in_the_middle_leaves_nothing()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        using (var call = Open(service))
        {
            await call.RequestStream.WriteAsync(Options(replaceAll: true, ""));
            await call.RequestStream.WriteAsync(Batch(1, 2, 3));
            await database.UntilAsync(Copying, static count => count == 1);
        }

        await database.UntilAsync(Copying, static count => count == 0);
        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task More_imports_than_connections_wait_for_each_other_and_hold_up_no_other_call()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await LaunchAsync(database.ConnectionString, ("RouteService__Limits__TrustedProxies", "127.0.0.0/8, ::1"));
        await service.ReadyAsync();

        // Each of another client, since one client has two under way.
        var calls = Enumerable.Range(1, 10).Select(i => service.Features.ImportFeatures(
            new Metadata { { "x-forwarded-for", $"198.51.100.{i}" } }, ServiceOnPostgis.Deadline)).ToList();
        foreach (var call in calls)
        {
            await call.RequestStream.WriteAsync(Options(replaceAll: false, ""));
            await call.RequestStream.WriteAsync(Batch(1, 2, 3));
        }

        await database.UntilAsync(Copying, static count => count == 4);
        await service.Features.CreateFeatureAsync(
            new CreateFeatureRequest { Feature = new Feature { Name = "features/7,7", DisplayName = "mine" } }, deadline: ServiceOnPostgis.Deadline);
        foreach (var call in calls)
        {
            await call.RequestStream.CompleteAsync();
        }

        foreach (var call in calls)
        {
            Assert.Equal(14, (await call).TotalCount);
            call.Dispose();
        }
    }

    [Fact]
    public async Task On_a_database_that_is_read_only_an_import_is_unavailable()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET default_transaction_read_only = on");

        using var call = Open(service);
        await call.RequestStream.WriteAsync(Options(replaceAll: true, ""));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
    }

    private static AsyncClientStreamingCall<ImportFeaturesRequest, ImportFeaturesResponse> Open(ServiceOnPostgis service) =>
        service.Features.ImportFeatures(deadline: ServiceOnPostgis.Deadline);

    private static ImportFeaturesRequest Options(bool replaceAll, string id) =>
        new() { Options = new ImportFeaturesRequest.Types.Options { ReplaceAll = replaceAll, RequestId = id } };

    private static ImportFeaturesRequest Batch(params int[] latitudes) => new()
    {
        Batch = new ImportFeaturesRequest.Types.Batch
        {
            Features = { latitudes.Select(static latitude => new Feature { Location = new Point { LatitudeE7 = latitude }, DisplayName = $"imported {latitude}" }) },
        },
    };
}
