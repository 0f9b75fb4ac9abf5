namespace RouteService.Postgis.Tests;

/// <summary>The built program's commands on a database.</summary>
internal static class Program
{
    public static Task<Command> MigrateAsync(string connectionString) => RunAsync(connectionString, "migrate");

    /// <summary>Imports a file with this text.</summary>
    public static async Task<Command> ImportAsync(string connectionString, string text, params string[] options)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, text);
            return await RunAsync(connectionString, ["import", file, .. options]);
        }
        finally
        {
            File.Delete(file);
        }
    }

    public static Task<Command> RunAsync(string connectionString, params string[] arguments) => RunAsync(connectionString, [], arguments);

    /// <summary>Runs it with this set too.</summary>
    public static Task<Command> RunAsync(string connectionString, (string Name, string Value) setting) => RunAsync(connectionString, [setting], []);

    private static Task<Command> RunAsync(string connectionString, (string Name, string Value)[] settings, string[] arguments)
    {
        var environment = new Dictionary<string, string>(RunningService.Environment) { ["ConnectionStrings__RouteService"] = connectionString };
        foreach (var (name, value) in settings)
        {
            environment.Add(name, value);
        }

        return Command.RunServiceAsync(arguments, environment);
    }
}
