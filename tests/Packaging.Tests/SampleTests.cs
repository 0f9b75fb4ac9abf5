using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;

namespace RouteService.Packaging.Tests;

/// <summary>The samples, each run with a service.</summary>
public sealed partial class SampleTests : IAsyncLifetime
{
    private readonly RunningService _service = new();

    public async ValueTask InitializeAsync() => await _service.InitializeAsync();

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task FindAndList_shows_a_place_and_the_first_of_an_area()
    {
        var lines = await RunAsync("FindAndList");

        Assert.Equal("Hoboken, New Jersey, US is at 40.74399,-74.03236.", lines[0]);
        Assert.Equal(11, lines.Length);
    }

    [Fact]
    public async Task RecordRoute_tells_what_the_route_was() =>
        Assert.Matches(@"^11 points, 2 with a feature, 12994 m in \d+ s$", Assert.Single(await RunAsync("RecordRoute")));

    [Fact]
    public async Task Chat_goes_on_through_a_restart_of_the_service()
    {
        _service.Settings["RouteService__Grpc__Port"] = $"{_service.GrpcPort}";
        var running = RunAsync("Chat", "30");

        // While notes are posted: the first are there by then, and the last are not.
        await Task.Delay(TimeSpan.FromSeconds(1.5));
        Assert.False(running.IsCompleted);
        Assert.Equal(0, await _service.StopAsync());
        await _service.InitializeAsync();
        var lines = await running;

        Assert.Equal(31, lines.Length);
        Assert.Equal("Bob has read 30 notes, each once and in order.", lines[^1]);
    }

    [Fact]
    public async Task LocalCache_is_right_after_changes()
    {
        var lines = await RunAsync("LocalCache");

        Assert.Matches("^[0-9]+ places are known", lines[0]);
        Assert.Matches("^The cache has the [0-9]+ places that the service has[.]$", lines[^1]);
    }

    [Fact]
    public async Task WebApp_answers_with_places_over_HTTP()
    {
        var start = new ProcessStartInfo("dotnet", [Built("WebApp"), "--urls", "http://127.0.0.1:0", "--RouteService:Address", $"http://{_service.Address}"])
        {
            WorkingDirectory = Repository.File("samples", "WebApp"),
            RedirectStandardOutput = true,
        };
        using var app = Process.Start(start)!;
        try
        {
            var url = "";
            while (url.Length == 0)
            {
                var line = await app.StandardOutput.ReadLineAsync();
                Assert.NotNull(line);
                url = Listening().Match(line).Groups[1].Value;
            }

            using var http = new HttpClient { BaseAddress = new Uri(url) };
            Assert.Contains("Hoboken", await http.GetStringAsync("/places?latitude=40.74399&longitude=-74.03236"));
            Assert.Equal(HttpStatusCode.NotFound, await StatusAsync("/places?latitude=0&longitude=0"));
            Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("/places?latitude=91&longitude=0"));
            await _service.StopAsync();
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync("/places?latitude=0&longitude=0"));

            async Task<HttpStatusCode> StatusAsync(string path)
            {
                using var answer = await http.GetAsync(path);
                return answer.StatusCode;
            }
        }
        finally
        {
            app.Kill(entireProcessTree: true);
            await app.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task UnitTests_pass_without_a_service()
    {
        var run = (await Command.RunAsync("dotnet", [Built("UnitTests")])).AssertSuccess();

        Assert.Contains("Total: 3, Errors: 0, Failed: 0", run.Output);
    }

    private async Task<string[]> RunAsync(string sample, params string[] arguments)
    {
        var run = (await Command.RunAsync("dotnet", [Built(sample), $"http://{_service.Address}", .. arguments])).AssertSuccess();
        return run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string Built(string sample) => Repository.File("samples", sample, "bin", Repository.Configuration, "net10.0", $"RouteService.Samples.{sample}.dll");

    [GeneratedRegex(@"Now listening on: (\S+)")]
    private static partial Regex Listening();
}
