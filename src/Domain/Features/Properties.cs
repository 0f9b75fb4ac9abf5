namespace RouteService.Domain.Features;

/// <summary>
/// Properties of a feature: the members of an object of I-JSON (RFC 7493), at most 64 KiB in the canonical form, at most 32 deep. Numbers
/// are doubles. NaN, infinities, U+0000 and unpaired surrogates are refused.
/// </summary>
/// <threadsafety>Immutable.</threadsafety>
public sealed class Properties : IEquatable<Properties>
{
    /// <summary>Limit of <see cref="Json"/>, in bytes of UTF-8.</summary>
    public const int MaxBytes = 64 * 1024;

    /// <summary>Limit of nested objects and lists, the properties themselves included.</summary>
    public const int MaxDepth = 32;

    /// <exception cref="InvalidValueException">The members cannot be stored.</exception>
    public Properties(IReadOnlyDictionary<string, PropertyValue> members)
    {
        Members = members;
        Json = PropertyWriter.Write(new PropertyValue.Map(members));
    }

    public static Properties Empty { get; } = new(new Dictionary<string, PropertyValue>(StringComparer.Ordinal));

    public IReadOnlyDictionary<string, PropertyValue> Members { get; }

    /// <summary>
    /// The canonical form, by the JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16, numbers as short as they read back, no
    /// spaces. -0 is 0. Equal properties have the same text.
    /// </summary>
    public string Json { get; }

    /// <summary>Properties from a caller.</summary>
    /// <param name="utf8Json">An object of JSON in UTF-8.</param>
    /// <exception cref="InvalidValueException">
    /// The text is not an object, cannot be stored, repeats a member, or has a number that a double does not hold: an integer without
    /// fraction and exponent that would change and be written otherwise, or any number that would become infinite or 0. Other numbers are
    /// rounded to the nearest double. What <see cref="Json"/> gives is never refused.
    /// </exception>
    public static Properties Parse(ReadOnlySpan<byte> utf8Json) => new(PropertyReader.Read(utf8Json, isStored: false));

    /// <summary>
    /// Properties read from a store. A store may write numbers in another form: jsonb writes 1e300 with all of its zeros, an integer that a
    /// double does not hold exactly. All numbers are therefore rounded to the nearest double, which is the one that was stored.
    /// </summary>
    /// <exception cref="InvalidValueException">The text is not a form of <see cref="Json"/>.</exception>
    public static Properties FromStore(ReadOnlySpan<byte> utf8Json) => new(PropertyReader.Read(utf8Json, isStored: true));

    /// <summary>
    /// Whether there is a member of each of these names with an equal value of the same kind. Only strings, numbers, booleans and null are
    /// compared; see <see cref="FeatureFilter"/>.
    /// </summary>
    internal bool HaveAll(Properties expected) =>
        expected.Members.All(member => Members.TryGetValue(member.Key, out var value) && value == member.Value);

    public bool Equals(Properties? other) => other is not null && string.Equals(Json, other.Json, StringComparison.Ordinal);

    public override bool Equals(object? obj) => Equals(obj as Properties);

    public override int GetHashCode() => string.GetHashCode(Json, StringComparison.Ordinal);

    public override string ToString() => Json;
}
