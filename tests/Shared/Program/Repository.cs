namespace RouteService.Testing;

/// <summary>Paths of the repository.</summary>
public static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The build configuration of the tests, and of the programs that they start.</summary>
    public static string Configuration { get; } = AppContext.BaseDirectory.Contains($"{Path.DirectorySeparatorChar}Release{Path.DirectorySeparatorChar}")
        ? "Release"
        : "Debug";

    public static string Program { get; } = File("src", "Api", "bin", Configuration, "net10.0", "RouteService.Api.dll");

    public static string File(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!System.IO.File.Exists(Path.Combine(folder, "RouteService.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests are not run from within the repository.");
        }

        return folder;
    }
}
