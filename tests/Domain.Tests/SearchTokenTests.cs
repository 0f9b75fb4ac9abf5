using System.Buffers.Text;
using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class SearchTokenTests
{
    private static readonly string Token = SearchToken.Encode(SearchTokenKind.Page, 0x1234_5678, new Coordinate(407_838_351, -746_143_763));

    [Fact]
    public void A_token_reads_back() => Prop.ForAll(
        Geographies.Coordinates, Geographies.Longs, Gen.Elements(SearchTokenKind.Page, SearchTokenKind.Stream).ToArbitrary(), (last, bits, kind) =>
        {
            var query = (uint)bits;
            var token = SearchToken.Encode(kind, query, last);
            return token.Length == 24
                && token.All(static letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_')
                && SearchToken.Decode(kind, query, token) == ZOrder.Encode(last);
        }).Hold();

    [Fact]
    public void A_token_is_the_same_in_every_release() => Assert.Equal("AQEl9vsgQSvU-xI0VnhIAD-R", Token);

    [Fact]
    public void A_token_of_another_query_or_call_is_refused()
    {
        Assert.Contains("another query", Refusal(SearchTokenKind.Page, 0x1234_5679, Token));
        Assert.Contains("another query", Refusal(SearchTokenKind.Stream, 0x1234_5678, Token));
    }

    [Fact]
    public void Any_changed_bit_is_refused()
    {
        var bytes = Base64Url.DecodeFromChars(Token);
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            var changed = bytes.ToArray();
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Contains("not one of this service", Refusal(SearchTokenKind.Page, 0x1234_5678, Base64Url.EncodeToString(changed)));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("features/1,2")]
    [InlineData("////////////////////////")]
    [InlineData("                        ")]
    [InlineData("éééééééééééééééééééééééé")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAA==")]
    public void What_is_no_token_is_refused(string token) => Assert.Contains("not one of this service", Refusal(SearchTokenKind.Page, 0, token));

    [Fact]
    public void Spaces_in_a_token_are_refused() =>
        Assert.All(
            [Token + " ", " " + Token, Token.Insert(4, "\n"), Token[..23] + " ", Token[..20] + "    "],
            static token => Assert.Contains("not one of this service", Refusal(SearchTokenKind.Page, 0x1234_5678, token)));

    [Theory]
    [InlineData(0, 2)] // A version to come.
    [InlineData(2, 0xFF)] // A code that is no place's.
    public void A_token_that_is_whole_and_not_understood_is_of_another_version(int index, byte value)
    {
        var bytes = Base64Url.DecodeFromChars(Token);
        bytes[index] = value;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(14), Checksum.Crc32C(bytes.AsSpan(0, 14)));

        Assert.Contains("another version", Refusal(SearchTokenKind.Page, 0x1234_5678, Base64Url.EncodeToString(bytes)));
    }

    [Fact]
    public void The_checksum_is_the_published_one() => Assert.Equal(0xE306_9283, Checksum.Crc32C("123456789"u8));

    private static string Refusal(SearchTokenKind kind, uint query, string token) =>
        Assert.Throws<InvalidValueException>(() => SearchToken.Decode(kind, query, token)).Message;
}
