using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Grpc.Core;
using Grpc.Net.Compression;
using Grpc.Wire;

namespace Grpc.Net.Client.Internal;

/// <summary>What the call is answered: PROTOCOL-HTTP2.md, "Responses".</summary>
internal sealed partial class ClientCall<TRequest, TResponse>
{
    public static readonly Status NoMessage = new(StatusCode.Internal, "The response has status OK and no message; this method answers with exactly one.");
    public static readonly Status SecondMessage = new(StatusCode.Internal, "The response has more than one message; this method answers with exactly one.");

    private HttpResponseMessage? _response;
    private HttpHeaders? _trailers;
    private ResponseBuffer _buffer = null!;
    private MessageReader _reader = null!;
    private TaskCompletionSource? _opening;
    private volatile bool _opened;
    private int _moving;

    public TResponse Current { get; private set; } = null!;

    /// <summary>The response headers; fails where the call ends before any came.</summary>
    public Task<Metadata> ResponseHeadersAsync
    {
        get
        {
            var headers = ReadHeadersAsync();
            if (!headers.IsCompletedSuccessfully)
            {
                // An interceptor may ask for the headers of a call of which only the status is looked at.
                Observe(headers);
            }

            return headers;
        }
    }

    /// <summary>Waits for the next message; false at the end of a call with status OK. A token that fires cancels the call.</summary>
    /// <exception cref="RpcException">The call has ended otherwise.</exception>
    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _moving, 1) != 0)
        {
            throw new InvalidOperationException("Can't read the next message because the previous read is still in progress.");
        }

        var registration = default(CancellationTokenRegistration);
        try
        {
            if (_opened && !HasEnded && !cancellationToken.IsCancellationRequested && TryTake(out var message))
            {
                Current = message;
                return true;
            }

            registration = CancelWith(cancellationToken);
            await OpenedAsync().ConfigureAwait(false);
            while (!HasEnded)
            {
                if (TryTake(out message))
                {
                    Current = message;
                    return true;
                }

                if (!await _buffer.FillAsync(Aborted).ConfigureAwait(false))
                {
                    EndByTrailers();
                }
            }
        }
        catch (Exception e)
        {
            End(ResponseStatus.Of(e));
        }
        finally
        {
            registration.Unregister();
            Volatile.Write(ref _moving, 0);
        }

        Current = null!;
        return IsOk ? false : throw Failure();
    }

    /// <summary>The one message of the response, read to its end; null where there is none.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<TResponse?> ReadSingleAsync()
    {
        TResponse? single = null;
        while (true)
        {
            if (TryTake(out var message))
            {
                single = single is null ? message : throw new RpcException(SecondMessage);
            }
            else if (!await _buffer.FillAsync(Aborted).ConfigureAwait(false))
            {
                return single;
            }
        }
    }

    /// <summary>Takes the response over once its headers are there; false where they are the end of the call.</summary>
    private bool TryOpen(HttpResponseMessage response)
    {
        lock (_abort)
        {
            if (!HasEnded)
            {
                _response = response;
            }
        }

        if (_response is null)
        {
            // Ended while the headers were on their way; the server is told.
            response.Dispose();
            return false;
        }

        // A status among the headers is the whole response ("Trailers-Only"), and has precedence over what HTTP says.
        if (ResponseStatus.Read(response.Headers) is { } status)
        {
            _trailers = response.Headers;
            End(status);
            return false;
        }

        if (ResponseStatus.Refuse(response) is { } refusal)
        {
            End(refusal);
            return false;
        }

        var maxLength = _channel.Options.MaxReceiveMessageSize;
        _reader = new MessageReader(maxLength);
        _buffer = new ResponseBuffer(response.Content.ReadAsStream(), maxLength);
        SetOpened();
        return true;
    }

    private void EndByTrailers(TResponse? response = null)
    {
        _trailers = _response!.TrailingHeaders;
        End(ResponseStatus.Read(_trailers) ?? ResponseStatus.Missing, response);
    }

    private bool TryTake(out TResponse message)
    {
        if (!_buffer.TryRead(out var compressed, out var payload))
        {
            message = null!;
            return false;
        }

        message = _reader.Read(payload, compressed, compressed ? ResponseEncoding() : null, Method.ResponseMarshaller.ContextualDeserializer);
        return true;
    }

    private ICompressionProvider? ResponseEncoding()
    {
        if (!_response!.Headers.NonValidated.TryGetValues("grpc-encoding", out var values) || values.ToString() is not { } name || name is "identity")
        {
            return null;
        }

        // compression.md: what a server sends in an encoding that was not offered to it is its fault.
        return _channel.Encoding(name)
            ?? throw new RpcException(new Status(
                StatusCode.Internal, $"The encoding '{name}' of a response is not known here; these are: {_channel.AcceptEncoding}."));
    }

    /// <summary>Completes when the response headers are there, or the call has ended without.</summary>
    private Task OpenedAsync()
    {
        lock (_abort)
        {
            return _opened ? Task.CompletedTask : (_opening ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    private void SetOpened()
    {
        TaskCompletionSource? opening;
        lock (_abort)
        {
            _opened = true;
            opening = _opening;
        }

        opening?.TrySetResult();
    }

    private async Task<Metadata> ReadHeadersAsync()
    {
        await OpenedAsync().ConfigureAwait(false);
        return _response is null ? throw Failure() : ReadMetadata(_response.Headers);
    }

    private static Metadata ReadMetadata(HttpHeaders headers)
    {
        var metadata = new Metadata();
        foreach (var header in headers.NonValidated)
        {
            if (!MetadataHeaders.IsReserved(header.Key))
            {
                foreach (var value in header.Value)
                {
                    // One that is no metadata is left out: it must not cost a call its status.
                    MetadataHeaders.TryAdd(metadata, header.Key, value);
                }
            }
        }

        return metadata;
    }
}
