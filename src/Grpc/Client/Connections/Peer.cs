using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// One address that calls can go to, and the connections to it that are open. HTTP makes connections and pools them; this can ask it for one, and
/// is told of each.
/// </summary>
/// <param name="address">Scheme, host and port.</param>
/// <param name="host">The authority of calls and the name in the server's certificate; null for the address's own.</param>
internal sealed class Peer(Uri address, string? host)
{
    /// <summary>How long an attempt may take, to the server's first word: the least that connection-backoff.md wants it to have.</summary>
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(20);

    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<string, Uri> _methods = new(StringComparer.Ordinal);
    private readonly HashSet<ObservedStream> _open = [];
    private Attempt? _attempt;

    /// <summary>Told, by no lock held, when the last connection is closed.</summary>
    public Action<Peer>? Lost { get; init; }

    public Uri Address { get; } = address;

    /// <summary>Why the server would not have the last connection, where it has said so.</summary>
    public Exception? Refusal { get; private set; }

    public bool IsOpen
    {
        get
        {
            lock (_lock)
            {
                return _open.Count > 0;
            }
        }
    }

    /// <summary>Where the method is, made once for each.</summary>
    public Uri AddressOf(IMethod method) => _methods.GetOrAdd(method.FullName, static (path, address) => new Uri(address, path), Address);

    /// <summary>Makes a connection unless one is open: null once the server has spoken on it, otherwise why there is none.</summary>
    /// <exception cref="OperationCanceledException">The token has fired.</exception>
    [SuppressMessage("Design", "CA1031", Justification = "An attempt that fails, however, has failed; its owner waits and tries again.")]
    public async Task<Exception?> ConnectAsync(HttpMessageInvoker http, TimeProvider clock, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(ConnectTimeout, clock);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        var attempt = new Attempt(over.Token);
        lock (_lock)
        {
            if (_open.Count > 0)
            {
                return null;
            }

            _attempt = attempt;
        }

        try
        {
            await OpenAsync(http, attempt).ConfigureAwait(false);
            return await attempt.Outcome.Task.WaitAsync(over.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested && late.IsCancellationRequested)
        {
            CloseAll();
            return new IOException($"No answer from {Address.Authority} within {ConnectTimeout.TotalSeconds} seconds.");
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return e;
        }
        finally
        {
            lock (_lock)
            {
                _attempt = null;
            }
        }
    }

    /// <summary>HTTP has made a connection, TLS included, and puts what this returns in its pool.</summary>
    public async ValueTask<Stream> WatchAsync(Stream connection)
    {
        var stream = new ObservedStream(connection, this);
        Attempt? attempt;
        lock (_lock)
        {
            _open.Add(stream);
            attempt = _attempt;
            if (attempt is not null)
            {
                attempt.IsConnected = true;
            }
        }

        if (attempt is not null)
        {
            // Gone before the connection can take it: it is never sent.
            await attempt.Withdraw.CancelAsync().ConfigureAwait(false);
            await attempt.Withdrawn.Task.ConfigureAwait(false);
        }

        return stream;
    }

    /// <summary>The server's first bytes on a connection.</summary>
    public void OnGreeted(ReadOnlySpan<byte> bytes)
    {
        var refusal = ServerPreface.Refusal(bytes);
        lock (_lock)
        {
            Refusal = refusal;
            _attempt?.Outcome.TrySetResult(refusal);
        }
    }

    public void OnClosed(ObservedStream stream)
    {
        lock (_lock)
        {
            _open.Remove(stream);
            if (_open.Count > 0)
            {
                return;
            }

            _attempt?.Outcome.TrySetResult(new IOException($"{Address.Authority} closed the connection before HTTP/2 began on it."));
        }

        Lost?.Invoke(this);
    }

    /// <summary>
    /// Makes HTTP open a connection, by a request that is withdrawn while the connection is made: HTTP completes what it has begun, for the
    /// requests to come.
    /// </summary>
    private async Task OpenAsync(HttpMessageInvoker http, Attempt attempt)
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, Address)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = host;
        try
        {
            using var response = await http.SendAsync(request, attempt.Withdraw.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (attempt.IsConnected)
        {
        }
        finally
        {
            attempt.Withdrawn.TrySetResult();
        }
    }

    private void CloseAll()
    {
        ObservedStream[] open;
        lock (_lock)
        {
            open = [.. _open];
        }

        foreach (var stream in open)
        {
            stream.Dispose();
        }
    }

    private sealed class Attempt(CancellationToken over)
    {
        // Not disposed of: a connection that comes late may still withdraw the request.
        public CancellationTokenSource Withdraw { get; } = CancellationTokenSource.CreateLinkedTokenSource(over);

        public TaskCompletionSource Withdrawn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource<Exception?> Outcome { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public volatile bool IsConnected;
    }
}
