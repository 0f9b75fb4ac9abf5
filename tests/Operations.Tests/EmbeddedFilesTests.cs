using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using RouteService.Contracts.Routeguide;
using V1 = RouteService.Contracts.V1;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace RouteService.Operations.Tests;

/// <summary>Files of the embedded store that are taken away while the program runs.</summary>
public sealed class EmbeddedFilesTests : ServiceTest
{
    [Fact]
    public async Task Without_its_file_of_notes_the_service_acknowledges_none_and_says_so()
    {
        await StartAsync();
        var path = Path.Combine(Service.Folder, ".data", "route-service-notes.db");
        await PostAsync();
        File.Move(path, path + ".away");

        await RefusalAsync(StatusCode.Unavailable, PostAsync());
        await RefusalAsync(StatusCode.Unavailable, PostAsync());
        await BeUnhealthyAsync("The file of the notes");

        Assert.False(File.Exists(path));
        File.Move(path + ".away", path);
        await PostAsync();
        await BeHealthyAsync();

        async Task PostAsync()
        {
            using var chat = new RouteGuide.RouteGuideClient(Connect()).RouteChat(deadline: Soon);
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = 901 }, Message = "x" });
            await chat.RequestStream.CompleteAsync();
            await chat.ResponseStream.ReadAllAsync().CountAsync();
        }
    }

    [Fact]
    public async Task Without_its_file_of_features_the_service_writes_none_and_says_so()
    {
        await StartAsync();
        var path = Path.Combine(Service.Folder, ".data", "route-service.db");
        await CreateAsync(1);
        File.Move(path, path + ".away");

        var refusal = await RefusalAsync(StatusCode.Unavailable, CreateAsync(2));
        Assert.StartsWith("The file of the features", refusal.Status.Detail);
        await BeUnhealthyAsync("The file of the features");
        await RefusalAsync(StatusCode.Unavailable, FeatureAsync(Connect()));

        Assert.False(File.Exists(path));
        File.Move(path + ".away", path);
        await CreateAsync(2);
        await BeHealthyAsync();

        async Task CreateAsync(int latitude) => await new V1.Features.FeaturesClient(Connect()).CreateFeatureAsync(
            new V1.CreateFeatureRequest { Feature = new V1.Feature { Location = new V1.Point { LatitudeE7 = latitude }, DisplayName = "a" } },
            deadline: Soon);
    }

    private async Task BeUnhealthyAsync(string reason)
    {
        await Service.WaitForReadinessAsync(HttpStatusCode.ServiceUnavailable);
        Assert.Equal(ServingStatus.NotServing, await CheckAsync(""));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync("routeguide.RouteGuide"));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync("routeservice.v1.Features"));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync("routeservice.v1.Features"));
        Assert.Equal(HttpStatusCode.OK, (await Service.HealthAsync("live")).StatusCode);

        // Once for each purpose.
        var lines = Service.Output.Split('\n').Where(line => line.Contains("the store cannot be used for", StringComparison.Ordinal)).ToList();
        Assert.All(lines, line => Assert.Contains(reason, line));
        Assert.Equal(lines.Count, lines.Select(static line => line.Split("Health: ")[1]).Distinct().Count());
    }

    private async Task BeHealthyAsync()
    {
        await Service.WaitForReadinessAsync(HttpStatusCode.OK);
        Assert.Equal(ServingStatus.Serving, await CheckAsync(""));
        Assert.Equal(ServingStatus.Serving, await CheckAsync("routeguide.RouteGuide"));
        Assert.Equal(ServingStatus.Serving, await CheckAsync("routeservice.v1.Features"));
    }

    private async Task<ServingStatus> CheckAsync(string name) =>
        (await new Health.HealthClient(Connect()).CheckAsync(new HealthCheckRequest { Service = name }, deadline: Soon)).Status;
}
