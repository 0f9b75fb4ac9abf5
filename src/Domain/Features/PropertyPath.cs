using System.Globalization;
using System.Text;

namespace RouteService.Domain.Features;

/// <summary>Path of the value at which a reader or a writer of properties is: <c>a.b[3]["other names"]</c>.</summary>
internal sealed class PropertyPath
{
    private const int MaxQuoted = 100;

    private readonly List<(string? Name, int Index)> _steps = [];

    /// <summary>Number of objects and lists around the value.</summary>
    public int Depth => _steps.Count;

    public void Enter(string name) => _steps.Add((name, 0));

    public void Enter(int index) => _steps.Add((null, index));

    public void Leave() => _steps.RemoveAt(_steps.Count - 1);

    /// <exception cref="InvalidValueException">The object or list that begins here is too deep.</exception>
    public void CheckDepth()
    {
        if (Depth >= Properties.MaxDepth)
        {
            throw Invalid($"is more than {Properties.MaxDepth} objects and lists deep; expected at most that");
        }
    }

    /// <param name="fault">Text after the path: "is NaN; expected a finite number".</param>
    public InvalidValueException Invalid(string fault)
    {
        var place = ToString();
        return new InvalidValueException(place, $"{(place.Length == 0 ? "The object" : place)} {fault}.");
    }

    public override string ToString()
    {
        var path = new StringBuilder();
        foreach (var (name, index) in _steps)
        {
            if (name is null)
            {
                path.Append(CultureInfo.InvariantCulture, $"[{index}]");
            }
            else if (name.Length is > 0 and <= MaxQuoted && name.All(IsPlain))
            {
                path.Append(path.Length == 0 ? "" : ".").Append(name);
            }
            else
            {
                path.Append("[\"").Append(Printable(name)).Append("\"]");
            }
        }

        return path.ToString();
    }

    private static bool IsPlain(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or ':';

    /// <summary>A name as messages show it: shortened, and without control characters.</summary>
    private static string Printable(string name)
    {
        var shown = new StringBuilder();
        foreach (var rune in name.EnumerateRunes().Take(MaxQuoted))
        {
            shown.Append(Rune.IsControl(rune) ? Rune.ReplacementChar.ToString() : rune.ToString());
        }

        return shown.ToString();
    }
}
