using System.Globalization;
using System.Text;

namespace RouteService.Domain.Features;

/// <summary>Writes values by the JSON Canonicalization Scheme (RFC 8785); refuses what <see cref="Properties"/> cannot keep.</summary>
internal sealed class PropertyWriter
{
    private readonly StringBuilder _json = new();
    private readonly PropertyPath _path = new();

    /// <exception cref="InvalidValueException">A value cannot be stored, or the values are too large or too deep.</exception>
    public static string Write(PropertyValue.Map members)
    {
        var writer = new PropertyWriter();
        writer.Append(members);
        var json = writer._json.ToString();
        var bytes = Encoding.UTF8.GetByteCount(json);
        return bytes <= Properties.MaxBytes
            ? json
            : throw writer._path.Invalid($"has {bytes} bytes as JSON; expected at most {Properties.MaxBytes}");
    }

    /// <summary>A number as the properties have it.</summary>
    public static string Write(double number)
    {
        var writer = new PropertyWriter();
        writer.AppendNumber(number);
        return writer._json.ToString();
    }

    private void Append(PropertyValue value)
    {
        switch (value)
        {
            case PropertyValue.Truth(var truth):
                _json.Append(truth ? "true" : "false");
                break;
            case PropertyValue.Number(var number):
                if (!double.IsFinite(number))
                {
                    throw _path.Invalid($"is {number.ToString(CultureInfo.InvariantCulture)}; expected a finite number");
                }

                AppendNumber(number);
                break;
            case PropertyValue.Text(var text):
                AppendText(text);
                break;
            case PropertyValue.List(var items):
                _path.CheckDepth();
                _json.Append('[');
                for (var i = 0; i < items.Count; i++)
                {
                    _json.Append(i == 0 ? "" : ",");
                    _path.Enter(i);
                    Append(items[i]);
                    _path.Leave();
                }

                _json.Append(']');
                break;
            case PropertyValue.Map(var members):
                _path.CheckDepth();
                Append(members);
                break;
            default:
                _json.Append("null");
                break;
        }
    }

    private void Append(IReadOnlyDictionary<string, PropertyValue> members)
    {
        var separator = '{';
        foreach (var (name, value) in members.OrderBy(static member => member.Key, StringComparer.Ordinal))
        {
            _json.Append(separator);
            separator = ',';
            _path.Enter(name);
            AppendText(name);
            _json.Append(':');
            Append(value);
            _path.Leave();
        }

        _json.Append(separator == '{' ? "{}" : "}");
    }

    private void AppendText(string text)
    {
        if (StorableText.Fault(text) is { } fault)
        {
            throw _path.Invalid($"has {fault}");
        }

        _json.Append('"');
        foreach (var letter in text)
        {
            switch (letter)
            {
                case '"' or '\\':
                    _json.Append('\\').Append(letter);
                    break;
                case '\b':
                    _json.Append("\\b");
                    break;
                case '\t':
                    _json.Append("\\t");
                    break;
                case '\n':
                    _json.Append("\\n");
                    break;
                case '\f':
                    _json.Append("\\f");
                    break;
                case '\r':
                    _json.Append("\\r");
                    break;
                case < ' ':
                    _json.Append(CultureInfo.InvariantCulture, $"\\u{(int)letter:x4}");
                    break;
                default:
                    _json.Append(letter);
                    break;
            }
        }

        _json.Append('"');
    }

    /// <summary>Writes a number as ECMAScript does (Number::toString): without an exponent from 1e-6 to below 1e21.</summary>
    private void AppendNumber(double number)
    {
        if (number == 0)
        {
            _json.Append('0');
            return;
        }

        // The shortest digits that read back come from .NET, as 123.45 or 1.2345E+20.
        var shortest = Math.Abs(number).ToString("R", CultureInfo.InvariantCulture);
        var (mantissa, exponent) = shortest.IndexOf('E', StringComparison.Ordinal) is >= 0 and var e
            ? (shortest[..e], int.Parse(shortest.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture))
            : (shortest, 0);
        var point = mantissa.IndexOf('.', StringComparison.Ordinal) is >= 0 and var p ? p : mantissa.Length;
        var all = mantissa.Replace(".", "", StringComparison.Ordinal);
        var digits = all.TrimStart('0');

        // The value is 0.DIGITS times ten to this power.
        var power = point + exponent - (all.Length - digits.Length);
        digits = digits.TrimEnd('0');

        _json.Append(number < 0 ? "-" : "");
        if (power is > 21 or <= -6)
        {
            _json.Append(digits[0]).Append(digits.Length > 1 ? "." : "").Append(digits, 1, digits.Length - 1)
                .Append(CultureInfo.InvariantCulture, $"e{(power > 0 ? "+" : "")}{power - 1}");
        }
        else if (power <= 0)
        {
            _json.Append("0.").Append('0', -power).Append(digits);
        }
        else if (power >= digits.Length)
        {
            _json.Append(digits).Append('0', power - digits.Length);
        }
        else
        {
            _json.Append(digits, 0, power).Append('.').Append(digits, power, digits.Length - power);
        }
    }
}
