using Google.Protobuf.WellKnownTypes;
using RouteService.Domain;
using RouteService.Domain.Features;

namespace RouteService.Api.Features;

/// <summary>google.protobuf.Struct as properties and back.</summary>
internal static class StructMapping
{
    /// <exception cref="InvalidValueException">They cannot be kept; the place is that of the value.</exception>
    public static Properties ToProperties(this Struct? members) =>
        members is null || members.Fields.Count == 0 ? Properties.Empty : new Properties(ToMembers(members));

    public static Struct ToStruct(this Properties properties) => ToStruct(properties.Members);

    private static Dictionary<string, PropertyValue> ToMembers(Struct members) => members.Fields.ToDictionary(
        static member => member.Key, static member => ToValue(member.Value), StringComparer.Ordinal);

    private static PropertyValue ToValue(Value value) => value.KindCase switch
    {
        Value.KindOneofCase.NullValue => new PropertyValue.Null(),
        Value.KindOneofCase.BoolValue => new PropertyValue.Truth(value.BoolValue),
        Value.KindOneofCase.NumberValue => new PropertyValue.Number(value.NumberValue),
        Value.KindOneofCase.StringValue => new PropertyValue.Text(value.StringValue),
        Value.KindOneofCase.ListValue => new PropertyValue.List([.. value.ListValue.Values.Select(ToValue)]),
        Value.KindOneofCase.StructValue => new PropertyValue.Map(ToMembers(value.StructValue)),
        _ => throw new InvalidValueException("", "The properties have a value without a kind; expected one, such as null_value."),
    };

    private static Struct ToStruct(IReadOnlyDictionary<string, PropertyValue> members)
    {
        var made = new Struct();
        foreach (var (name, value) in members)
        {
            made.Fields.Add(name, ToValue(value));
        }

        return made;
    }

    private static Value ToValue(PropertyValue value) => value switch
    {
        PropertyValue.Truth truth => Value.ForBool(truth.Value),
        PropertyValue.Number number => Value.ForNumber(number.Value),
        PropertyValue.Text text => Value.ForString(text.Value),
        PropertyValue.List list => Value.ForList([.. list.Items.Select(ToValue)]),
        PropertyValue.Map map => Value.ForStruct(ToStruct(map.Members)),
        _ => Value.ForNull(),
    };
}
