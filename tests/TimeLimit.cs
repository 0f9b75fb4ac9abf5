using System.Runtime.CompilerServices;
using Xunit.Sdk;
using Xunit.v3;

namespace RouteService;

/// <summary>
/// The time limit of every asynchronous test without its own: the test fails instead of hanging. xunit cannot end a synchronous test.
/// </summary>
internal static class TimeLimit
{
    private const int Milliseconds = 300_000;

    // A long run on demand multiplies the limit.
    private static readonly int Factor =
        int.TryParse(Environment.GetEnvironmentVariable("ROUTESERVICE_TEST_FUZZ"), out var factor) ? Math.Clamp(factor, 1, 1_000) : 1;

    public static IFactAttribute Of(IXunitTestMethod test, IFactAttribute fact)
    {
        if (fact is Xunit.FactAttribute { Timeout: 0 } unlimited && typeof(void) != test.Method.ReturnType)
        {
            unlimited.Timeout = Factor * Milliseconds;
        }

        return fact;
    }
}

/// <summary>Replaces xunit's attribute in all test projects.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer(typeof(LimitedFacts))]
internal sealed class FactAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1) : Xunit.FactAttribute(file, line);

/// <inheritdoc cref="FactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer(typeof(LimitedTheories))]
internal sealed class TheoryAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1) : Xunit.TheoryAttribute(file, line);

internal sealed class LimitedFacts : FactDiscoverer
{
    public override ValueTask<IReadOnlyCollection<IXunitTestCase>> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions, IXunitTestMethod testMethod, IFactAttribute factAttribute) =>
        base.Discover(discoveryOptions, testMethod, TimeLimit.Of(testMethod, factAttribute));
}

internal sealed class LimitedTheories : TheoryDiscoverer
{
    public override ValueTask<IReadOnlyCollection<IXunitTestCase>> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions, IXunitTestMethod testMethod, IFactAttribute factAttribute) =>
        base.Discover(discoveryOptions, testMethod, TimeLimit.Of(testMethod, factAttribute));
}
