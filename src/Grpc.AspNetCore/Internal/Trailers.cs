using System.Globalization;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The end of a response (PROTOCOL-HTTP2.md, "Trailers"): status, message, and the call's own metadata.</summary>
internal static class Trailers
{
    private static readonly StringValues[] StatusTexts =
        [.. Enumerable.Range(0, 17).Select(code => new StringValues(code.ToString(CultureInfo.InvariantCulture)))];

    /// <param name="destination">The trailers or, where nothing else was sent, the headers.</param>
    /// <param name="status">How the call ended.</param>
    public static void Write(IHeaderDictionary destination, Status status)
    {
        var code = (int)status.StatusCode;
        destination["grpc-status"] = code < StatusTexts.Length ? StatusTexts[code] : code.ToString(CultureInfo.InvariantCulture);
        if (!string.IsNullOrEmpty(status.Detail))
        {
            destination["grpc-message"] = PercentEncoding.Encode(status.Detail);
        }
    }

    /// <summary>Adds metadata; what the protocol itself sends is left out.</summary>
    public static void Write(IHeaderDictionary destination, Metadata metadata)
    {
        foreach (var entry in metadata)
        {
            if (!MetadataHeaders.IsReserved(entry.Key))
            {
                destination.Append(entry.Key, MetadataHeaders.Encode(entry));
            }
        }
    }
}
