namespace RouteService.Infrastructure.Import;

/// <summary>A file of features cannot be read. The message gives the file, the record if known, and the reason, on one line.</summary>
public sealed class FeatureFileException(string message, Exception? innerException = null) : Exception(message, innerException);
