using System.Text;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Import;

/// <summary>A record of a file: a feature, or the fault of the record.</summary>
internal readonly record struct FeatureRecord(FeatureContent? Feature, InvalidRecordException? Fault)
{
    // A longer message of properties has an over-long path in it; only its end is kept, which names the fault.
    private const int MaxFault = 400;

    // A name comes to clients in a message, and they take 4 MiB at most unless told otherwise.
    private const int MaxNameBytes = 1024 * 1024;

    public static Coordinate Location(double latitude, double longitude, string unit)
    {
        return !Coordinate.TryFromDegrees(latitude, 0, out _) ? throw OutOfRange("latitude", latitude, 90)
            : !Coordinate.TryFromDegrees(latitude, longitude, out var location) ? throw OutOfRange("longitude", longitude, 180)
            : location;

        InvalidRecordException OutOfRange(string subject, double value, int limit) => new(
            subject, FormattableString.Invariant($"{subject} is {value}; expected a number from -{limit} to {limit} ({unit})"));
    }

    /// <summary>The same name.</summary>
    /// <exception cref="InvalidRecordException">The name cannot be stored, or is too long for clients.</exception>
    public static string Name(string text) => StorableText.Fault(text) is { } fault
            ? throw new InvalidRecordException("name", $"name has {fault}")
        : Encoding.UTF8.GetByteCount(text) is var bytes and > MaxNameBytes
            ? throw new InvalidRecordException("name", $"name has {bytes} bytes of UTF-8; expected at most {MaxNameBytes}")
        : text;

    /// <summary>The properties that are made.</summary>
    /// <exception cref="InvalidRecordException">They cannot be kept.</exception>
    public static Properties Kept(Func<Properties> make)
    {
        try
        {
            return make();
        }
        catch (InvalidValueException e)
        {
            var fault = e.Message.TrimEnd('.');
            throw new InvalidRecordException(
                "properties", $"properties: {(fault.Length <= MaxFault ? fault : $"…{fault[^(MaxFault / 2)..]}")}");
        }
    }

    /// <summary>Text of the file as messages show it: on one line, and shortened.</summary>
    public static string Shown(string text)
    {
        const int Most = 80;
        var shown = text.Length <= Most ? text : $"{text[..(char.IsHighSurrogate(text[Most - 1]) ? Most - 1 : Most)]}…";
        return string.Concat(shown.Select(static c => char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c));
    }
}

/// <summary>A record is invalid; the records after it can be read.</summary>
/// <param name="subject">The invalid part, such as "name": one of a few words.</param>
/// <param name="reason">The fault, and what is expected.</param>
internal sealed class InvalidRecordException(string subject, string reason) : Exception(reason)
{
    public string Subject => subject;
}
