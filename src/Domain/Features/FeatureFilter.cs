using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>
/// Decides which features a search finds: those that meet all conditions that are set; every feature if none is. A store finds candidates
/// in its own way.
/// </summary>
/// <threadsafety>Immutable.</threadsafety>
public sealed class FeatureFilter
{
    /// <summary>Limit of a text, in Unicode characters.</summary>
    public const int MaxTextLength = 256;

    /// <param name="area">Area of the features; null for everywhere.</param>
    /// <param name="text">Text that names contain, ignoring case and accents (<see cref="TextFold"/>); empty for any.</param>
    /// <param name="properties">Members that properties have, with equal values; null or empty for any.</param>
    /// <exception cref="InvalidValueException">
    /// The text is too long, cannot be in a name, or is nothing but accents; or a member is a list or an object.
    /// </exception>
    public FeatureFilter(Area? area = null, string text = "", Properties? properties = null)
    {
        var length = text.EnumerateRunes().Count();
        if (length > MaxTextLength)
        {
            throw new InvalidValueException("text", $"text has {length} characters; expected at most {MaxTextLength}.");
        }

        if (StorableText.Fault(text) is { } fault)
        {
            throw new InvalidValueException("text", $"text has {fault}.");
        }

        Area = area;
        FoldedText = TextFold.Fold(text);
        Properties = properties ?? Properties.Empty;
        if (text.Length > 0 && FoldedText.Length == 0)
        {
            throw new InvalidValueException("text", "text has nothing but accents, which are not looked at; expected other characters.");
        }

        foreach (var (name, value) in Properties.Members)
        {
            if (value is PropertyValue.List or PropertyValue.Map)
            {
                var path = new PropertyPath();
                path.Enter("properties");
                path.Enter(name);
                throw path.Invalid(
                    $"is {(value is PropertyValue.List ? "a list" : "an object")}; expected a string, a number, a boolean or null");
            }
        }
    }

    public Area? Area { get; }

    /// <summary>Folded text that names contain; empty for any name.</summary>
    public string FoldedText { get; }

    /// <summary>Members that a feature must have; empty for any. Strings, numbers, booleans and nulls.</summary>
    public Properties Properties { get; }

    /// <summary>Whether it asks for a text or properties, not only for an area.</summary>
    public bool AsksForContent => FoldedText.Length > 0 || Properties.Members.Count > 0;

    /// <param name="location">Location of the feature.</param>
    /// <param name="name">Its name, not folded.</param>
    /// <param name="properties">Its properties.</param>
    public bool Matches(Coordinate location, string name, Properties properties) =>
        Area?.Contains(location) != false
        && (FoldedText.Length == 0 || TextFold.Contains(name, FoldedText))
        && properties.HaveAll(Properties);

    /// <summary>
    /// Checksum of this filter for tokens (<see cref="SearchToken"/>): the same in every replica, and almost surely another one for another
    /// filter.
    /// </summary>
    /// <param name="view">Distinguishes queries with the same filter.</param>
    public uint Fingerprint(int view)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(view);
        writer.Write(FoldedText);
        writer.Write(Properties.Json);
        Area?.WriteTo(writer);
        writer.Flush();
        return Checksum.Crc32C(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }
}
