using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Features;

namespace RouteService.Domain.Tests;

public sealed class PropertiesTests
{
    [Theory]
    [InlineData("{}", "{}")]
    [InlineData(" { \"b\" : 1 , \"a\" : [ true , false , null , { } , [ ] ] } ", """{"a":[true,false,null,{},[]],"b":1}""")]
    [InlineData("""{"é":1,"z":2,"€":3,"Z":4,"":5}""", """{"":5,"Z":4,"z":2,"é":1,"€":3}""")]
    [InlineData("""{"\ud83d\ude00":1,"\ufb33":2}""", "{\"😀\":1,\"\ufb33\":2}")] // UTF-16 puts the surrogates before U+FB33.
    [InlineData("""{"a":"\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\/\b\t\f\r\u2028"}""", "{\"a\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\\b\\t\\f\\r\u2028\"}")]
    public void The_canonical_form_is_that_of_RFC_8785(string json, string canonical) => Assert.Equal(canonical, Parse(json).Json);

    [Theory]
    [InlineData("0", "0")]
    [InlineData("-0", "0")]
    [InlineData("-0.0e5", "0")]
    [InlineData("1.0", "1")]
    [InlineData("100", "100")]
    [InlineData("-12.50", "-12.5")]
    [InlineData("9007199254740992", "9007199254740992")]
    [InlineData("1152921504606846976", "1152921504606847000")]
    [InlineData("333333333.33333329", "333333333.3333333")]
    [InlineData("1E30", "1e+30")]
    [InlineData("1e21", "1e+21")]
    [InlineData("1e20", "100000000000000000000")]
    [InlineData("123456789e12", "123456789000000000000")]
    [InlineData("1.5e300", "1.5e+300")]
    [InlineData("2e-3", "0.002")]
    [InlineData("0.000001", "0.000001")]
    [InlineData("0.0000001", "1e-7")]
    [InlineData("1.25e-7", "1.25e-7")]
    [InlineData("0.000000000000000000000000001", "1e-27")]
    [InlineData("4.9e-324", "5e-324")]
    [InlineData("1.7976931348623157e308", "1.7976931348623157e+308")]
    [InlineData("0.1234567890123456789", "0.12345678901234568")]
    public void A_number_is_as_short_as_it_reads_back(string number, string canonical) =>
        Assert.Equal($$"""{"a":{{canonical}}}""", Parse($$"""{"a":{{number}}}""").Json);

    [Fact]
    public void Any_double_reads_back() => Prop.ForAll(Geographies.Longs, bits =>
    {
        var number = BitConverter.Int64BitsToDouble(bits);
        if (!double.IsFinite(number))
        {
            return true;
        }

        var json = Of("a", new PropertyValue.Number(number)).Json;
        using var document = JsonDocument.Parse(json);
        return document.RootElement.GetProperty("a").GetDouble().Equals(number)
            && Properties.FromStore(Encoding.UTF8.GetBytes(json)).Members["a"] == new PropertyValue.Number(number);
    }).Hold();

    [Fact]
    public void Any_properties_read_back_whatever_the_order_and_the_spaces() => Prop.ForAll(Maps(), Gen.Choose(0, 1_000_000).ToArbitrary(), (map, seed) =>
    {
        var properties = new Properties(map.Members);
        using var document = JsonDocument.Parse(properties.Json);
        var spaced = JsonSerializer.SerializeToUtf8Bytes(document.RootElement, Indented);
        var shuffled = map.Members.ToArray();
        new Random(seed).Shuffle(shuffled);

        return properties.Equals(Parse(properties.Json))
            && properties.Equals(Properties.FromStore(spaced))
            && properties.Equals(new Properties(shuffled.ToDictionary()))
            && properties.GetHashCode() == new Properties(shuffled.ToDictionary()).GetHashCode();
    }).Hold();

