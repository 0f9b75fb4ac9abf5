using System.Security.Cryptography.X509Certificates;

namespace RouteService.Operations.Tests;

/// <summary>The metrics of what no call shows.</summary>
public sealed class StateMetricsTests() : ServiceTest("RouteService.Api.Security.FileReloader|Microsoft.Extensions.Diagnostics.HealthChecks")
{
    private static readonly HttpClient Http = new();

    [Fact]
    public async Task Readiness_and_the_following_of_the_log_are_told_as_the_database_loses_a_table_and_gets_it_back()
    {
        await using var database = await OnPostgresAsync();
        await StartWithMetricsAsync();
        await ShouldReadAsync("routeservice_ready", 1);
        await ShouldReadAsync("routeservice_chat_following", 1);

        await database.ExecuteAsync("ALTER TABLE note RENAME TO gone");
        await ShouldReadAsync("routeservice_chat_following", 0);
        await database.ExecuteAsync("ALTER TABLE feature RENAME TO gone_too");
        await ShouldReadAsync("routeservice_ready", 0);

        await database.ExecuteAsync("ALTER TABLE gone RENAME TO note");
        await database.ExecuteAsync("ALTER TABLE gone_too RENAME TO feature");
        await ShouldReadAsync("routeservice_chat_following", 1);
        await ShouldReadAsync("routeservice_ready", 1);
    }

    [Fact]
    public async Task Without_other_processes_there_is_nothing_to_follow_and_nothing_is_lost()
    {
        await StartWithMetricsAsync();

        await ShouldReadAsync("routeservice_chat_following", 1);
        await ShouldReadAsync("routeservice_ready", 1);
    }

    [Fact]
    public async Task The_end_of_the_certificate_is_told_and_a_file_that_cannot_be_reloaded()
    {
        using var authority = new Authority();
        using var first = authority.Certify("first");
        Use(first);
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", $"x routes.read {new string('0', 64)}");
        await StartWithMetricsAsync();
        const string Certificate = "routeservice_reload_failing{setting=\"RouteService__Grpc__CertificatePath\"}";
        const string Keys = "routeservice_reload_failing{setting=\"RouteService__Auth__ApiKeysPath\"}";
        await ShouldReadAsync("routeservice_tls_certificate_not_before_seconds", Seconds(first.NotBefore));
        await ShouldReadAsync("routeservice_tls_certificate_not_after_seconds", Seconds(first.NotAfter));
        await ShouldReadAsync(Certificate, 0);

        Write("server.pem", "nothing");
        await ShouldReadAsync(Certificate, 1);
        await ShouldReadAsync(Keys, 0);
        await ShouldReadAsync("routeservice_tls_certificate_not_after_seconds", Seconds(first.NotAfter));

        using var other = new Authority("Another", authority);
        using var second = other.Certify("second");
        Use(second);
        await ShouldReadAsync(Certificate, 0);
        await ShouldReadAsync("routeservice_tls_certificate_not_after_seconds", Seconds(second.NotAfter));

        void Use(X509Certificate2 certificate) => Service.Settings["RouteService__Grpc__CertificatePath"] =
            Write("server.pem", $"{certificate.ExportCertificatePem()}\n{certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()}");

        static double Seconds(DateTime time) => new DateTimeOffset(time).ToUnixTimeSeconds();
    }

    [Fact]
    public async Task Keys_of_an_issuer_that_is_down_are_told_as_those_of_a_file_are()
    {
        await using var issuer = await Issuer.StartAsync();
        issuer.IsDown = true;
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Issuer"] = issuer.Url;
        Service.Settings["RouteService__Auth__Jwt__JwksUrl"] = issuer.JwksUrl;
        await StartWithMetricsAsync();
        const string Keys = "routeservice_reload_failing{setting=\"RouteService__Auth__Jwt__JwksUrl\"}";

        await ShouldReadAsync(Keys, 1);
        issuer.IsDown = false;
        await ShouldReadAsync(Keys, 0);
    }

    [Fact]
    public async Task The_memory_of_the_process_is_within_the_limit_that_is_told()
    {
        await StartWithMetricsAsync();

        var limit = await ShouldReadAsync("routeservice_process_memory_limit_bytes", static value => value > 0);
        Assert.InRange(await ShouldReadAsync("dotnet_process_memory_working_set_bytes", static value => value > 0), 1, limit);
    }

    private Task StartWithMetricsAsync()
    {
        Service.Settings["RouteService__Management__Prometheus"] = "true";
        return StartAsync();
    }

    private Task ShouldReadAsync(string series, double expected) => ShouldReadAsync(series, value => value.Equals(expected));

    /// <summary>Waits until a series has such a value.</summary>
    private async Task<double> ShouldReadAsync(string series, Func<double, bool> isExpected)
    {
        var name = series.Contains('{', StringComparison.Ordinal) ? series : $"{series}{{}}";
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var metrics = await Http.GetStringAsync($"http://localhost:{Service.ManagementPort}/metrics");
            var line = metrics.Split('\n').SingleOrDefault(line => line.StartsWith($"{name} ", StringComparison.Ordinal));
            if (line is not null && isExpected(double.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)))
            {
                return double.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
            }

            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, $"It is still {line ?? $"without {name}"}.");
            await Task.Delay(200);
        }
    }
}
