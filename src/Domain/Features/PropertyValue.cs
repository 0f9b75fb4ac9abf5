namespace RouteService.Domain.Features;

/// <summary>A value of JSON. Any value can be made; <see cref="Properties"/> refuses what cannot be kept.</summary>
public abstract record PropertyValue
{
    private PropertyValue()
    {
    }

    public sealed record Null : PropertyValue;

    public sealed record Truth(bool Value) : PropertyValue;

    public sealed record Number(double Value) : PropertyValue;

    public sealed record Text(string Value) : PropertyValue;

    /// <remarks>Equal only to itself: lists are compared by <see cref="Properties.Json"/>.</remarks>
    public sealed record List(IReadOnlyList<PropertyValue> Items) : PropertyValue;

    /// <remarks>Equal only to itself: maps are compared by <see cref="Properties.Json"/>.</remarks>
    public sealed record Map(IReadOnlyDictionary<string, PropertyValue> Members) : PropertyValue;
}
