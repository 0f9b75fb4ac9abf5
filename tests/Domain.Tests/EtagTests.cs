using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Features;

namespace RouteService.Domain.Tests;

public sealed class EtagTests
{
    [Fact]
    public void An_etag_reads_back() => Prop.ForAll(Geographies.Longs, static revision =>
        Etag.TryParse(new Etag(revision).ToString(), out var etag) && etag.Revision == revision).Hold();

    [Fact]
    public void An_etag_is_in_quotes() => Assert.Equal("\"1f\"", new Etag(31).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("\"\"")]
    [InlineData("1f")]
    [InlineData("\"1f")]
    [InlineData("\"1F\"")]
    [InlineData("\"01f\"")]
    [InlineData("\"\"1f\"\"")]
    [InlineData("W/\"1f\"")]
    [InlineData("*")]
    [InlineData("\"1ffffffffffffffff\"")]
    public void What_no_version_has_is_no_etag(string text) => Assert.False(Etag.TryParse(text, out _));
}
