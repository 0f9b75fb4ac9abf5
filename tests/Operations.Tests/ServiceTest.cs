using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Helloworld;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>A test with the built program, started with the test's settings.</summary>
public abstract class ServiceTest : IAsyncLifetime
{
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<GrpcChannel> _channels = [];

    /// <param name="expectedErrors">The lines that the service may log as errors: a pattern.</param>
    protected ServiceTest(string expectedErrors = "RouteService.Api.Security.FileReloader") =>
        Service = new RunningService { ExpectedErrors = expectedErrors };

    internal RunningService Service { get; }

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        _channels.ForEach(static channel => channel.Dispose());
        await Service.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    internal Task StartAsync() => Service.InitializeAsync().AsTask();

    /// <summary>Where a file of this name is for the service, with this content.</summary>
    internal string Write(string name, string content)
    {
        var path = Path.Combine(Service.Folder, name);
        File.WriteAllText(path, content);
        return path;
    }

    internal GrpcChannel Connect(HttpMessageHandler? handler = null) =>
        Connect($"{(handler is null ? "http" : "https")}://{Service.Address}", handler);

    internal GrpcChannel Connect(string address, HttpMessageHandler? handler)
    {
        var channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        _channels.Add(channel);
        return channel;
    }

    /// <summary>A database, which the service is to be on.</summary>
    internal async Task<TestDatabase> OnPostgresAsync()
    {
        PostgresServer? server = null;
        try
        {
            server = await PostgresServer.SharedAsync();
        }
        catch (PostgresMissingException e)
        {
            Assert.Skip(e.Message);
        }

        var database = await server.CreateDatabaseAsync();
        Service.Settings["ConnectionStrings__RouteService"] = database.ConnectionString;
        Service.Settings["RouteService__Postgres__MigrateOnStart"] = "true";
        return database;
    }

    internal static Task<HelloReply> HelloAsync(GrpcChannel channel, Metadata? headers = null) =>
        new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest { Name = "you" }, headers, deadline: Soon).ResponseAsync;

    internal static Task<Feature> FeatureAsync(GrpcChannel channel, Metadata? headers = null) =>
        new RouteGuide.RouteGuideClient(channel).GetFeatureAsync(new Point { Latitude = 1, Longitude = 2 }, headers, deadline: Soon).ResponseAsync;

    internal static async Task<RpcException> RefusalAsync(StatusCode code, Task call)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(() => call);
        Assert.True(refusal.StatusCode == code, refusal.ToString());
        return refusal;
    }

    /// <summary>How a call ends with its connection: .NET's client says UNAVAILABLE or, where it met the close itself, INTERNAL.</summary>
    internal static async Task<RpcException> LostAsync(Task call)
    {
        var end = await Assert.ThrowsAsync<RpcException>(() => call);
        Assert.True(end.StatusCode is StatusCode.Unavailable or StatusCode.Internal, end.ToString());
        return end;
    }

    internal static DateTime Soon => TimeProvider.System.GetUtcNow().UtcDateTime + Patience;
}
