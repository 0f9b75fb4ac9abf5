namespace RouteService.Api.Commands;

/// <summary>What a command says of what it has done.</summary>
internal static class CommandReport
{
    /// <param name="done">What is done whether or not it can be said: "The import is complete".</param>
    /// <param name="write">Writes to the console.</param>
    /// <exception cref="NotReportedException">The console cannot be written to.</exception>
    public static void Write(string done, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NotReportedException($"{done}, but the report cannot be written: {e.GetBaseException().Message.TrimEnd('.')}.", e);
        }
    }
}

/// <summary>A command has done its work, and cannot say so.</summary>
internal sealed class NotReportedException(string message, Exception cause) : Exception(message, cause);
