using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace RouteService.EndToEnd.Tests;

/// <summary>The program as a person at a terminal meets it.</summary>
public sealed class CommandLineTests : IAsyncDisposable
{
    private readonly RunningService _service = new();

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task It_says_what_it_is_where_its_data_is_and_how_to_call_it()
    {
        await _service.InitializeAsync();
        await _service.StopAsync();

        Assert.Contains("RouteService 0.1.0", _service.Output);
        Assert.Contains($"{_service.Folder}/.data/route-service.db; 3966 features", _service.Output);
        Assert.Contains($"gRPC on port {_service.GrpcPort}", _service.Output);
        Assert.Contains($"http://localhost:{_service.ManagementPort}/healthz/ready", _service.Output);
        Assert.Contains("grpcurl -plaintext -d '{\"name\":\"you\"}'", _service.Output);
    }

    [Fact]
    public async Task It_watches_no_folder()
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "appsettings.json"), "{}");
        await _service.InitializeAsync();

        Assert.DoesNotContain(
            Directory.GetFileSystemEntries($"/proc/{_service.ProcessId}/fd").Select(static file => new FileInfo(file).LinkTarget),
            static target => target is "anon_inode:inotify");
    }

    [Theory]
    [InlineData(RunningService.SigTerm)]
    [InlineData(RunningService.SigInt)]
    [InlineData(RunningService.SigHup)]
    public async Task A_signal_ends_it_cleanly(int signal)
    {
        await _service.InitializeAsync();

        Assert.Equal(0, await _service.StopAsync(signal));
        Assert.DoesNotContain("   at ", _service.Output);
    }

    [Fact]
    public async Task What_was_imported_survives_kill_9()
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "places.csv"), "name,latitude,longitude\n\"Kept, in spite\",1.5,2.5\n");
        var import = (await RunAsync("import", "places.csv", "--replace")).AssertSuccess();
        Assert.Contains("Imported 1 records", import.Output);
        Assert.Contains("The store has 1 features.", import.Output);
        await _service.InitializeAsync();
        Assert.NotEqual(0, await _service.StopAsync(RunningService.SigKill));

        await _service.StartAsync("dotnet", Repository.Program);

        Assert.Equal(2, _service.Output.Split("; 1 features.").Length - 1);
    }

    [Fact]
    public async Task An_import_works_while_the_service_runs()
    {
        await _service.InitializeAsync();
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "more.json"), """[{"location":{"latitude":7,"longitude":8},"name":"New"}]""");

        var import = (await RunAsync("import", "more.json")).AssertSuccess();

        Assert.Contains("The store has 3967 features.", import.Output);
    }

    [Theory]
    [InlineData("[{\"location\":{\"latitude\":1}},{\"location\":{\"latitude\":900000001}}]", "record 2 (line 1): location is {\"latitude\":900000001}; expected")]
    [InlineData("name,latitude,longitude\nx,1,2\ny,1,200\n", "record 2 (line 3): longitude is 200; expected")]
    [InlineData("name,latitude,longitude\nx,1,2\n\"y,1,200\n", "record 2 (line 3): a quote is not closed")]
    [InlineData("", "is empty")]
    public async Task A_bad_file_is_told_in_one_line_and_changes_nothing(string content, string complaint)
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "bad.txt"), content);

        AssertRefused(await RunAsync("import", "bad.txt"), complaint);

        await _service.InitializeAsync();
        Assert.Contains("; 0 features.", _service.Output);
    }

    [Fact]
    public async Task Invalid_records_are_skipped_and_counted_where_that_is_asked_for()
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "some.csv"), "name,lat,lon\nx,1,2\ny,95,2\nz,1,2\n,96,2\n");

        AssertRefused(await RunAsync("import", "some.csv"), "some.csv, record 2 (line 3): latitude is 95; expected");
        var import = (await RunAsync("import", "some.csv", "--skip-invalid")).AssertSuccess();

        Assert.Contains("Imported 2 records", import.Output);
        Assert.Contains("2 were skipped because of an invalid latitude. The first: some.csv, record 2 (line 3): latitude is 95; expected", import.Output);
        Assert.Contains("1 were superseded by a later record at the same location", import.Output);
        Assert.Contains("The store has 1 features.", import.Output);
    }

    [Theory]
    [InlineData("name,latitude,longitude\n")]
    [InlineData("{\"type\":\"FeatureCollection\",\"features\":[]}")]
    [InlineData("[{\"location\":7}]", "--skip-invalid")]
    public async Task A_file_without_features_empties_the_store_only_where_that_is_allowed(string content, params string[] options)
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "places.csv"), "name,latitude,longitude\nKept,1,2\n");
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "empty.txt"), content);
        (await RunAsync("import", "places.csv")).AssertSuccess();

        AssertRefused(await RunAsync(["import", "empty.txt", "--replace", .. options]), "empty.txt has no features, and --replace would empty the store; add --allow-empty");
        Assert.Contains("The store has 1 features.", (await RunAsync(["import", "empty.txt", .. options])).AssertSuccess().Output);
        Assert.Contains("The store has 0 features.", (await RunAsync(["import", "empty.txt", "--replace", "--allow-empty", .. options])).AssertSuccess().Output);
    }

    [Theory]
    [InlineData("A pipe", "pipe", "is empty, or no regular file")]
    [InlineData("A link to a pipe", "link", "is empty, or no regular file")]
    [InlineData("A device", "/dev/zero", "is empty, or no regular file")]
    [InlineData("A folder", ".", "cannot be read")]
    [InlineData("Links in a ring", "ring", "cannot be read")]
    public async Task What_is_no_file_is_refused_at_once(string kind, string name, string complaint)
    {
        (await Command.RunAsync("mkfifo", [Path.Combine(_service.Folder, "pipe")])).AssertSuccess();
        File.CreateSymbolicLink(Path.Combine(_service.Folder, "link"), "pipe");
        File.CreateSymbolicLink(Path.Combine(_service.Folder, "ring"), "ring");

        // Ended where it waits for what never comes.
        var answer = await Command.RunAsync(
            "timeout", ["--kill-after=1", "60", "dotnet", Repository.Program, "import", name], RunningService.Environment, _service.Folder);

        Assert.True(answer.ExitCode == 1, $"{kind}: {answer}");
        AssertRefused(answer, complaint);
    }

    [Fact]
    public async Task A_file_without_a_name_is_warned_about()
    {
        const string warning = "routeservice: warning: no record has a name; expected a column or property 'name' or 'title'.";
        foreach (var (properties, isWarned) in new[] { ("{\"label\":\"x\"}", true), ("{\"NAME\":\"x\"}", false) })
        {
            await File.WriteAllTextAsync(
                Path.Combine(_service.Folder, "names.geojsonl"),
                $$$"""{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{{{properties}}}}""");

            var import = (await RunAsync("import", "names.geojsonl")).AssertSuccess();

            Assert.Equal(isWarned ? warning : "", import.Error.Trim());
        }
    }

    [Theory]
    [InlineData("csv", "name,lat,lon\n", "Place {0},{1},{2}\n", "")]
    [InlineData("json", "[", "{{\"location\":{{\"latitude\":{0},\"longitude\":7}},\"name\":\"Place {0}\"}},", "{\"location\":{}}]")]
    [InlineData(
        "geojson",
        "{\"type\":\"FeatureCollection\",\"features\":[",
        "{{\"type\":\"Feature\",\"geometry\":{{\"type\":\"Point\",\"coordinates\":[{2},{1}]}},\"properties\":{{\"name\":\"Place {0}\"}}}},",
        "{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[0,0]},\"properties\":null}]}")]
    public async Task A_file_larger_than_the_memory_is_imported(string format, string head, string record, string end)
    {
        // All on one line, but for CSV: some 40 MB, and the records as objects would take more.
        const int Records = 500_000;
        await using (var file = new StreamWriter(Path.Combine(_service.Folder, $"large.{format}")))
        {
            await file.WriteAsync(head);
            for (var i = 0; i < Records; i++)
            {
                await file.WriteAsync(string.Format(CultureInfo.InvariantCulture, record, i, i / 10_000, i % 10_000 / 100.0));
            }

            await file.WriteAsync(end);
        }

        // In hexadecimal: 24 MB for all objects of the program.
        var limited = new Dictionary<string, string>(RunningService.Environment) { ["DOTNET_GCHeapHardLimit"] = "1800000" };
        var import = (await Command.RunServiceAsync(["import", $"large.{format}"], limited, _service.Folder)).AssertSuccess();

        Assert.Contains($"Imported {Records + (end.Length > 0 ? 1 : 0)} records", import.Output);
    }

    [Fact]
    public async Task Help_tells_the_commands_and_where_the_settings_are()
    {
        var help = (await RunAsync("--help")).AssertSuccess();

        Assert.Contains("import <FILE>", help.Output);
        Assert.Contains("RouteService__Grpc__Port", help.Output);
        Assert.Contains("--replace", (await RunAsync("import", "--help")).AssertSuccess().Output);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("--version")]
    [InlineData("export --help")]
    public async Task Help_that_cannot_be_written_is_told_in_one_line(string arguments)
    {
        var answer = await Command.RunAsync("bash", ["-c", $"dotnet {Repository.Program} {arguments} > /dev/full"]);

        Assert.Equal((1, "routeservice: No space left on device (IOException)"), (answer.ExitCode, answer.Error.Trim()));
    }

    [Fact]
    public async Task A_log_that_nobody_reads_holds_up_neither_calls_nor_the_end()
    {
        var start = new ProcessStartInfo("dotnet", [Repository.Program]) { RedirectStandardOutput = true, WorkingDirectory = _service.Folder };
        foreach (var (name, value) in RunningService.Environment)
        {
            start.Environment[name] = value;
        }

        start.Environment["Logging__LogLevel__Default"] = start.Environment["Logging__LogLevel__Microsoft"] = "Trace";
        using var program = Process.Start(start)!;
        try
        {
            var port = 0;
            while (await program.StandardOutput.ReadLineAsync() is { } line && port == 0)
            {
                port = Regex.Match(line, "health on http://localhost:([0-9]+)") is { Success: true } match ? int.Parse(match.Groups[1].Value) : 0;
            }

            // A probe logs a few lines at this level; the pipe takes 64 KiB, and the log 2 500 lines more.
            using var http = new HttpClient();
            for (var i = 0; i < 2_000; i++)
            {
                using var health = await http.GetAsync($"http://localhost:{port}/healthz/live");
                Assert.Equal(HttpStatusCode.OK, health.StatusCode);
            }

            RunningService.Send(RunningService.SigTerm, program.Id);
            await program.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(0, program.ExitCode);
        }
        finally
        {
            if (!program.HasExited)
            {
                program.Kill();
            }
        }
    }

    [Fact]
    public async Task Health_says_whether_a_service_is_ready()
    {
        AssertRefused(await RunAsync("health", "http://localhost:1"), "Nothing at http://localhost:1/ says that it is ready: Connection refused");
        await _service.InitializeAsync();

        (await RunAsync("health", $"http://localhost:{_service.ManagementPort}")).AssertSuccess();
        var ownPort = new Dictionary<string, string> { ["RouteService__Management__Port"] = $"{_service.ManagementPort}" };
        Assert.Equal("Ready.", (await Command.RunServiceAsync(["health"], ownPort)).AssertSuccess().Output.Trim());
        AssertRefused(await RunAsync("health", $"http://localhost:{_service.GrpcPort}"), "has answered with 400; is it a management port?");
    }

    /// <summary>The page of a login, and another web server.</summary>
    [Theory]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "has answered with 302; is it a management port?")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "has answered with something else than its health; is it a management port?")]
    public async Task Another_server_is_not_taken_for_a_service_that_is_ready(string page, string complaint)
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var answering = Task.Run(async () =>
        {
            using var client = await server.AcceptTcpClientAsync();
            _ = await client.GetStream().ReadAsync(new byte[1_000]);
            await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(page));
        });

        AssertRefused(await RunAsync("health", $"http://{server.LocalEndpoint}"), complaint);
        await answering;
    }

    [Fact]
    public async Task Health_asks_the_service_and_no_proxy()
    {
        // A proxy that answers everything with 200.
        using var proxy = new TcpListener(IPAddress.Loopback, 0);
        proxy.Start();
        var answering = Task.Run(async () =>
        {
            while (true)
            {
                using var client = await proxy.AcceptTcpClientAsync();
                await client.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
            }
        });
        var address = $"http://{proxy.LocalEndpoint}";
        var environment = new Dictionary<string, string>(RunningService.Environment)
        {
            ["HTTP_PROXY"] = address,
            ["http_proxy"] = address,
            ["ALL_PROXY"] = address,
            ["all_proxy"] = address,
        };
        foreach (var dead in (string[])["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"])
        {
            AssertRefused(await Command.RunServiceAsync(["health", dead], environment), "says that it is ready: Connection refused");
        }

        await _service.InitializeAsync();
        (await Command.RunServiceAsync(["health", $"http://localhost:{_service.ManagementPort}"], environment)).AssertSuccess();
        proxy.Stop();
        await Assert.ThrowsAnyAsync<Exception>(() => answering);
    }

    [Theory]
    [InlineData("'db:8081' is not an address such as http://localhost:8081.", "health", "db:8081")]
    [InlineData("Unrecognized command or argument '--bogus'", "--bogus")]
    [InlineData("Unrecognized command or argument '--RoutService:Grpc:Port=…'", "serve", "--RoutService:Grpc:Port=1")]
    [InlineData("RouteService__Grpc__Prot is not a setting.", "--RouteService:Grpc:Prot=1")]
    [InlineData("'--ConnectionString:RouteService=…'", "--ConnectionString:RouteService=Host=db;Password=s3cret")]
    [InlineData("Nothing at http://localhost:1/ says", "health", "http://name:s3cret@localhost:1")]
    [InlineData("Required argument missing", "import")]
    [InlineData("Unrecognized command or argument '--skip-invald'", "import", "places.csv", "--skip-invald")]
    [InlineData("Unrecognized command or argument 'b.csv'", "import", "a.csv", "b.csv")]
    [InlineData("Unrecognized command or argument '--RouteService:Sqlite:Path=…'", "import", "a.csv", "--RouteService:Sqlite:Path=s3cret")]
    [InlineData("Unrecognized command or argument 'now'", "migrate", "now")]
    [InlineData("Unrecognized command or argument '--quiet'", "health", "http://localhost:1", "--quiet")]
    public async Task A_wrong_option_is_told(string complaint, params string[] arguments)
    {
        var answer = await RunAsync(arguments);

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(complaint, answer.Error);
        Assert.DoesNotContain("s3cret", answer.Error);
    }

    [Theory]
    [InlineData("RouteService__Grpc__Port", "abc", "RouteService__Grpc__Port is 'abc'; expected an integer from 0 to 65535.")]
    [InlineData("RouteService__Grpc__Prot", "1", "RouteService__Grpc__Prot is not a setting.")]
    [InlineData("RouteService__Grpc__MaxReceiveMessageSize__0", "1", "RouteService__Grpc__MaxReceiveMessageSize__0 is not a setting; RouteService__Grpc__MaxRec")]
    [InlineData("RouteService__Chat__HistoryPerPost", "-1", "RouteService__Chat__HistoryPerPost is '-1'")]
    [InlineData("RouteService__Grpc__CertificatePath", "/none.pem", "RouteService__Grpc__CertificatePath is '/none.pem', which cannot be used")]
    [InlineData("RouteService__Sqlite__Path", "\"/tmp/q.db\"", "RouteService__Sqlite__Path is '\"/tmp/q.db\"'; expected a path without quotes around it.")]
    [InlineData("RouteService__Sqlite__NotesPath", "'n.db'", "expected a path without quotes around it.")]
    [InlineData("RouteService__Sqlite__Path", "/dev/null/x/y.db", "The folder of the database '/dev/null/x/y.db' cannot be created")]
    [InlineData("ConnectionStrings__RouteService", "Database=places", "ConnectionStrings__RouteService cannot be used: Host is missing.")]
    [InlineData("ConnectionStrings__RouteService", "Host=db;Colour=red", "ConnectionStrings__RouteService cannot be used: Its keyword number 2 is not one of Npgsql's.")]
    [InlineData("RouteService__Postgres__MaxLookUpBatch", "0", "RouteService__Postgres__MaxLookUpBatch is '0'; expected an integer from 1 to 10000")]
    [InlineData("RouteService__Sqlite__NotesPath", "/dev/null", "Set RouteService__Sqlite__NotesPath to another")]
    [InlineData("Logging__LogLevel__Default", "Loud", "Logging__LogLevel__Default is 'Loud'; expected one of Trace, Debug, Information, Warning, Error, Critical")]
    [InlineData("Logging__Console__LogLevel__Default", "Loud", "Logging__Console__LogLevel__Default is 'Loud'")]
    [InlineData("Logging__Console__FormatterOptions__SingleLine", "perhaps", "'FormatterOptions:SingleLine'")]
    [InlineData("DOTNET_CONTENTROOT", "/none", "The folder '/none/' does not exist; expected that of the files of settings (DOTNET_CONTENTROOT).")]
    [InlineData("Kestrel__Endpoints__X__Url", "http://localhost:0", "Kestrel__Endpoints__X__Url is not a setting. The ports are RouteService__Grpc__Port and")]
    [InlineData("Kestrel__Certificates__Default__Path", "own.pfx", "Kestrel__Certificates__Default__Path is not a setting. The ports are")]
    public async Task A_wrong_setting_is_told_by_its_key(string key, string value, string complaint) =>
        AssertRefused(await Command.RunServiceAsync([], new Dictionary<string, string>(RunningService.Environment) { [key] = value }, _service.Folder), complaint);

    [Fact]
    public async Task A_path_that_is_too_long_is_told_by_its_key() =>
        AssertRefused(await RunAsync($"--RouteService:Sqlite:Path={new string('x', 5_000)}"), "RouteService__Sqlite__Path to ");

    /// <summary>The exit code says that it has failed, whoever hears why.</summary>
    [Theory]
    [InlineData("2>&-")]
    [InlineData("2>/dev/full")]
    [InlineData(">&- 2>&-")]
    public async Task A_failure_that_nobody_hears_is_an_exit_code(string redirections)
    {
        var settings = new Dictionary<string, string>(RunningService.Environment) { ["RouteService__Grpc__Port"] = "abc" };

        var answer = await Command.RunAsync("bash", ["-c", $"exec dotnet '{Repository.Program}' {redirections}"], settings, _service.Folder);

        Assert.Equal(1, answer.ExitCode);
    }

    /// <summary>What is done is done, also where nobody can be told.</summary>
    [Theory]
    [InlineData("import places.csv", "> /dev/full", "The import is complete, but the report cannot be written: No space left on device.")]
    [InlineData("export places.geojson", "> /dev/full", "The file is written, but the report cannot be written: No space left on device.")]
    public async Task A_report_that_cannot_be_written_says_what_is_done(string command, string redirection, string complaint)
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "places.csv"), "name,latitude,longitude\nplace,1,2\n");
        (await RunAsync("import", "places.csv")).AssertSuccess();

        AssertRefused(
            await Command.RunAsync("bash", ["-c", $"exec dotnet '{Repository.Program}' {command} {redirection}"], RunningService.Environment, _service.Folder),
            complaint);
    }

    /// <summary>In blocks of 1 KiB. The runtime keeps code in files of its own memory, unless it need not write and run it apart.</summary>
    [Fact]
    public async Task A_write_beyond_the_limit_of_a_files_size_fails_and_does_not_end_the_program()
    {
        await File.WriteAllLinesAsync(
            Path.Combine(_service.Folder, "many.csv"), Enumerable.Range(0, 20_000).Select(static i => $"{new string('x', 300)},{i / 1_000d},0").Prepend("name,latitude,longitude"));

        var settings = new Dictionary<string, string>(RunningService.Environment) { ["DOTNET_EnableWriteXorExecute"] = "0" };

        var answer = await Command.RunAsync("bash", ["-c", $"ulimit -f 2000; exec dotnet '{Repository.Program}' import many.csv"], settings, _service.Folder);

        AssertRefused(answer, "The file of the store cannot be read or written.");
    }

    [Fact]
    public async Task A_process_without_files_left_is_told_in_one_line() => AssertRefused(
        await Command.RunAsync("bash", ["-c", $"ulimit -n 110; exec dotnet '{Repository.Program}'"], RunningService.Environment, _service.Folder), "(ulimit -n)");

    [Theory]
    [InlineData("serve")]
    [InlineData("health")]
    public async Task Of_several_wrong_settings_one_is_told(string command)
    {
        var settings = new Dictionary<string, string>
        {
            ["RouteService__Shutdown__GraceSeconds"] = "-1",
            ["RouteService__Greetings__MaxReplyLength"] = "0",
        };

        AssertRefused(await Command.RunServiceAsync([command], settings, _service.Folder), "; expected an integer from ");
    }

    [Fact]
    public async Task The_level_of_a_category_can_be_set()
    {
        _service.Settings["Logging__LogLevel__Microsoft"] = "Debug";

        await _service.InitializeAsync();

        Assert.Contains("dbug: Microsoft.AspNetCore.", _service.Output);
    }

    [Fact]
    public async Task A_broken_configuration_file_is_told_with_the_place()
    {
        await File.WriteAllTextAsync(Path.Combine(_service.Folder, "appsettings.json"), "{\n\"Logging\": \n");

        AssertRefused(await RunAsync(), $"{_service.Folder}/appsettings.json");
    }

    [Fact]
    public async Task A_pipe_in_the_place_of_the_configuration_file_is_told_and_not_waited_for()
    {
        using (var made = Process.Start("mkfifo", [Path.Combine(_service.Folder, "appsettings.json")]))
        {
            await made.WaitForExitAsync();
        }

        AssertRefused(await RunAsync(), $"{_service.Folder}/appsettings.json");
        AssertRefused(await RunAsync("export"), $"{_service.Folder}/appsettings.json");
    }

    [Fact]
    public async Task A_port_that_this_user_may_not_have_is_told()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root can become a user without rights.");
        Assert.SkipUnless(File.Exists("/usr/bin/setpriv"), "setpriv is missing: apt-get install util-linux.");
        Assert.SkipWhen(
            int.Parse(await File.ReadAllTextAsync("/proc/sys/net/ipv4/ip_unprivileged_port_start"), CultureInfo.InvariantCulture) <= 443,
            "Any user may have any port here.");
        var settings = new Dictionary<string, string>(RunningService.Environment)
        {
            ["RouteService__Grpc__Port"] = "443",
        };

        AssertRefused(
            await Command.RunAsync("setpriv", ["--bounding-set=-net_bind_service", "dotnet", Repository.Program], settings, _service.Folder),
            "may not listen on a port below 1024. Set RouteService__Grpc__Port");
    }

    /// <summary>Each store refuses the other's file, whichever is opened first.</summary>
    [Theory]
    [InlineData("features.db", "features.db")]
    [InlineData("notes.db", "features.db")]
    [InlineData("notes.db", "notes.db")]
    public async Task Features_and_notes_need_files_of_their_own(string features, string notes)
    {
        _service.Settings["RouteService__Sqlite__Path"] = "features.db";
        _service.Settings["RouteService__Sqlite__NotesPath"] = "notes.db";
        await _service.InitializeAsync();
        await _service.StopAsync();

        AssertRefused(
            await RunAsync($"--RouteService:Sqlite:Path={features}", $"--RouteService:Sqlite:NotesPath={notes}"),
            "Set RouteService__Sqlite__");
    }

    [Fact]
    public async Task A_container_is_marked_by_one_as_well_as_by_true()
    {
        _service.Settings["DOTNET_RUNNING_IN_CONTAINER"] = "1";

        await _service.InitializeAsync();

        Assert.Contains("\"LogLevel\":\"Information\"", _service.Output);
    }

    [Fact]
    public async Task A_connection_string_of_another_name_is_warned_of()
    {
        _service.Settings["ConnectionStrings__RoutService"] = "Host=db";

        await _service.InitializeAsync();

        Assert.Contains("ConnectionStrings__RoutService is not read: the connection string of the store is ConnectionStrings__RouteService.", _service.Output);
    }

    /// <summary>A variable of ASP.NET Core, which another program may have set.</summary>
    [Fact]
    public async Task Hosts_that_are_allowed_elsewhere_keep_nobody_away()
    {
        _service.Settings["AllowedHosts"] = "example.com";

        // It asks for readiness, by another name.
        await _service.InitializeAsync();
    }

    [Theory]
    [InlineData("RouteService:Sqlite:Path")]
    [InlineData("routeservice:sqlite:path")]
    public async Task A_setting_can_be_an_argument(string key)
    {
        await _service.StartAsync("dotnet", Repository.Program, "serve", $"--{key}=elsewhere.db");

        Assert.Contains($"{_service.Folder}/elsewhere.db; 3966 features", _service.Output);
    }

    [Fact]
    public async Task The_least_times_that_are_settings_are_taken()
    {
        _service.Settings["RouteService__Grpc__Connection__KeepAliveTime"] = "00:00:00.0000001";
        _service.Settings["RouteService__Grpc__Connection__KeepAliveTimeout"] = "00:00:01";
        _service.Settings["RouteService__Grpc__Connection__MaxAge"] = "00:00:00.0000001";
        _service.Settings["RouteService__Grpc__Connection__MaxAgeGrace"] = "00:00:00.0000001";

        await _service.InitializeAsync();
    }

    [Fact]
    public async Task One_port_for_both_is_told() => AssertRefused(
        await RunAsync("--RouteService:Grpc:Port=5009", "--RouteService:Management:Port=5009"),
        "RouteService__Grpc__Port and RouteService__Management__Port are both 5009; expected two ports");

    [Fact]
    public async Task A_port_in_use_is_told()
    {
        await _service.InitializeAsync();

        AssertRefused(
            await Command.RunServiceAsync(
                [], new Dictionary<string, string>(RunningService.Environment) { ["RouteService__Grpc__Port"] = $"{_service.GrpcPort}" }, _service.Folder),
            $"[::]:{_service.GrpcPort}: address already in use. Another program has the port");
    }

    [Fact]
    public async Task A_file_that_is_no_database_is_told_and_left_as_it_is()
    {
        var garbage = new byte[10_000];
        new Random(1).NextBytes(garbage);
        var file = Path.Combine(_service.Folder, "garbage.db");
        await File.WriteAllBytesAsync(file, garbage);

        AssertRefused(
            await Command.RunServiceAsync([], new Dictionary<string, string>(RunningService.Environment) { ["RouteService__Sqlite__Path"] = file }, _service.Folder),
            $"The file '{file}' is not a database");

        Assert.Equal(garbage, await File.ReadAllBytesAsync(file));
    }

    private Task<Command> RunAsync(params string[] arguments) => Command.RunServiceAsync(arguments, RunningService.Environment, _service.Folder);

    private static void AssertRefused(Command answer, string complaint)
    {
        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(complaint, answer.Error);
        Assert.Single(answer.Error.Trim().Split('\n'));
        Assert.DoesNotContain("   at ", answer.Output);
    }
}
