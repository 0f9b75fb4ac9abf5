namespace Grpc.Wire;

/// <summary>The content type of requests and responses (PROTOCOL-HTTP2.md, "Content-Type").</summary>
internal static class GrpcContentType
{
    public const string Name = "application/grpc";

    /// <summary>"application/grpc", alone or with a format ("+proto") or parameters (";…"); not "application/grpc-web".</summary>
    public static bool IsGrpc(string? contentType) =>
        contentType is not null
        && contentType.StartsWith(Name, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == Name.Length || contentType[Name.Length] is '+' or ';' or ' ');
}
