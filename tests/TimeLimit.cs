using System.Runtime.CompilerServices;
using Xunit.Sdk;
using Xunit.v3;

namespace RouteService;

/// <summary>
/// The time limit of every asynchronous test without its own: the test fails instead of hanging. xunit cannot end a synchronous test.
/// </summary>
internal static class TimeLimit
{
    // Five minutes; a long run on demand has its own time in addition.
    private static readonly int Milliseconds =
        (300_000 * Number("ROUTESERVICE_TEST_FUZZ", least: 1)) + (1_000 * Number("ROUTESERVICE_TEST_CHAT_SECONDS", least: 0));

    public static IFactAttribute Of(IXunitTestMethod test, IFactAttribute fact)
    {
        if (fact is Xunit.FactAttribute { Timeout: 0 } unlimited && typeof(void) != test.Method.ReturnType)
        {
            unlimited.Timeout = Milliseconds;
        }

        return fact;
    }

    private static int Number(string variable, int least) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) ? Math.Clamp(number, least, 5_000) : least;
}

/// <summary>In the place of xunit's own, for all test projects.</summary>
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
