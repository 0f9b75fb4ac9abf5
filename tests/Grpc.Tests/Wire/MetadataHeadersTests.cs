using FsCheck;
using FsCheck.Fluent;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Tests.Wire;

public sealed class MetadataHeadersTests
{
    [Theory]
    [InlineData(":path")]
    [InlineData("grpc-status")]
    [InlineData("grpc-timeout")]
    [InlineData("Grpc-Encoding")]
    [InlineData("grpc-anything")]
    [InlineData("Content-Type")]
    [InlineData("te")]
    [InlineData("host")]
    public void The_protocols_own_headers_are_no_metadata(string name) => Assert.True(MetadataHeaders.IsReserved(name));

    [Theory]
    [InlineData("authorization")]
    [InlineData("user-agent")]
    [InlineData("grpc-status-details-bin")]
    [InlineData("grpc-retry-pushback-ms")]
    [InlineData("grpc")]
    public void Other_headers_are(string name) => Assert.False(MetadataHeaders.IsReserved(name));

    [Theory]
    [InlineData("AQI=", "0102")]
    [InlineData("AQI", "0102")]
    [InlineData("", "")]
    [InlineData("AQ==,AgM", "01 0203")]
    [InlineData(" AQ , AgM= ", "01 0203")]
    [InlineData("AQ,,AQ", "01  01")]
    public void Binary_values_may_be_padded_or_not_and_joined(string header, string expected)
    {
        var metadata = new Metadata();

        Assert.True(MetadataHeaders.TryAdd(metadata, "Key-Bin", header));
        Assert.Equal(expected, string.Join(' ', metadata.GetAll("key-bin").Select(static entry => Convert.ToHexString(entry.ValueBytes))));
    }

    [Theory]
    [InlineData("key-bin", "A")]
    [InlineData("key-bin", "AQI=,!!!!")]
    [InlineData("key-bin", "AQ=I")]
    [InlineData("key~", "text")]
    public void What_is_no_metadata_adds_nothing(string name, string value)
    {
        var metadata = new Metadata();

        Assert.False(MetadataHeaders.TryAdd(metadata, name, value));
        Assert.Empty(metadata);
    }

    [Fact]
    public void A_text_value_keeps_its_commas()
    {
        var metadata = new Metadata();

        Assert.True(MetadataHeaders.TryAdd(metadata, "key", "a, b"));
        Assert.Equal("a, b", metadata.GetValue("key"));
    }

    [Fact]
    public void Any_bytes_come_back_alone_and_joined() =>
        Prop.ForAll<byte[][]>(values =>
        {
            var metadata = new Metadata();
            var header = string.Join(',', values.Select(static value => MetadataHeaders.Encode(new Metadata.Entry("key-bin", value))));
            Assert.DoesNotContain('=', header);

            Assert.True(MetadataHeaders.TryAdd(metadata, "key-bin", header));
            Assert.Equal(values.Length == 0 ? [[]] : values, metadata.Select(static entry => entry.ValueBytes));
        }).QuickCheckThrowOnFailure();
}
