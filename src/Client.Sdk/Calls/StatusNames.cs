using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>gRPC's codes by the names that the specification gives them (gRPC "Status codes and their use in gRPC").</summary>
internal static class StatusNames
{
    private static readonly string[] Names =
    [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ];

    public static string Of(StatusCode code) => Names[(int)code];

    /// <summary>The code of a name that <see cref="Of"/> has given.</summary>
    public static StatusCode Parse(string name) => (StatusCode)Array.IndexOf(Names, name);
}
