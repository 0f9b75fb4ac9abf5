using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Postgis.Tests;

/// <summary>The built program on a database, and a client of it.</summary>
internal sealed class ServiceOnPostgis : IAsyncDisposable
{
    private readonly RunningService _program;
    private readonly Lazy<GrpcChannel> _channel;

    private ServiceOnPostgis(string connectionString)
    {
        // What is wrong with the database's schema is an error to it, and to nobody else.
        _program = new RunningService { ExpectedErrors = "RouteService.Api.Hosting.SchemaWatch" };
        _program.Settings["ConnectionStrings__RouteService"] = connectionString;
        _channel = new Lazy<GrpcChannel>(() => GrpcChannel.ForAddress($"http://localhost:{_program.GrpcPort}"));
    }

    public RouteGuide.RouteGuideClient Routes => new(_channel.Value);

    public V1.Features.FeaturesClient Features => new(_channel.Value);

    /// <summary>The whole world.</summary>
    public static Rectangle World => new()
    {
        Lo = new Point { Latitude = -900_000_000, Longitude = -1_800_000_000 },
        Hi = new Point { Latitude = 900_000_000, Longitude = 1_800_000_000 },
    };

    /// <summary>A call's end: long enough for a busy machine, and early enough to fail a test that would wait for it.</summary>
    public static DateTime Deadline => DateTime.UtcNow.AddMinutes(1);

    public static async Task<ServiceOnPostgis> StartAsync(string connectionString)
    {
        var service = await LaunchAsync(connectionString);
        await service.ReadyAsync();
        return service;
    }

    /// <summary>Starts it and returns when it is up, ready or not.</summary>
    public static async Task<ServiceOnPostgis> LaunchAsync(string connectionString, params (string Name, string Value)[] settings)
    {
        var service = new ServiceOnPostgis(connectionString);
        foreach (var (name, value) in settings)
        {
            service._program.Settings[name] = value;
        }

        try
        {
            await service._program.LaunchAsync("dotnet", Repository.Program);
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    public Task ReadyAsync() => _program.WaitForReadinessAsync(HttpStatusCode.OK);

    public Task NotReadyAsync() => _program.WaitForReadinessAsync(HttpStatusCode.ServiceUnavailable);

    /// <summary>What it has said, once that has this in it.</summary>
    public Task<string> OutputAsync(string text) => _program.OutputAsync(text);

    public async Task<HttpStatusCode> HealthAsync(string probe) => (await _program.HealthAsync(probe)).StatusCode;

    /// <summary>What gRPC health says of a service: SERVING or NOT_SERVING.</summary>
    public async Task<string> GrpcHealthAsync(string service) =>
        (await new Health.HealthClient(_channel.Value).CheckAsync(new HealthCheckRequest { Service = service }, deadline: Deadline)).Status switch
        {
            HealthCheckResponse.Types.ServingStatus.Serving => "SERVING",
            HealthCheckResponse.Types.ServingStatus.NotServing => "NOT_SERVING",
            var other => other.ToString(),
        };

    /// <summary>The name at a place, as GetFeature has it.</summary>
    public async Task<string> NameAtAsync(int latitude, int longitude) =>
        (await Routes.GetFeatureAsync(new Point { Latitude = latitude, Longitude = longitude }, deadline: Deadline)).Name;

    /// <summary>How many features ListFeatures sends of the whole world; fails where one comes twice.</summary>
    public async Task<int> CountAsync()
    {
        using var call = Routes.ListFeatures(World, deadline: Deadline);
        return await CountRestAsync(call, []);
    }

    /// <summary>Travels past so many of the places that FillAsync makes.</summary>
    public async Task<RouteSummary> RecordAsync(int points)
    {
        using var call = Routes.RecordRoute(deadline: Deadline);
        for (var i = 1; i <= points; i++)
        {
            await call.RequestStream.WriteAsync(new Point { Latitude = i * 800, Longitude = i * -1500 });
        }

        await call.RequestStream.CompleteAsync();
        return await call;
    }

    public static async Task<int> CountRestAsync(AsyncServerStreamingCall<Feature> call, HashSet<(int, int)> seen)
    {
        await foreach (var feature in call.ResponseStream.ReadAllAsync())
        {
            Assert.True(seen.Add((feature.Location.Latitude, feature.Location.Longitude)), $"{feature.Location} has come twice.");
        }

        return seen.Count;
    }

    /// <summary>A call fails so, with a reason that is in plain words: neither a host nor SQL nor a stack.</summary>
    public static async Task<string> AssertFailsAsync(StatusCode code, Func<Task> call)
    {
        var error = await Assert.ThrowsAsync<RpcException>(call);
        Assert.Equal((code, error.Status.Detail), (error.StatusCode, error.Status.Detail));
        Assert.Matches("^The |^All ", error.Status.Detail);
        Assert.DoesNotMatch("127\\.0\\.0\\.1|SELECT|Exception|\\n", error.Status.Detail);
        return error.Status.Detail;
    }

    public async ValueTask DisposeAsync()
    {
        if (_channel.IsValueCreated)
        {
            _channel.Value.Dispose();
        }

        await _program.DisposeAsync();
    }
}
