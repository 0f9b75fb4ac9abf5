namespace RouteService.Domain.Features;

/// <summary>The store cannot answer now; the same call may succeed later. The message is fit for the caller.</summary>
public sealed class StoreUnavailableException : Exception
{
    public StoreUnavailableException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
