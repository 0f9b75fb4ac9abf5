using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace RouteService.Helm.Tests;

/// <summary>What is rendered, by the built program: its arguments and environment, as a kubelet would give them.</summary>
public sealed partial class ServiceTests
{
    [Fact]
    public async Task The_job_migrates_and_then_the_service_answers_its_probes()
    {
        await using var database = await CreateDatabaseAsync();
        var manifest = await Helm.TemplateSetAsync("database");
        var given = new Dictionary<string, string> { ["places-database/connectionString"] = database.ConnectionString };

        var migration = await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given);
        var again = await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given);

        Assert.Contains("has been migrated: 0001_features", migration.AssertSuccess().Output);
        Assert.Contains("is up to date", again.AssertSuccess().Output);
        await AssertServesAsync(manifest, given);
    }

    [Fact]
    public async Task The_init_container_migrates_with_a_connection_of_its_own()
    {
        await using var database = await CreateDatabaseAsync();
        var manifest = await Helm.TemplateSetAsync("init-container", "--set", $"database.migration.connectionString={database.ConnectionString}");
        var given = new Dictionary<string, string> { ["places-database/connectionString"] = database.ConnectionString };
        var container = manifest.Deployment.List("spec.template.spec.initContainers").Single(static c => c.Text("name") == "migrate");

        Assert.Contains("has been migrated: 0001_features", (await RunAsync(manifest, container, given)).AssertSuccess().Output);
        await AssertServesAsync(manifest, given);
    }

    [Fact]
    public async Task The_service_migrates_when_it_starts()
    {
        await using var database = await CreateDatabaseAsync();

        await AssertServesAsync(await Helm.TemplateSetAsync("on-start", "--set", $"database.connectionString={database.ConnectionString}"), given: []);
    }

    [Fact]
    public async Task Two_roles_by_parts_of_their_Secrets_need_nobody()
    {
        await using var database = await CreateDatabaseAsync();
        var connection = new NpgsqlConnectionStringBuilder(database.ConnectionString);
        var role = $"server_{Guid.NewGuid():N}";

        // Characters that a connection string would give a meaning to.
        const string Password = "a;b='c'\"$(PGUSER)";
        await database.ExecuteAsync($"CREATE ROLE {role} LOGIN PASSWORD '{Password.Replace("'", "''", StringComparison.Ordinal)}'");
        try
        {
            var manifest = await Helm.TemplateAsync([.. Helm.OptionsOf("mixed-connections"), "--set", $"database.host={connection.Host},database.port={connection.Port},database.name={connection.Database},database.username={role},database.migration.grantTo={{{role}}}"]);
            var given = new Dictionary<string, string> { ["places-service/password"] = Password, ["places-owner/dsn"] = database.ConnectionString };

            (await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given)).AssertSuccess();
            await AssertServesAsync(manifest, given);
        }
        finally
        {
            await database.ExecuteAsync($"DROP OWNED BY {role}");
            await database.ExecuteAsync($"DROP ROLE {role}");
        }
    }

    [Fact]
    public async Task An_operators_Secret_is_taken_by_its_parts()
    {
        await using var database = await CreateDatabaseAsync();
        var connection = new NpgsqlConnectionStringBuilder(database.ConnectionString);
        var manifest = await Helm.TemplateSetAsync("cnpg-parts");
        var given = new Dictionary<string, string>
        {
            ["places-pg-app/host"] = connection.Host!,
            ["places-pg-app/port"] = $"{connection.Port}",
            ["places-pg-app/dbname"] = connection.Database!,
            ["places-pg-app/username"] = connection.Username!,
            ["places-pg-app/password"] = connection.Password ?? "none",
        };

        Assert.Contains("has been migrated", (await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given)).AssertSuccess().Output);
        await AssertServesAsync(manifest, given);
    }

    [Fact]
    public async Task An_operators_URI_is_taken_as_it_is()
    {
        await using var database = await CreateDatabaseAsync();
        var connection = new NpgsqlConnectionStringBuilder(database.ConnectionString);
        var manifest = await Helm.TemplateSetAsync("cnpg-uri");
        var host = Uri.EscapeDataString(connection.Host!);
        var given = new Dictionary<string, string>
        {
            ["places-pg-app/uri"] = $"postgresql://{Uri.EscapeDataString(connection.Username!)}:{Uri.EscapeDataString(connection.Password ?? "none")}@{host}:{connection.Port}/{connection.Database}",
        };

        (await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given)).AssertSuccess();
        await AssertServesAsync(manifest, given);
    }

    [Fact]
    public async Task In_a_new_database_the_service_is_ready_when_the_grants_of_the_manual_have_been_made()
    {
        await using var database = await CreateDatabaseAsync();
        var manual = await File.ReadAllTextAsync(Repository.File("docs", "operations", "database.md"), TestContext.Current.CancellationToken);
        var role = $"reader_{Guid.NewGuid():N}";
        await database.ExecuteAsync($"CREATE ROLE {role} LOGIN");
        try
        {
            // As the manual's values have it: the owner migrates, and another serves.
            var manifest = await Helm.TemplateSetAsync("production", "--set", "tls.enabled=false,tls.certManager.enabled=false,telemetry.endpoint=");
            var given = new Dictionary<string, string>
            {
                ["places-database/service"] = new NpgsqlConnectionStringBuilder(database.ConnectionString) { Username = role }.ConnectionString,
                ["places-database/owner"] = database.ConnectionString,
            };
            (await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given)).AssertSuccess();
            var grants = Grants().Matches(manual).Select(static match => match.Value).ToList();
            Assert.Equal(7, grants.Count);

            await AssertServesAsync(manifest, given, first: async service =>
            {
                await service.WaitForReadinessAsync(HttpStatusCode.ServiceUnavailable);
                foreach (var grant in grants)
                {
                    await database.ExecuteAsync(grant
                        .Replace("places_service, places_import", role, StringComparison.Ordinal)
                        .Replace("places_service", role, StringComparison.Ordinal)
                        .Replace("DATABASE places", $"DATABASE {database.Name}", StringComparison.Ordinal));
                }
            });
        }
        finally
        {
            await database.ExecuteAsync($"DROP OWNED BY {role}");
            await database.ExecuteAsync($"DROP ROLE {role}");
        }
    }

    [Fact]
    public async Task The_embedded_store_is_where_its_volume_is()
    {
        await AssertServesAsync(await Helm.TemplateSetAsync("embedded"), given: [], service =>
        {
            Assert.True(File.Exists(Path.Combine(service.Folder, "data", "route-service.db")));
            Assert.True(File.Exists(Path.Combine(service.Folder, "data", "route-service-notes.db")));
            return Task.CompletedTask;
        });
    }

    [Fact]
    public async Task A_release_for_production_asks_for_a_key_by_TLS()
    {
        await using var database = await CreateDatabaseAsync();
        var manifest = await Helm.TemplateSetAsync("production");
        var given = new Dictionary<string, string>
        {
            ["places-database/service"] = database.ConnectionString,
            ["places-database/owner"] = database.ConnectionString,
            ["collector-headers/headers"] = "collector-key=of-the-secret",
            ["metadata.name"] = "places-0",
            ["metadata.namespace"] = "default",
            ["spec.nodeName"] = "node-7",
        };
        (await RunAsync(manifest, manifest.The("Job").List("spec.template.spec.containers").Single(), given)).AssertSuccess();

        var told = new TaskCompletionSource<(string? Header, string Logs)>();
        await using var collector = await StartCollectorAsync(told);
        await AssertServesAsync(
            manifest,
            given,
            async service =>
            {
                // The hash in the set of values is that of this key.
                Assert.Equal("16", await GreetAsync(service, key: null));
                Assert.Equal("0", await GreetAsync(service, key: "test"));

                // By the Secret, and by the pod's own fields.
                var (header, logs) = await told.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
                Assert.Equal("of-the-secret", header);
                Assert.All((string[])["service.instance.id", "places-0", "k8s.node.name", "node-7", "deployment.environment.name"], text => Assert.Contains(text, logs));
            },
            new() { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Urls.Single(), ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf" });
    }

    [Fact]
    public async Task The_notes_have_the_line_that_works()
    {
        Assert.Contains(
            """grpcurl -plaintext -d '{"name":"you"}' localhost:50051 helloworld.Greeter/SayHello""",
            await File.ReadAllTextAsync(Repository.File("README.md"), TestContext.Current.CancellationToken));
        Assert.Contains(
            """
              kubectl --namespace services port-forward service/places-route-service 50051:50051 &
              grpcurl -plaintext -d '{"name":"you"}' localhost:50051 helloworld.Greeter/SayHello

            """,
            await NotesAsync("database"));
        Assert.Contains(
            """
              kubectl --namespace services port-forward service/places-route-service 50051:50051 &
              grpcurl -insecure -cert client.crt -key client.key -H "x-api-key: $KEY" -d '{"name":"you"}' localhost:50051 helloworld.Greeter/SayHello

            """,
            await NotesAsync("mutual-tls"));
        Assert.Contains("From outside, by the Gateway: places.example.com", await NotesAsync("production"));
        Assert.Contains("From outside, by the Ingress: places.example.com, greet.example.com", await NotesAsync("ingress-nginx"));
        Assert.Contains("The store is embedded: its places and notes are lost with the pod.", await NotesAsync("embedded"));
        Assert.Contains("""grpcurl -d '{"name":"you"}' places.example.com:443 helloworld.Greeter/SayHello""", await NotesAsync("ingress-nginx"));
        Assert.Contains("The job places-route-service-migration has migrated the database", await NotesAsync("database"));
        Assert.Contains("logs --selector app.kubernetes.io/instance=places,app.kubernetes.io/component=migration", await NotesAsync("job-without-hooks"));
        Assert.Contains("logs deployment/places-route-service --container migrate", await NotesAsync("postgis-alone"));
        Assert.Contains("The service migrates the database when it starts.", await NotesAsync("on-start"));
        Assert.Contains("Connections: up to 10 pods, with 21 each unless `Maximum Pool Size` is set, are 210", await NotesAsync("autoscaled"));
        Assert.Contains("Connections: each pod has up to 21", await NotesAsync("keda"));
        Assert.Contains("Telemetry is not exported. Set telemetry.endpoint.", await NotesAsync("database"));
        Assert.Contains("The image has no registry", await NotesAsync("database"));
        Assert.DoesNotContain("The image has no registry", await NotesAsync("own-registry"));
        Assert.Contains("get service places-route-service --output=jsonpath='{.status.loadBalancer.ingress[0]}'", await NotesAsync("load-balancer"));
        Assert.Contains("`helm test` makes no call, because it has neither an API key nor a token", await NotesAsync("jwks-file"));

        static async Task<string> NotesAsync(string set)
        {
            var output = (await Helm.RunAsync(
                "install", Helm.Release, Helm.Chart, "--namespace", "services", "--dry-run=client", "-f", Helm.ValueSets[set])).AssertSuccess().Output;
            return output[output.IndexOf("NOTES:", StringComparison.Ordinal)..];
        }
    }

    private static async Task<TestDatabase> CreateDatabaseAsync()
    {
        try
        {
            return await (await PostgresServer.SharedAsync()).CreateDatabaseAsync();
        }
        catch (PostgresMissingException e)
        {
            Assert.Skip(e.Message);
            throw;
        }
    }

    private static Task<Command> RunAsync(Manifest manifest, JsonObject container, Dictionary<string, string> given) =>
        Command.RunServiceAsync([.. container.Texts("args")], manifest.Environment(container, given));

    /// <summary>Starts what the Deployment starts, and asks what its probes and helm test ask.</summary>
    /// <param name="manifest">The release.</param>
    /// <param name="given">What its Secrets and the pod's fields hold.</param>
    /// <param name="then">What is done when it is ready.</param>
    /// <param name="settings">What is set otherwise than the release has it.</param>
    /// <param name="first">What is done before it is ready.</param>
    private static async Task AssertServesAsync(Manifest manifest, Dictionary<string, string> given, Func<RunningService, Task>? then = null, Dictionary<string, string>? settings = null, Func<RunningService, Task>? first = null)
    {
        var container = manifest.Deployment.List("spec.template.spec.containers").Single(static c => c.Text("name") == "route-service");
        await using var service = new RunningService();
        foreach (var (name, value) in settings ?? [])
        {
            service.Settings[name] = value;
        }

        await LaunchAsync(service, manifest, container, given);
        if (first is not null)
        {
            await first(service);
        }

        await service.WaitForReadinessAsync(HttpStatusCode.OK);
        using var http = new HttpClient();
        foreach (var probe in (string[])["startupProbe", "readinessProbe", "livenessProbe"])
        {
            Assert.Equal("management", container.Text($"{probe}.httpGet.port"));
            using var answer = await http.GetAsync($"http://localhost:{service.ManagementPort}{container.Text($"{probe}.httpGet.path")}", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        var test = manifest.OfKind("Pod").Single(static pod => pod.Name().EndsWith("-test-health", StringComparison.Ordinal));
        var headless = manifest.OfKind("Service").Single(static s => s.Name().EndsWith("-headless", StringComparison.Ordinal));
        var arguments = test.List("spec.containers").Single().Texts("args").Select(
            a => a.Replace($"{headless.Name()}:8081", $"localhost:{service.ManagementPort}", StringComparison.Ordinal)).ToArray();
        Assert.Contains($"http://localhost:{service.ManagementPort}", arguments);
        (await Command.RunServiceAsync(arguments)).AssertSuccess();

        await (then?.Invoke(service) ?? Task.CompletedTask);

        // Not to be ready is a warning.
        Assert.DoesNotContain("\"LogLevel\":\"Error\"", service.Output);
    }

    /// <summary>Starts what the Deployment starts, on free ports, with its volumes in a folder.</summary>
    private static async Task LaunchAsync(RunningService service, Manifest manifest, JsonObject container, Dictionary<string, string> given)
    {
        foreach (var (name, value) in manifest.Environment(container, given))
        {
            service.Settings.TryAdd(name, value
                .Replace("/etc/route-service/", $"{service.Folder}/", StringComparison.Ordinal)
                .Replace("/data/", $"{service.Folder}/data/", StringComparison.Ordinal));
        }

        // Nobody is there whom to wait for.
        service.Settings["RouteService__Shutdown__DelaySeconds"] = "0";
        await WriteFilesAsync(manifest, service.Folder);
        await service.LaunchAsync("dotnet", [Repository.Program, .. container.Texts("args")]);
    }

    /// <summary>A collector that takes the first logs that come, by OTLP over HTTP.</summary>
    private static async Task<WebApplication> StartCollectorAsync(TaskCompletionSource<(string? Header, string Logs)> told)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var collector = builder.Build();
        collector.Urls.Add("http://127.0.0.1:0");
        collector.MapPost("/v1/{signal}", async (string signal, HttpRequest request) =>
        {
            using var reader = new StreamReader(request.Body, Encoding.Latin1);
            var body = await reader.ReadToEndAsync();
            if (signal == "logs")
            {
                told.TrySetResult((request.Headers["collector-key"], body));
            }
        });
        await collector.StartAsync(TestContext.Current.CancellationToken);
        return collector;
    }

    /// <summary>What the volumes would hold.</summary>
    private static async Task WriteFilesAsync(Manifest manifest, string folder)
    {
        foreach (var name in (string[])["data", "tls", "jwks", "api-keys"])
        {
            Directory.CreateDirectory(Path.Combine(folder, name));
        }

        using var key = RSA.Create(2048);
        using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            .CreateSelfSigned(TimeProvider.System.GetUtcNow().AddMinutes(-1), TimeProvider.System.GetUtcNow().AddHours(1));
        await File.WriteAllTextAsync(Path.Combine(folder, "tls", "tls.crt"), certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(Path.Combine(folder, "tls", "tls.key"), key.ExportPkcs8PrivateKeyPem());
        var modulus = Convert.ToBase64String(key.ExportParameters(includePrivateParameters: false).Modulus!).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        await File.WriteAllTextAsync(
            Path.Combine(folder, "jwks", "jwks.json"), $$"""{"keys":[{"kty":"RSA","kid":"1","use":"sig","alg":"RS256","n":"{{modulus}}","e":"AQAB"}]}""");
        foreach (var (file, content) in manifest.OfKind("Secret").Where(static s => s.Name().EndsWith("-api-keys", StringComparison.Ordinal)).SelectMany(static s => s.Map("stringData")))
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "api-keys", file), content);
        }
    }

    /// <summary>Says hello, with an empty request, to a service that has the certificate of its volume.</summary>
    /// <returns>The status.</returns>
    private static async Task<string> GreetAsync(RunningService service, string? key)
    {
        using var expected = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(service.Folder, "tls", "tls.crt"));
        using var http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.GetRawCertData().AsSpan().SequenceEqual(expected.RawDataMemory.Span) },
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"https://{service.Address}/helloworld.Greeter/SayHello")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(new byte[5]) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
            Headers = { TE = { new TransferCodingWithQualityHeaderValue("trailers") } },
        };
        if (key is not null)
        {
            request.Headers.Add("x-api-key", key);
        }

        using var response = await http.SendAsync(request);
        return (response.TrailingHeaders.TryGetValues("grpc-status", out var trailers) ? trailers : response.Headers.GetValues("grpc-status")).Single();
    }

    [GeneratedRegex("(?m)^GRANT .*places_service.*$")]
    private static partial Regex Grants();
}
