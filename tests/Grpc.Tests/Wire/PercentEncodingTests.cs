using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Grpc.Wire;

namespace Grpc.Tests.Wire;

public sealed class PercentEncodingTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("plain, with ~ and \"quotes\"", "plain, with ~ and \"quotes\"")]
    [InlineData("100%", "100%25")]
    [InlineData("line\r\nbreak\t", "line%0D%0Abreak%09")]
    [InlineData("☕", "%E2%98%95")]
    [InlineData("𝄞", "%F0%9D%84%9E")]
    public void What_a_header_cannot_hold_is_escaped_as_UTF8(string text, string encoded)
    {
        Assert.Equal(encoded, PercentEncoding.Encode(text));
        Assert.Equal(text, PercentEncoding.Decode(encoded));
    }

    [Theory]
    [InlineData("100%", "100%")]
    [InlineData("%", "%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz", "%zz")]
    [InlineData("%2", "%2")]
    [InlineData("%41%", "A%")]
    [InlineData("%e2%98%95", "☕")]
    [InlineData("%ff", "\ufffd")]
    [InlineData("%E2%98", "\ufffd")]
    [InlineData("☕", "☕")]
    [InlineData("𝄞%41", "𝄞A")]
    public void Nothing_fails_to_decode(string encoded, string text) => Assert.Equal(text, PercentEncoding.Decode(encoded));

    [Fact]
    public void Any_text_comes_back() =>
        Prop.ForAll(Texts(), text =>
        {
            var encoded = PercentEncoding.Encode(text);
            Assert.All(encoded, c => Assert.InRange(c, ' ', '~'));
            Assert.Equal(text, PercentEncoding.Decode(encoded));
        }).QuickCheckThrowOnFailure();

    private static Arbitrary<string> Texts() =>
        (from runes in Gen.OneOf(Gen.Choose(0, 0x7F), Gen.Choose(0x80, 0xD7FF), Gen.Choose(0xE000, 0x10FFFF)).ArrayOf()
         select string.Concat(runes.Select(static rune => new Rune(rune).ToString()))).ToArbitrary();
}
