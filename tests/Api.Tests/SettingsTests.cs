using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RouteService.Api.Errors;
using RouteService.Api.Hosting;
using RouteService.Domain.Chat;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Api.Tests;

public sealed class SettingsTests
{
    [Fact]
    public void Without_configuration_everything_has_its_default()
    {
        using var settings = Read();

        Assert.Equal((50051, 8081), (Get<GrpcOptions>(settings).Port, Get<ManagementOptions>(settings).Port));
        Assert.Equal(".data/route-service.db", Get<SqliteOptions>(settings).Path);
        Assert.Equal(1_000, Get<ChatOptions>(settings).HistoryPerPost);
    }

    [Fact]
    public void What_is_set_counts()
    {
        using var settings = Read(
            ("RouteService:Grpc:Port", "1234"),
            ("RouteService:Sqlite:Path", "/x/y.db"),
            ("routeservice:chat:keepdays", "5"),
            ("RouteService:Grpc:Connection:MaxAge", "0"));

        Assert.Equal((1234, 8081), (Get<GrpcOptions>(settings).Port, Get<ManagementOptions>(settings).Port));
        Assert.Equal("/x/y.db", Get<SqliteOptions>(settings).Path);
        Assert.Equal(5, Get<ChatOptions>(settings).KeepDays);
        Assert.Equal((TimeSpan.Zero, 100), (Get<GrpcOptions>(settings).Connection.MaxAge, Get<GrpcOptions>(settings).Connection.MaxStreams));
    }

    [Theory]
    [InlineData("RouteService:Grpc:Port", "abc", "RouteService__Grpc__Port is 'abc'; expected an integer from 0 to 65535.")]
    [InlineData("RouteService:Grpc:Port", "70000", "RouteService__Grpc__Port is '70000'; expected an integer from 0 to 65535.")]
    [InlineData("RouteService:Chat:KeepDays", "0", "RouteService__Chat__KeepDays is '0'; expected an integer from 1 to 36500.")]
    [InlineData("RouteService:Grpc:Prot", "1", "RouteService__Grpc__Prot is not a setting. Under RouteService__Grpc there are: Port, ")]
    [InlineData("RouteService:Gprc:Port", "1", "RouteService__Gprc is not a setting. Under RouteService there are: Grpc, Management, ")]
    [InlineData("RouteService:Grpc:Connection:MaxStreams", "0", "RouteService__Grpc__Connection__MaxStreams is '0'; expected an integer from 1 to 100000.")]
    [InlineData("RouteService:Grpc:Connection:MaxAge", "long", "RouteService__Grpc__Connection__MaxAge is 'long'; expected a time from 00:00:00 to 7.00:00:00 (d.hh:mm:ss).")]
    [InlineData("RouteService:Grpc:Connection:MaxAge", "1800", "RouteService__Grpc__Connection__MaxAge is '1800.00:00:00'; expected a time from 00:00:00 to 7.00:00:00 (d.hh:mm:ss).")]
    [InlineData("RouteService:Grpc:Connection:Age", "1", "RouteService__Grpc__Connection__Age is not a setting. Under RouteService__Grpc__Connection there are: MaxStreams, ")]
    [InlineData("RouteService:Sqlite:Path", "", "RouteService__Sqlite__Path is ''; expected a value.")]
    public void What_is_wrong_is_told_by_its_key(string key, string value, string message)
    {
        var refusal = Assert.ThrowsAny<Exception>(() => Read((key, value)));

        Assert.StartsWith(message, refusal is OptionsValidationException invalid ? Assert.Single(invalid.Failures) : Assert.IsType<SettingException>(refusal).Message);
    }

    [Fact]
    public void Any_value_of_any_setting_is_taken_or_refused_in_one_line_with_its_name()
    {
        string[] values =
            ["", " ", "nonsense", "-1", "1.5", "1e9", "99999999999999999999", "-00:00:01", "366.00:00:00", "{}", "a\nb\0", "\ud83d\ude80", new('9', 5_000)];
        using var defaults = Read();
        var refused = 0;
        foreach (var key in Settings.Sections.SelectMany(section => KeysOf($"RouteService:{section.Key}", defaults.GetRequiredService(section.Value))))
        {
            foreach (var value in values)
            {
                var refusal = Record.Exception(() => Read((key, value)).Dispose());
                if (refusal is not null)
                {
                    var message = refusal is OptionsValidationException invalid ? invalid.Failures.First() : Assert.IsType<SettingException>(refusal).Message;
                    Assert.StartsWith($"{key.Replace(":", "__")} is '", message);
                    Assert.InRange(message.Length, 20, 400);
                    refused++;
                }
            }
        }

        Assert.True(refused > 100, $"{refused}");

        static IEnumerable<string> KeysOf(string path, object options) => options.GetType().GetProperties().SelectMany(property =>
            property.PropertyType.IsClass && property.PropertyType != typeof(string)
                ? KeysOf($"{path}:{property.Name}", property.GetValue(options)!)
                : [$"{path}:{property.Name}"]);
    }

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

        using var settings = Read();
        Assert.Equal(
            Settings.Sections.SelectMany(section => Of($"RouteService__{section.Key}", settings.GetRequiredService(section.Value))).Order(),
            documented.Order());

        static IEnumerable<(string, string)> Of(string path, object options) => options.GetType().GetProperties().SelectMany(property =>
            (Name: $"{path}__{property.Name}", Value: property.GetValue(options)) switch
            {
                var (name, value) when value is bool flag => [(name, flag ? "true" : "false")],
                var (name, value) when value is not null and not string && property.PropertyType.IsClass => Of(name, value),
                var (name, value) => [(name, string.Create(CultureInfo.InvariantCulture, $"{value ?? "none"}"))],
            });
    }

    private static T Get<T>(ServiceProvider settings)
        where T : class => settings.GetRequiredService<T>();

    /// <summary>The settings as the host has them when it starts.</summary>
    private static ServiceProvider Read(params (string Key, string Value)[] values)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(values.Select(pair => KeyValuePair.Create<string, string?>(pair.Key, pair.Value)));
        builder.AddSettings();
        var provider = builder.Services.BuildServiceProvider();
        provider.GetRequiredService<IStartupValidator>().Validate();
        return provider;
    }
}
