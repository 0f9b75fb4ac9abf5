using System.Runtime.CompilerServices;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>Notifications, each a hint that a log has grown.</summary>
public sealed partial class PostgisDatabase
{
    /// <summary>
    /// Yields an item at the beginning, whenever a commit notifies a channel, and after a time without that. Notifications get lost
    /// with a connection, and always behind a PgBouncer that pools transactions.
    /// </summary>
    /// <exception cref="StoreUnavailableException">There is no connection, or the one that was just opened is lost.</exception>
    internal async IAsyncEnumerable<bool> ListenAsync(
        string channel, TimeSpan patience, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var primary = PrimaryChanges;
            var opened = TimeProvider.System.GetTimestamp();
            await using var connection = await OpenListenerAsync(channel, cancellationToken);
            do
            {
                yield return true;
            }
            while (await WaitAsync(connection, opened, patience, cancellationToken) && primary == PrimaryChanges);
        }
    }

    /// <summary>Waits for a notification, and no longer than the patience.</summary>
    /// <returns>Whether the connection is still usable; if not, another one is opened at once.</returns>
    private static async Task<bool> WaitAsync(
        NpgsqlConnection connection, long opened, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            await connection.WaitAsync(patience, cancellationToken);
            return true;
        }
        catch (NpgsqlException e) when (
            PostgisErrors.RemedyOf(e) is Remedy.Reconnect && TimeProvider.System.GetElapsedTime(opened) > patience)
        {
            // An administrator, or idle_session_timeout, has ended it. A connection that is lost as soon as it is opened is a fault.
            return false;
        }
        catch (Exception e) when (e is NpgsqlException or InvalidOperationException)
        {
            // The second, where Npgsql's keepalive has found it broken between two waits.
            throw PostgisErrors.Unavailable(e);
        }
    }

    private async Task<NpgsqlConnection> OpenListenerAsync(string channel, CancellationToken cancellationToken)
    {
        var connection = await OpenUnpooledAsync(cancellationToken);
        try
        {
            await using var command = new NpgsqlCommand($"LISTEN {channel}", connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
            return connection;
        }
        catch (NpgsqlException e)
        {
            await connection.DisposeAsync();
            throw PostgisErrors.Unavailable(e);
        }
    }
}
