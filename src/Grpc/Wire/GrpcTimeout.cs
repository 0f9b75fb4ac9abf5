using System.Globalization;

namespace Grpc.Wire;

/// <summary>The grpc-timeout header (PROTOCOL-HTTP2.md, "Timeout"): at most eight digits and a unit, H M S m u n.</summary>
internal static class GrpcTimeout
{
    private const long MaxValue = 99_999_999;

    /// <summary>False where the text is not of this form; a time beyond what a timer can hold is taken as the longest it can.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > 9
            || !uint.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var value))
        {
            return false;
        }

        long ticksPerUnit;
        switch (text[^1])
        {
            case 'H': ticksPerUnit = TimeSpan.TicksPerHour; break;
            case 'M': ticksPerUnit = TimeSpan.TicksPerMinute; break;
            case 'S': ticksPerUnit = TimeSpan.TicksPerSecond; break;
            case 'm': ticksPerUnit = TimeSpan.TicksPerMillisecond; break;
            case 'u': ticksPerUnit = TimeSpan.TicksPerMicrosecond; break;
            case 'n':
                // A tick is 100 ns; rounded up, so that a positive timeout stays one.
                timeout = TimeSpan.FromTicks((value + 99) / 100);
                return true;
            default: return false;
        }

        // At most 10^8 hours, which is 3.6 * 10^18 ticks: within a long.
        timeout = TimeSpan.FromTicks(value * ticksPerUnit);
        return true;
    }

    /// <summary>In the finest unit that holds it in eight digits, rounded up; "1n" where no time is left.</summary>
    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return "1n";
        }

        var ticks = timeout.Ticks;
        return ticks <= MaxValue / 100 ? Text(ticks * 100, 'n')
            : TryUnit(ticks, TimeSpan.TicksPerMicrosecond, 'u')
            ?? TryUnit(ticks, TimeSpan.TicksPerMillisecond, 'm')
            ?? TryUnit(ticks, TimeSpan.TicksPerSecond, 'S')
            ?? TryUnit(ticks, TimeSpan.TicksPerMinute, 'M')
            ?? TryUnit(ticks, TimeSpan.TicksPerHour, 'H')
            ?? Text(MaxValue, 'H');

        static string? TryUnit(long ticks, long ticksPerUnit, char unit)
        {
            var value = (ticks / ticksPerUnit) + (ticks % ticksPerUnit == 0 ? 0 : 1);
            return value <= MaxValue ? Text(value, unit) : null;
        }

        static string Text(long value, char unit) => string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
    }
}
