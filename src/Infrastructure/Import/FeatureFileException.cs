namespace RouteService.Infrastructure.Import;

/// <summary>A file of features cannot be read. The message is one line: file, record and line if known, reason.</summary>
public sealed class FeatureFileException(string message, Exception? innerException = null) : Exception(message, innerException);
