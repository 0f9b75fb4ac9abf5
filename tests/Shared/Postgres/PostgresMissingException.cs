namespace RouteService.Testing;

/// <summary>No PostgreSQL with PostGIS is available for tests. The message says in one line what is missing and what to do.</summary>
public sealed class PostgresMissingException(string message) : Exception(message);
