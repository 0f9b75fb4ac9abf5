using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

public sealed class SettingsTests
{
    [Fact]
    public void Without_configuration_everything_has_its_default()
    {
        var settings = Read();

        Assert.Equal((50051, 8081), (settings.Grpc.Port, settings.Management.Port));
        Assert.Equal(".data/route-service.db", settings.Sqlite.Path);
        Assert.Equal(1_000, settings.Chat.HistoryPerPost);
    }

    [Fact]
    public void What_is_set_counts()
    {
        var settings = Read(("RouteService:Grpc:Port", "1234"), ("RouteService:Sqlite:Path", "/x/y.db"), ("routeservice:chat:keepdays", "5"), ("RouteService:Grpc:Connection:MaxAge", "0"));

        Assert.Equal((1234, 8081), (settings.Grpc.Port, settings.Management.Port));
        Assert.Equal("/x/y.db", settings.Sqlite.Path);
        Assert.Equal(5, settings.Chat.KeepDays);
        Assert.Equal((TimeSpan.Zero, 100), (settings.Grpc.Connection.MaxAge, settings.Grpc.Connection.MaxStreams));
    }

    [Theory]
    [InlineData("RouteService:Grpc:Port", "abc", "RouteService__Grpc__Port is 'abc'; a whole number from 0 to 65535 is wanted.")]
    [InlineData("RouteService:Grpc:Port", "70000", "RouteService__Grpc__Port is '70000'; a whole number from 0 to 65535 is wanted.")]
    [InlineData("RouteService:Chat:KeepDays", "0", "RouteService__Chat__KeepDays is '0'; a whole number from 1 to 36500 is wanted.")]
    [InlineData("RouteService:Grpc:Prot", "1", "RouteService__Grpc__Prot is not a setting. Under RouteService__Grpc there are: Port, ")]
    [InlineData("RouteService:Gprc:Port", "1", "RouteService__Gprc is not a setting. Under RouteService there are: Grpc, Management, ")]
    [InlineData("RouteService:Grpc:Connection:MaxStreams", "0", "RouteService__Grpc__Connection__MaxStreams is '0'; a whole number from 1 to 100000 is wanted.")]
    [InlineData("RouteService:Grpc:Connection:MaxAge", "long", "RouteService__Grpc__Connection__MaxAge is 'long'; a time from 00:00:00 to 7.00:00:00 is wanted (d.hh:mm:ss).")]
    [InlineData("RouteService:Grpc:Connection:MaxAge", "1800", "RouteService__Grpc__Connection__MaxAge is '1800.00:00:00'; a time from 00:00:00 to 7.00:00:00 is wanted (d.hh:mm:ss).")]
    [InlineData("RouteService:Grpc:Connection:Age", "1", "RouteService__Grpc__Connection__Age is not a setting. Under RouteService__Grpc__Connection there are: MaxStreams, ")]
    [InlineData("RouteService:Sqlite:Path", "", "RouteService__Sqlite__Path is ''; a value is wanted.")]
    public void What_is_wrong_is_told_by_its_key(string key, string value, string message) =>
        Assert.StartsWith(message, Assert.Throws<SettingException>(() => Read((key, value))).Message);

    [Fact]
    public void The_documentation_has_every_setting_with_its_default()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "RouteService.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var documented = Regex.Matches(File.ReadAllText(Path.Combine(root, "docs", "configuration.md")), @"^\| `(RouteService__\w+)` \| `?([^|`]+?)`? \|", RegexOptions.Multiline)
            .Select(row => (row.Groups[1].Value, row.Groups[2].Value));

        Assert.Equal(Of("RouteService", Read()).Order(), documented.Order());

        // The connection string is not under RouteService, but where .NET has such.
        static IEnumerable<(string, string)> Of(string path, object options) => options.GetType().GetProperties()
            .Where(property => property.Name != nameof(Settings.ConnectionString)).SelectMany(property =>
            (Name: $"{path}__{property.Name}", Value: property.GetValue(options)) switch
            {
                var (name, value) when value is bool flag => [(name, flag ? "true" : "false")],
                var (name, value) when value is not null and not string && property.PropertyType.IsClass => Of(name, value),
                var (name, value) => [(name, string.Create(CultureInfo.InvariantCulture, $"{value ?? "none"}"))],
            });
    }

    private static Settings Read(params (string Key, string Value)[] values) => Settings.Read(new ConfigurationBuilder()
        .AddInMemoryCollection(values.Select(pair => KeyValuePair.Create<string, string?>(pair.Key, pair.Value)))
        .Build());
}
