namespace RouteService.Domain.Features;

/// <summary>The rule for names that callers write. Names of imported files may be longer.</summary>
public static class DisplayName
{
    /// <summary>The most characters, as Unicode counts them.</summary>
    public const int MaxLength = 1024;

    /// <exception cref="InvalidValueException">The name is too long, or has what not every store keeps.</exception>
    public static void Check(string name)
    {
        if (StorableText.Fault(name) is { } fault)
        {
            throw new InvalidValueException("", $"display_name has {fault}.");
        }

        var length = name.EnumerateRunes().Count();
        if (length > MaxLength)
        {
            throw new InvalidValueException("", $"display_name has {length} characters; expected at most {MaxLength}.");
        }
    }
}
