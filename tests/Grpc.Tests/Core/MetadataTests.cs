using Grpc.Core;

namespace Grpc.Tests.Core;

public sealed class MetadataTests
{
    [Fact]
    public void Keys_are_kept_in_lower_case_and_found_in_any()
    {
        var metadata = new Metadata { { "X-Key", "a" } };

        Assert.Equal("x-key", metadata[0].Key);
        Assert.Equal("a", metadata.GetValue("X-KEY"));
        Assert.Null(metadata.GetValue("other"));
    }

    [Fact]
    public void The_last_value_of_a_key_is_the_value_and_all_are_kept_in_order()
    {
        var metadata = new Metadata { { "key", "a" }, { "other", "x" }, { "key", "b" } };

        Assert.Equal("b", metadata.GetValue("key"));
        Assert.Equal("ab", string.Concat(metadata.GetAll("key").Select(static entry => entry.Value)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a:b")]
    [InlineData("ä")]
    public void A_key_of_other_characters_is_refused(string key) => Assert.Throws<ArgumentException>(() => new Metadata.Entry(key, "value"));

    [Fact]
    public void Bytes_go_under_a_binary_key_and_text_under_any_other()
    {
        Assert.Throws<ArgumentException>(() => new Metadata.Entry("key-bin", "text"));
        Assert.Throws<ArgumentException>(() => new Metadata.Entry("key", [1]));
        Assert.True(new Metadata.Entry("key-bin", [1]).IsBinary);
        Assert.Throws<InvalidOperationException>(() => new Metadata.Entry("key-bin", [1]).Value);
    }

    [Fact]
    public void A_binary_value_is_a_copy_both_ways()
    {
        byte[] bytes = [1, 2];
        var entry = new Metadata.Entry("key-bin", bytes);

        bytes[0] = 9;
        entry.ValueBytes[1] = 9;

        Assert.Equal([1, 2], entry.ValueBytes);
    }

    [Fact]
    public void Empty_metadata_takes_nothing() =>
        Assert.Throws<InvalidOperationException>(() => Metadata.Empty.Add("key", "value"));
}
