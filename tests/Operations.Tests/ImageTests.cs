namespace RouteService.Operations.Tests;

/// <summary>The image, built from the Dockerfile on bases that stand in for the real ones (base-images.sh), and run without an engine. It takes the whole machine.</summary>
[CollectionDefinition(DisableParallelization = true)]
[Collection<ImageTests>]
public sealed class ImageTests(ImageBuild build) : ServiceTest, IClassFixture<ImageBuild>
{
    private const string User = "1654:1654";

    [Fact]
    public void The_script_builds_it_and_tries_it_out() => Assert.EndsWith($"{ImageBuild.Tag} works.", build.Script.AssertSuccess().Output.TrimEnd());

    [Fact]
    public void It_says_what_it_is_and_how_it_is_run()
    {
        build.Script.AssertSuccess();
        var config = build.Config;

        Assert.Equal(User, config.GetProperty("User").GetString());
        Assert.Equal(["dotnet", "/app/RouteService.Api.dll"], config.GetProperty("Entrypoint").EnumerateArray().Select(static word => word.GetString()!));
        Assert.Equal(["50051/tcp", "8081/tcp"], config.GetProperty("ExposedPorts").EnumerateObject().Select(static port => port.Name).Order(StringComparer.Ordinal));
        Assert.Equal(
            ["CMD", "dotnet", "/app/RouteService.Api.dll", "health"],
            config.GetProperty("Healthcheck").GetProperty("Test").EnumerateArray().Select(static word => word.GetString()!));
        var labels = config.GetProperty("Labels");
        foreach (var label in (string[])["title", "description", "vendor", "licenses", "version", "revision", "created", "base.name"])
        {
            Assert.NotEqual("", labels.GetProperty($"org.opencontainers.image.{label}").GetString());
        }
    }

    [Fact]
    public void Only_its_data_folder_may_be_written_to_by_its_user()
    {
        build.Script.AssertSuccess();
        foreach (var file in Directory.EnumerateFileSystemEntries(Path.Combine(build.Root, "app"), "*", SearchOption.AllDirectories))
        {
            Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(file) & (UnixFileMode.OtherWrite | UnixFileMode.GroupWrite));
        }

        Assert.Empty(Directory.EnumerateFiles(Path.Combine(build.Root, "app"), "*.pdb"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(build.Root, "data")));
        Assert.Equal(
            UnixFileMode.None,
            File.GetUnixFileMode(Path.Combine(build.Root, "data")) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute));
        Assert.False(Path.Exists(Path.Combine(build.Root, "usr", "bin", "sh")), "The base has a shell, so nothing shows that none is needed.");
    }

    [Fact]
    public async Task On_PostGIS_it_runs_where_nothing_can_be_written()
    {
        build.Script.AssertSuccess();
        await using var database = await OnPostgresAsync();

        await RunReadOnlyAsync("");
    }

    [Fact]
    public async Task With_the_embedded_store_it_writes_to_its_data_folder_alone()
    {
        Service.Settings["RouteService__Sqlite__Path"] = "/data/places.db";
        Service.Settings["RouteService__Sqlite__NotesPath"] = "/data/notes.db";

        await RunReadOnlyAsync("mount -t tmpfs -o uid=1654,gid=1654 tmpfs $root/data && ");
    }

    [Fact]
    public async Task Any_user_of_the_group_0_can_use_its_data_folder()
    {
        // As OpenShift runs it: without a volume, as a user that the image does not know.
        const string Anybody = "1000650000:0";
        Service.Settings["RouteService__Sqlite__Path"] = "/data/places.db";
        Service.Settings["RouteService__Sqlite__NotesPath"] = "/data/notes.db";

        await RunReadOnlyAsync("mount --bind $root/data $root/data && mount -o remount,bind,rw $root/data && ", Anybody);

        var written = Directory.GetFiles(Path.Combine(build.Root, "data"));
        Assert.Contains(written, static file => Path.GetFileName(file) == "places.db");
        Assert.All(written, File.Delete);
    }

    private async Task RunReadOnlyAsync(string mounts, string user = User)
    {
        build.Script.AssertSuccess();
        foreach (var (name, value) in build.Environment)
        {
            Service.Settings[name] = value;
        }

        await Service.StartAsync(
            "unshare",
            "--mount",
            "sh",
            "-c",
            $"root={build.Root}; mount --bind $root $root && mount -o remount,bind,ro $root && mount --rbind /dev $root/dev && mount -t proc proc $root/proc && "
                + $"{mounts}exec chroot --userspec={user} --groups= $root dotnet /app/RouteService.Api.dll");

        await HelloAsync(Connect());
        await FeatureAsync(Connect());
        Assert.Equal(0, await Service.StopAsync());

        // Nothing but the log: .NET's loader tells there of libraries that it misses.
        Assert.DoesNotContain("Cannot load library", Service.Output);
    }
}
