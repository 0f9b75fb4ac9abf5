using Grpc.Core;

namespace RouteService.Api.Telemetry;

/// <summary>Counts of the calls of one method, and the attributes of its measurements, created once.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class MethodMetrics
{
    private readonly bool _hasOneRequest;
    private readonly bool _hasOneResponse;
    private readonly KeyValuePair<string, object?>[][] _tagsByStatus;
    private long _begun;
    private long _ended;
    private long _received;
    private long _sent;

    public MethodMetrics(string service, string method, string name, MethodType? type)
    {
        Name = name;
        _hasOneRequest = type is MethodType.Unary or MethodType.ServerStreaming;
        _hasOneResponse = type is MethodType.Unary or MethodType.ClientStreaming;
        Tags = [new("rpc.system", "grpc"), new("rpc.service", service), new("rpc.method", method)];
        _tagsByStatus =
        [
            .. Enumerable.Range(0, (int)StatusCode.Unauthenticated + 1)
                .Select(code => (KeyValuePair<string, object?>[])[.. Tags, new("rpc.grpc.status_code", code)]),
        ];
    }

    /// <summary>The name of the method's spans.</summary>
    public string Name { get; }

    /// <summary>The attributes of the method.</summary>
    public KeyValuePair<string, object?>[] Tags { get; }

    public bool IsUsed => Volatile.Read(ref _begun) > 0;

    public long Active
    {
        get
        {
            // In this order, so that the difference is never below zero: a call that ends in between counts as open.
            var ended = Volatile.Read(ref _ended);
            return Volatile.Read(ref _begun) - ended;
        }
    }

    public long Received => Volatile.Read(ref _received);

    public long Sent => Volatile.Read(ref _sent);

    /// <summary>The attributes of the method's calls with this status.</summary>
    public KeyValuePair<string, object?>[] TagsOf(StatusCode status) =>
        _tagsByStatus[(uint)status < _tagsByStatus.Length ? (int)status : (int)StatusCode.Unknown];

    public void Begin() => Interlocked.Increment(ref _begun);

    public void End(StatusCode status)
    {
        Interlocked.Increment(ref _ended);
        if (status is not StatusCode.OK)
        {
            return;
        }

        // OK implies that a single message was there. MessageCounter counts those of streams.
        if (_hasOneRequest)
        {
            CountReceived();
        }

        if (_hasOneResponse)
        {
            CountSent();
        }
    }

    public void CountReceived() => Interlocked.Increment(ref _received);

    public void CountSent() => Interlocked.Increment(ref _sent);
}