    [Theory]
    [InlineData("[]", "", "is a list; expected an object of JSON")]
    [InlineData("null", "", "is null; expected an object of JSON")]
    [InlineData("1", "", "is a number")]
    [InlineData("true", "", "is a boolean")]
    [InlineData("\"a\"", "", "is a string")]
    [InlineData("", "", "is not JSON at line 1, byte 1")]
    [InlineData("{\n\"a\":}", "a", "is not JSON at line 2, byte 5")]
    [InlineData("""{"a":1,}""", "", "is not JSON")]
    [InlineData("""{"a":1}{}""", "", "is not JSON")]
    [InlineData("""{"a":/**/1}""", "a", "is not JSON")]
    [InlineData("""{"a":NaN}""", "a", "is not JSON")]
    [InlineData("""{"a":{"b":[0,{"c d":9007199254740993}]}}""", "a.b[1][\"c d\"]", "is an integer that a double does not hold")]
    [InlineData("""{"a":-9007199254740993}""", "a", "is an integer that a double does not hold")]
    [InlineData("""{"a":123456789012345678901234567890}""", "a", "is an integer that a double does not hold")]
    [InlineData("""{"a":1e309}""", "a", "is a number beyond")]
    [InlineData("""{"a":-1e400}""", "a", "is a number beyond")]
    [InlineData("""{"a":1e-400}""", "a", "is a number so small")]
    [InlineData("""{"a":"x\u0000"}""", "a", "has the character U+0000")]
    [InlineData("""{"x\u0000":"a"}""", "[\"x\ufffd\"]", "has the character U+0000")]
    [InlineData("""{"a":["\ud800"]}""", "a[0]", "unpaired surrogate")]
    [InlineData("""{"b":{"\udc00x":1}}""", "b", "unpaired surrogate")]
    [InlineData("""{"a":{"b":1,"c":2,"b":1}}""", "a.b", "comes twice")]
    [InlineData("""{"a":1,"\u0061":2}""", "a", "comes twice")]
    public void What_cannot_be_kept_is_refused_with_its_place(string json, string place, string words)
    {
        var refusal = Assert.Throws<InvalidValueException>(() => Parse(json));

        Assert.Equal(place, refusal.Place);
        Assert.Contains(words, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_not_UTF_8_are_refused() =>
        Assert.Equal("a", Assert.Throws<InvalidValueException>(() => Properties.Parse([(byte)'{', .. "\"a\":\""u8, 0xC3, 0x28, .. "\"}"u8])).Place);

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void A_number_that_JSON_does_not_have_is_refused(double number)
    {
        var list = new PropertyValue.List([new PropertyValue.Null(), new PropertyValue.Number(number)]);

        Assert.Equal("a[1]", Assert.Throws<InvalidValueException>(() => Of("a", list)).Place);
    }

    [Fact]
    public void Text_with_half_of_a_surrogate_pair_is_refused()
    {
        Assert.Equal("a", Assert.Throws<InvalidValueException>(() => Of("a", new PropertyValue.Text("x\ud800"))).Place);
        Assert.Equal("[\"\ufffd\"]", Assert.Throws<InvalidValueException>(() => Of("\udc00", new PropertyValue.Null())).Place);
    }

    [Theory]
    [InlineData('[', ']')]
    [InlineData('{', '}')]
    public void Depth_32_is_kept_and_33_is_refused(char open, char close)
    {
        string Nested(int depth) => string.Concat(Enumerable.Repeat(open == '[' ? "[" : """{"a":""", depth - 1).Prepend("""{"a":"""))
            + "1" + new string(close, depth - 1) + "}";

        Assert.Equal(Nested(32), Parse(Nested(32)).Json);
        Assert.Contains("more than 32 objects and lists deep", Assert.Throws<InvalidValueException>(() => Parse(Nested(33))).Message);
        Assert.Contains("more than 32 objects and lists deep", Assert.Throws<InvalidValueException>(() => Parse(Nested(10_000))).Message);
    }

    [Fact]
    public void A_deep_value_that_was_never_text_is_refused_too()
    {
        PropertyValue value = new PropertyValue.Null();
        for (var i = 0; i < 100_000; i++)
        {
            value = new PropertyValue.List([value]);
        }

        Assert.Contains("more than 32 objects and lists deep", Assert.Throws<InvalidValueException>(() => Of("a", value)).Message);
    }

    [Fact]
    public void The_limit_counts_bytes_of_the_canonical_form()
    {
        var text = new string('é', (Properties.MaxBytes - 8) / 2);

        Assert.Equal(Properties.MaxBytes, Encoding.UTF8.GetByteCount(Parse($$"""{ "a" :      "{{text}}" }""").Json));
        var refusal = Assert.Throws<InvalidValueException>(() => Parse($$"""{"a":"{{text}}x"}"""));
        Assert.Equal("", refusal.Place);
        Assert.Contains("65537 bytes", refusal.Message);
    }

    [Fact]
    public void A_store_may_write_numbers_with_all_their_digits()
    {
        var properties = Of("a", new PropertyValue.Number(1.5e300));

        Assert.Equal(properties, Properties.FromStore(Encoding.UTF8.GetBytes($$"""{"a": 15{{new string('0', 299)}}}""")));
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static Properties Parse(string json) => Properties.Parse(Encoding.UTF8.GetBytes(json));

    private static Properties Of(string name, PropertyValue value) => new(new Dictionary<string, PropertyValue> { [name] = value });

    [Theory]
    [InlineData(123456789012345680000d, "123456789012345680000")]
    [InlineData(-9007199254740996d, "-9007199254740996")]
    public void An_integer_as_it_is_written_is_read_although_a_double_has_other_digits(double number, string written)
    {
        var properties = new Properties(new Dictionary<string, PropertyValue> { ["a"] = new PropertyValue.Number(number) });

        Assert.Equal($$"""{"a":{{written}}}""", properties.Json);
        Assert.Equal(properties, Properties.Parse(Encoding.UTF8.GetBytes(properties.Json)));
        Assert.Throws<InvalidValueException>(() => Properties.Parse(Encoding.UTF8.GetBytes(properties.Json.Replace("0}", "1}").Replace("6}", "7}"))));
    }

    private static Arbitrary<PropertyValue.Map> Maps()
    {
        var text = Gen.Elements("", "a", "A", "é", "e\u0301", "日本", "😀", "\"", "\\", "\u2028", "\n", "\u001f", "\u007f", "a b", "0");
        return Map(3).ToArbitrary();

        Gen<PropertyValue.Map> Map(int depth) =>
            from count in Gen.Choose(0, 5)
            from names in Gen.ArrayOf(text, count)
            from values in Gen.ArrayOf(Value(depth), count)
            select new PropertyValue.Map(names.Zip(values).DistinctBy(static one => one.First).ToDictionary(static one => one.First, static one => one.Second));

        Gen<PropertyValue> Value(int depth)
        {
            var scalar = Gen.OneOf(
                Gen.Constant<PropertyValue>(new PropertyValue.Null()),
                from truth in Gen.Elements(true, false) select (PropertyValue)new PropertyValue.Truth(truth),
                from one in text select (PropertyValue)new PropertyValue.Text(one),
                from number in Gen.Elements(0, -0.0, 1, -1, 0.1, 1e21, 1e-7, 1e300, 9007199254740992, 123456.789) select (PropertyValue)new PropertyValue.Number(number));
            return depth == 0 ? scalar : Gen.OneOf(
                scalar,
                from items in Gen.ArrayOf(Value(depth - 1), 3) select (PropertyValue)new PropertyValue.List(items),
                from map in Map(depth - 1) select (PropertyValue)map);
        }
    }
}
