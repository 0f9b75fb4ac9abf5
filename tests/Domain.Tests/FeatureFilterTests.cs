using System.Text;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class FeatureFilterTests
{
    private static readonly Coordinate Here = new(10, 10);
    private static readonly Properties None = Properties.Empty;

    [Fact]
    public void Nothing_set_is_every_feature() => Assert.True(new FeatureFilter().Matches(Here, "", None));

    [Fact]
    public void All_that_is_set_must_hold()
    {
        var properties = Parse("""{"kind":"port","ships":3}""");
        var filter = new FeatureFilter(new Box(new(0, 0), new(20, 20)), "ÓDZ", properties);

        Assert.True(filter.Matches(Here, "Łódź", properties));
        Assert.False(filter.Matches(new(10, 21), "Łódź", properties));
        Assert.False(filter.Matches(Here, "Łod", properties));
        Assert.False(filter.Matches(Here, "Łódź", None));
    }

    [Theory]
    [InlineData("""{"a":"x"}""", true)]
    [InlineData("""{"n":1}""", true)]
    [InlineData("""{"n":1.0,"t":true,"z":null}""", true)]
    [InlineData("""{"zero":-0.0}""", true)]
    [InlineData("""{"a":"X"}""", false)]
    [InlineData("""{"n":"1"}""", false)]
    [InlineData("""{"t":1}""", false)]
    [InlineData("""{"t":"true"}""", false)]
    [InlineData("""{"z":false}""", false)]
    [InlineData("""{"missing":null}""", false)]
    [InlineData("""{"list":"x"}""", false)]
    [InlineData("""{"map":"x"}""", false)]
    [InlineData("""{"b":"x"}""", false)]
    public void A_member_is_equal_in_kind_and_value(string wanted, bool matches) => Assert.Equal(
        matches,
        new FeatureFilter(properties: Parse(wanted)).Matches(Here, "", Parse("""{"a":"x","n":1,"t":true,"z":null,"zero":0,"list":["x"],"map":{"b":"x"}}""")));

    [Theory]
    [InlineData("""{"a":1,"list":[]}""", "properties.list", "is a list")]
    [InlineData("""{"a b":{}}""", "properties[\"a b\"]", "is an object")]
    public void A_member_of_another_kind_is_refused(string properties, string place, string words)
    {
        var refusal = Assert.Throws<InvalidValueException>(() => new FeatureFilter(properties: Parse(properties)));

        Assert.Equal(place, refusal.Place);
        Assert.Contains(words, refusal.Message);
    }

    [Fact]
    public void Text_has_at_most_256_characters_of_Unicode()
    {
        var rockets = string.Concat(Enumerable.Repeat("🚀", 256));

        Assert.True(new FeatureFilter(text: rockets).Matches(Here, $"x{rockets}", None));
        Assert.Equal("text has 257 characters; expected at most 256.", Assert.Throws<InvalidValueException>(() => new FeatureFilter(text: rockets + "a")).Message);
    }

    [Theory]
    [InlineData("\u0301", "nothing but accents")]
    [InlineData("a\0", "U+0000")]
    [InlineData("a?", "unpaired surrogate")]
    public void Text_that_no_name_can_have_is_refused(string text, string words)
    {
        // An attribute cannot have half of a surrogate pair.
        text = text.Replace('?', '\ud800');
        var refusal = Assert.Throws<InvalidValueException>(() => new FeatureFilter(text: text));

        Assert.Equal("text", refusal.Place);
        Assert.Contains(words, refusal.Message);
    }

    [Fact]
    public void Other_queries_have_other_fingerprints_and_equal_ones_the_same()
    {
        Coordinate[] ring = [new(0, 0), new(0, 9), new(9, 9), new(0, 0)];
        Coordinate[] hole = [new(1, 2), new(1, 3), new(2, 3), new(1, 2)];
        Func<FeatureFilter>[] filters =
        [
            static () => new(),
            static () => new(text: "a"),
            static () => new(text: "b"),
            static () => new(properties: Parse("""{"a":1}""")),
            static () => new(properties: Parse("""{"a":"1"}""")),
            static () => new(new Box(new(1, 2), new(3, 4))),
            static () => new(new Box(new(1, 2), new(3, 5))),
            static () => new(new Circle(new(1, 2), 3)),
            static () => new(new Circle(new(1, 2), 4)),
            static () => new(new Circle(new(1, 3), 4)),
            () => new(new Polygon([ring])),
            () => new(new Polygon([ring, hole])),
            () => new(new Polygon([ring, hole]), "a"),
        ];
        var fingerprints = from filter in filters from view in (int[])[0, 1] select filter().Fingerprint(view);

        Assert.Equal(2 * filters.Length, fingerprints.Distinct().Count());
        Assert.Equal(fingerprints, from filter in filters from view in (int[])[0, 1] select filter().Fingerprint(view));
    }

    [Fact]
    public void A_fingerprint_is_the_same_in_every_release()
    {
        // A token of one replica goes to another, also while they are updated.
        var filter = new FeatureFilter(new Circle(new(407_838_351, -746_143_763), 1_500), "Łódź", Parse("""{"kind":"port"}"""));

        Assert.Equal(0x20DB_50F9u, filter.Fingerprint(2));
        Assert.Equal(filter.Fingerprint(2), new FeatureFilter(filter.Area, "LODZ", filter.Properties).Fingerprint(2));
    }

    private static Properties Parse(string json) => Properties.Parse(Encoding.UTF8.GetBytes(json));
}
