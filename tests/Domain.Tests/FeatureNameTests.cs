using FsCheck.Fluent;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class FeatureNameTests
{
    [Fact]
    public void A_name_reads_back() =>
        Prop.ForAll(Geographies.Coordinates, static place => FeatureName.Parse(FeatureName.Format(place)) == place).Hold();

    [Fact]
    public void A_name_is_the_collection_and_the_place() =>
        Assert.Equal("features/407838351,-746143763", FeatureName.Format(new Coordinate(407_838_351, -746_143_763)));

    [Theory]
    [InlineData("")]
    [InlineData("features/")]
    [InlineData("features/1")]
    [InlineData("features/1,")]
    [InlineData("features/,1")]
    [InlineData("features/1,2,3")]
    [InlineData("features/1,2/")]
    [InlineData("/features/1,2")]
    [InlineData("Features/1,2")]
    [InlineData("1,2")]
    [InlineData("features/+1,2")]
    [InlineData("features/01,2")]
    [InlineData("features/-0,2")]
    [InlineData("features/1, 2")]
    [InlineData("features/1.0,2")]
    [InlineData("features/１,2")]
    [InlineData("features/900000001,2")]
    [InlineData("features/1,-1800000001")]
    [InlineData("features/1,99999999999")]
    public void What_is_no_name_is_refused(string name) => Assert.Throws<InvalidValueException>(() => FeatureName.Parse(name));
}
