using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using RouteService.Api.Errors;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

/// <summary>Every setting that names a file refuses what is not such a file, in one line with its name, before anything starts.</summary>
public sealed class FileSettingsTests : IDisposable
{
    private static readonly string[] Kinds =
    [
        "no path", "missing", "a folder", "empty", "noise", "too long", "a pipe", "a link to a pipe", "a device", "a link to a device", "of another purpose",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Grpc:CertificatePath")]
    [InlineData("Grpc:CertificateKeyPath")]
    [InlineData("Grpc:ClientCaPath")]
    [InlineData("Auth:ApiKeysPath")]
    [InlineData("Auth:Jwt:JwksPath")]
    [InlineData("Auth:Jwt:KeyPath")]
    public void What_is_no_such_file_is_refused_by_the_name_of_the_setting(string setting)
    {
        var settings = new Dictionary<string, string?> { ["RouteService:Auth:Enabled"] = $"{setting.StartsWith("Auth", StringComparison.Ordinal)}" };
        settings["RouteService:Auth:Jwt:Issuer"] = setting.Contains("Jwt", StringComparison.Ordinal) ? "an issuer" : null;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=x", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        if (setting is "Grpc:CertificateKeyPath" or "Grpc:ClientCaPath")
        {
            settings["RouteService:Grpc:CertificatePath"] = Write("server.pem", $"{certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n");
        }

        foreach (var kind in Kinds)
        {
            // Any bytes are a symmetric key, if they are enough.
            if (setting is "Auth:Jwt:KeyPath" && kind is "noise" or "of another purpose")
            {
                continue;
            }

            settings[$"RouteService:{setting}"] = Make(kind);
            var refusal = Assert.Throws<SettingException>(() => Compose(settings)).Message;

            Assert.True(refusal.Contains($"RouteService__{setting.Replace(":", "__")}", StringComparison.Ordinal), $"{kind}: {refusal}");
            Assert.DoesNotContain('\n', refusal);
            Assert.InRange(refusal.Length, 50, 600);
        }
    }

    [Theory]
    [InlineData("appsettings.json")]
    [InlineData("appsettings.Production.json")]
    [InlineData("appsettings.Staging.json", "--environment=Staging")]
    public void A_file_of_settings_that_is_no_regular_file_is_refused_by_its_path(string name, params string[] arguments)
    {
        var root = Directory.CreateDirectory(Path.Combine(_folder, "root")).FullName;
        arguments = [$"--contentRoot={root}", .. arguments];
        Settings.CheckFiles(arguments);
        foreach (var kind in (string[])["a folder", "empty", "a pipe", "a link to a pipe", "a link to a device"])
        {
            // A link, as Kubernetes mounts files.
            var link = File.CreateSymbolicLink(Path.Combine(root, name), Make(kind));

            var refusal = Assert.Throws<SettingException>(() => Settings.CheckFiles(arguments)).Message;

            Assert.Contains($"'{link.FullName}'", refusal);
            link.Delete();
        }

        File.CreateSymbolicLink(Path.Combine(root, name), Write("settings", "{}"));
        Settings.CheckFiles(arguments);
    }

    private static void Compose(Dictionary<string, string?> settings)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(settings);
        builder.AddRouteService();
        using var app = (IDisposable)builder.Build();
    }

    private string Make(string kind)
    {
        switch (kind)
        {
            case "no path":
                return "";
            case "a folder":
                return _folder;
            case "empty":
                return Write("empty", "");
            case "noise":
                var noise = new byte[10_000];
                new Random(1).NextBytes(noise);
                File.WriteAllBytes(Path.Combine(_folder, "noise"), noise);
                return Path.Combine(_folder, "noise");
            case "too long":
                using (var file = File.Create(Path.Combine(_folder, "long")))
                {
                    file.SetLength(1L << 33);
                }

                return Path.Combine(_folder, "long");
            case "a pipe":
                var pipe = Path.Combine(_folder, "pipe");
                if (!File.Exists(pipe))
                {
                    using var made = Process.Start("mkfifo", [pipe]);
                    made.WaitForExit();
                }

                return pipe;
            case "a link to a pipe" or "a link to a device":
                return File.CreateSymbolicLink(Path.Combine(_folder, kind), kind is "a link to a pipe" ? Make("a pipe") : "/dev/zero").FullName;
            case "a device":
                return "/dev/zero";
            case "of another purpose":
                return Write("places.csv", "name,latitude,longitude\nx,1,2\n");
            default:
                return Path.Combine(_folder, "none");
        }
    }

    private string Write(string name, string content)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, content);
        return path;
    }
}
