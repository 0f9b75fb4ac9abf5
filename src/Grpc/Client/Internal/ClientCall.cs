using System.Diagnostics.CodeAnalysis;
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// One call of any kind, from its first header to its status: <see cref="RunAsync"/> is the whole of it, but for a streamed response, which
/// its reader carries on. What it asks is in ClientCall.Request.cs, what it is answered in ClientCall.Response.cs, and how it ends, whoever
/// ends it, in ClientCall.End.cs.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "The token source has no timer, and a request under way may still look at its token.")]
internal sealed partial class ClientCall<TRequest, TResponse> : IAsyncStreamReader<TResponse>, IDisposable
    where TRequest : class
    where TResponse : class
{
    private readonly GrpcChannel _channel;
    private readonly string? _host;
    private readonly CallOptions _options;
    private readonly TaskCompletionSource<TResponse>? _single;

    // Also the lock of the call's state, as nobody else ever has it.
    private readonly CancellationTokenSource _abort = new();

    public ClientCall(GrpcChannel channel, Method<TRequest, TResponse> method, string? host, in CallOptions options)
    {
        _channel = channel;
        _host = host;
        _options = options;
        _deadline = DeadlineOf(options);
        Method = method;
        _single = method.Type is MethodType.Unary or MethodType.ClientStreaming ? new TaskCompletionSource<TResponse>() : null;
        Requests = method.Type is MethodType.ClientStreaming or MethodType.DuplexStreaming
            ? new RequestStream<TRequest, TResponse>(this, channel.Options.MaxSendMessageSize)
            : null;
    }

    public Method<TRequest, TResponse> Method { get; }

    /// <summary>For each request message that has none of its own.</summary>
    public WriteOptions WriteOptions => _options.WriteOptions ?? WriteOptions.Default;

    /// <summary>Fires when the call has ended.</summary>
    public CancellationToken Aborted => _abort.Token;

    /// <summary>The response of a call that has one.</summary>
    public Task<TResponse> ResponseAsync => _single!.Task;

    /// <summary>The requests of a call that streams them; null for a call that has one.</summary>
    public RequestStream<TRequest, TResponse>? Requests { get; }

    /// <param name="request">The request of a call that has one; null for a call that streams them.</param>
    public async Task RunAsync(TRequest? request)
    {
        try
        {
            StartDeadline();
            WatchForCancellation();
            if (HasEnded)
            {
                return;
            }

            var http = CreateRequest(request);
            if (HasCredentials)
            {
                await AddCredentialsAsync(http).ConfigureAwait(false);
            }

            if (!TryOpen(await SendAsync(http).ConfigureAwait(false)))
            {
                return;
            }

            if (_single is not null)
            {
                EndByTrailers(await ReadSingleAsync().ConfigureAwait(false));
            }
        }
        catch (Exception e)
        {
            End(ResponseStatus.Of(e));
        }
    }
}
