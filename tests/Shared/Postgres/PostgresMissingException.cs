namespace RouteService.Testing;

/// <summary>There is no PostgreSQL with PostGIS to test against. The message says in one line what is missing and what to do.</summary>
public sealed class PostgresMissingException(string message) : Exception(message);
