using System.Diagnostics.Metrics;
using Grpc.Core;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// What is counted of the calls of a method: plain numbers, read when somebody asks. Instruments that are told of each call would cost it several times more.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class CallCounts
{
    private readonly KeyValuePair<string, object?>[] _tags;
    private readonly Ended[] _ended;
    private long _active;

    public CallCounts(string service, string method)
    {
        // A method that there is not has one name for both.
        DisplayName = string.Equals(service, method, StringComparison.Ordinal) ? method : $"{service}/{method}";
        _tags = [new("rpc.system", "grpc"), new("rpc.service", service), new("rpc.method", method)];
        _ended = [.. Enumerable.Range(0, (int)StatusCode.Unauthenticated + 1).Select(code => new Ended([.. _tags, new("rpc.grpc.status_code", code)]))];
    }

    /// <summary>What a span of such a call is called.</summary>
    public string DisplayName { get; }

    /// <summary>The calls that have begun and not ended.</summary>
    public Measurement<long> Active => new(Volatile.Read(ref _active), _tags);

    /// <summary>Messages received by the calls that have ended, for each status that there was.</summary>
    public IEnumerable<Measurement<long>> Received => Seen.Select(static ended => new Measurement<long>(Volatile.Read(ref ended.Received), ended.Tags));

    /// <summary>Messages sent, likewise.</summary>
    public IEnumerable<Measurement<long>> Sent => Seen.Select(static ended => new Measurement<long>(Volatile.Read(ref ended.Sent), ended.Tags));

    private IEnumerable<Ended> Seen => _ended.Where(static ended => Volatile.Read(ref ended.Calls) > 0);

    public void Begin() => Interlocked.Increment(ref _active);

    /// <returns>The attributes of the call, with its status.</returns>
    public KeyValuePair<string, object?>[] End(StatusCode status, long received, long sent)
    {
        Interlocked.Decrement(ref _active);
        var ended = EndedWith(status);
        Interlocked.Increment(ref ended.Calls);
        Interlocked.Add(ref ended.Received, received);
        Interlocked.Add(ref ended.Sent, sent);
        return ended.Tags;
    }

    /// <summary>The attributes of calls with this status.</summary>
    public KeyValuePair<string, object?>[] TagsOf(StatusCode status) => EndedWith(status).Tags;

    // A number that is no code of gRPC's would be a label without bound.
    private Ended EndedWith(StatusCode status) => _ended[(int)status < _ended.Length ? (int)status : (int)StatusCode.Unknown];

    private sealed class Ended(KeyValuePair<string, object?>[] tags)
    {
        public long Calls;
        public long Received;
        public long Sent;

        public KeyValuePair<string, object?>[] Tags => tags;
    }
}
