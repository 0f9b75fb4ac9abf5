using FsCheck;
using FsCheck.Fluent;
using Grpc.Wire;

namespace Grpc.Tests.Wire;

public sealed class GrpcTimeoutTests
{
    [Theory]
    [InlineData("1H", 36_000_000_000)]
    [InlineData("2M", 1_200_000_000)]
    [InlineData("3S", 30_000_000)]
    [InlineData("4m", 40_000)]
    [InlineData("5u", 50)]
    [InlineData("600n", 6)]
    [InlineData("1n", 1)]
    [InlineData("0S", 0)]
    [InlineData("00000001S", 10_000_000)]
    [InlineData("99999999H", 3_599_999_964_000_000_000)]
    public void A_timeout_is_a_number_and_a_unit(string text, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(text, out var timeout));
        Assert.Equal(ticks, timeout.Ticks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("1")]
    [InlineData("1s")]
    [InlineData("-1S")]
    [InlineData("+1S")]
    [InlineData(" 1S")]
    [InlineData("1 S")]
    [InlineData("1.5S")]
    [InlineData("123456789S")]
    [InlineData("１S")]
    public void Anything_else_is_none(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Theory]
    [InlineData(0, "1n")]
    [InlineData(-5, "1n")]
    [InlineData(1, "100n")]
    [InlineData(999_999, "99999900n")]
    [InlineData(1_000_000, "100000u")]
    [InlineData(1_000_000_001, "100001m")]
    [InlineData(36_000_000_000_000_000, "60000000M")]
    [InlineData(3_600_000_000_000_000_000, "99999999H")]
    public void The_finest_unit_that_holds_it_is_written(long ticks, string text) => Assert.Equal(text, GrpcTimeout.Format(TimeSpan.FromTicks(ticks)));

    [Fact]
    public void A_timeout_comes_back_no_shorter_and_longer_by_less_than_a_unit() =>
        Prop.ForAll(Timeouts(), ticks =>
        {
            var text = GrpcTimeout.Format(TimeSpan.FromTicks(ticks));
            Assert.InRange(text.Length, 2, 9);
            Assert.True(GrpcTimeout.TryParse(text, out var parsed));
            Assert.InRange(parsed.Ticks, ticks, ticks + TicksOf(text[^1]) - 1);
        }).QuickCheckThrowOnFailure();

    // Of every magnitude up to what eight digits of hours can hold.
    private static Arbitrary<long> Timeouts() =>
        (from bits in Gen.Choose(0, 61)
         from low in ArbMap.Default.GeneratorFor<long>()
         select 1 + (low & ((1L << bits) - 1))).ToArbitrary();

    private static long TicksOf(char unit) => unit switch
    {
        'H' => TimeSpan.TicksPerHour,
        'M' => TimeSpan.TicksPerMinute,
        'S' => TimeSpan.TicksPerSecond,
        'm' => TimeSpan.TicksPerMillisecond,
        'u' => TimeSpan.TicksPerMicrosecond,
        _ => 1,
    };
}
