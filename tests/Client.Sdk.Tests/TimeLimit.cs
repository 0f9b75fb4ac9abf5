using System.Runtime.CompilerServices;

namespace RouteService.Client.Tests;

/// <summary>A test that ends by failure where it would hang.</summary>
internal static class TimeLimit
{
    public const int Milliseconds = 180_000;
}

/// <summary>In the place of xunit's own, for all asynchronous tests of this project; it refuses time limits of others.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class FactAttribute : Xunit.FactAttribute
{
    public FactAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1)
        : base(file, line) => Timeout = TimeLimit.Milliseconds;
}

/// <inheritdoc cref="FactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TheoryAttribute : Xunit.TheoryAttribute
{
    public TheoryAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1)
        : base(file, line) => Timeout = TimeLimit.Milliseconds;
}
