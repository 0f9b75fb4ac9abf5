namespace RouteService.Operations.Tests;

/// <summary>What the image is built of, which eng/locks says.</summary>
public sealed class LockTests
{
    // Two restores, which a busy feed makes long.
    [Fact(Timeout = 720_000)]
    public async Task The_locks_are_of_the_packages_that_the_projects_have()
    {
        var folder = Directory.CreateTempSubdirectory("route-service-locks-").FullName;
        try
        {
            (await Command.RunAsync(Repository.File("eng", "lock.sh"), [Path.Combine(folder, "locks")], minutes: 10)).AssertSuccess();
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();

            Assert.True(
                (await FilesAsync(Path.Combine(folder, "locks"))).SequenceEqual(await FilesAsync(Repository.File("eng", "locks"))),
                "eng/locks is not what the projects ask for: run eng/lock.sh, and commit what it changes.");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<IReadOnlyList<(string Name, string Text)>> FilesAsync(string folder)
    {
        var files = new List<(string, string)>();
        foreach (var file in Directory.GetFiles(folder).Order(StringComparer.Ordinal))
        {
            files.Add((Path.GetFileName(file), await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)));
        }

        return files;
    }
}
