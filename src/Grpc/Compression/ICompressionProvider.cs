using System.IO.Compression;

namespace Grpc.Net.Compression;

/// <summary>A message encoding, as named in grpc-encoding.</summary>
internal interface ICompressionProvider
{
    string EncodingName { get; }

    /// <param name="stream">Where the compressed bytes go; left open.</param>
    /// <param name="compressionLevel">Null for the provider's own.</param>
    Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel);

    Stream CreateDecompressionStream(Stream stream);
}

internal sealed class GzipCompressionProvider(CompressionLevel defaultCompressionLevel) : ICompressionProvider
{
    public string EncodingName => "gzip";

    public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel) =>
        new GZipStream(stream, compressionLevel ?? defaultCompressionLevel, leaveOpen: true);

    public Stream CreateDecompressionStream(Stream stream) => new GZipStream(stream, CompressionMode.Decompress);
}
