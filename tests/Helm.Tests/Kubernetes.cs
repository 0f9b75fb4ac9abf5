using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>The Kubernetes API, as its types have it.</summary>
internal static class Kubernetes
{
    /// <summary>Whether objects are as the API has them, and else what is not.</summary>
    /// <param name="objects">Of each, its name in a report and itself.</param>
    public static async Task<(bool IsValid, string Problems)> ValidateAsync(JsonArray objects)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, objects.ToJsonString());
            var validation = await Command.RunAsync("node", [Repository.File("tests", "Helm.Tests", "node", "validate.mjs"), file]);
            return (validation.ExitCode == 0, validation.Output + validation.Error);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
