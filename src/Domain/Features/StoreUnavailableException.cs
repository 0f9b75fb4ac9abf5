namespace RouteService.Domain.Features;

/// <summary>The store cannot answer now; the same call may succeed later. The message may be sent to the caller.</summary>
public sealed class StoreUnavailableException : Exception
{
    public StoreUnavailableException(string message, Exception? innerException = null)
        : this(message, StoreFailure.Unreachable, innerException)
    {
    }

    public StoreUnavailableException(string message, StoreFailure failure, Exception? innerException = null)
        : base(message, innerException) => Failure = failure;

    public StoreFailure Failure { get; }

    /// <summary>For one of several whom a failure concerns. Each gets an exception of its own, because throwing one writes to it.</summary>
    public static Exception ForOneOfMany(Exception failure) =>
        failure is StoreUnavailableException store ? new StoreUnavailableException(store.Message, store.Failure, store) : failure;
}

/// <summary>Why a store cannot answer, as far as it changes what the caller does next.</summary>
public enum StoreFailure
{
    /// <summary>The store is down, starting, or not set up.</summary>
    Unreachable,

    /// <summary>The store is at its capacity.</summary>
    Overloaded,

    /// <summary>The store has not answered in time.</summary>
    TooSlow,

    /// <summary>The store refuses a value of the request; the same request fails again.</summary>
    Refused,
}
