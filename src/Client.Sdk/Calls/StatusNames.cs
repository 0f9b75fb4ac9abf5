using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>Names of gRPC's status codes in the specification ("Status codes and their use in gRPC").</summary>
internal static class StatusNames
{
    private static readonly string[] Names =
    [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    ];

    public static string Of(StatusCode code) => Names[(int)code];

    /// <summary>The code of a name that <see cref="Of"/> returned.</summary>
    public static StatusCode Parse(string name) => (StatusCode)Array.IndexOf(Names, name);
}
