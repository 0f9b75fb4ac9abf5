using Google.Protobuf;
using Grpc.Core;
using RouteService.Client.Calls;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Listing;

/// <summary>The features of an area. Each enumeration makes a call of ListFeatures, or several if it breaks.</summary>
internal sealed class FeatureListing(
    CallContext context, CallInvoker invoker, BoundingBox area, TimeSpan? timeout, CancellationToken cancellationToken)
    : IAsyncEnumerable<Feature>
{
    private const string FullName = "routeguide.RouteGuide/ListFeatures";

    // One for all calls: a channel remembers every method that it was called with. A message becomes a feature at once, so nothing but the
    // feature is allocated.
    private static readonly Method<Rectangle, Feature> ListFeatures = new(
        MethodType.ServerStreaming, "routeguide.RouteGuide", "ListFeatures",
        Marshallers.Create<Rectangle>(Serialize, static _ => throw new NotSupportedException("A request is never read here.")),
        Marshallers.Create<Feature>(static (_, _) => throw new NotSupportedException("A response is never written here."), Deserialize));

    // Fields that a newer server adds are unknown here, and must not accumulate in the message.
    private static readonly MessageParser<Proto.Feature> Parser =
        new MessageParser<Proto.Feature>(ClearedMessage).WithDiscardUnknownFields(true);

    // One message is reused; its content is copied before the next is read.
    [ThreadStatic]
    private static Proto.Feature? _message;

    private CallContext Context { get; } = context;

    private CallInvoker Invoker { get; } = invoker;

    private BoundingBox Area { get; } = area;

    private TimeSpan? TimeLimit { get; } = timeout;

    private CancellationToken CancellationToken { get; } = cancellationToken;

    public IAsyncEnumerator<Feature> GetAsyncEnumerator(CancellationToken enumeration = default) => new Enumerator(this, enumeration);

    private static void Serialize(Rectangle area, SerializationContext context)
    {
        context.SetPayloadLength(area.CalculateSize());
        area.WriteTo(context.GetBufferWriter());
        context.Complete();
    }

    private static Feature Deserialize(DeserializationContext context)
    {
        var message = Parser.ParseFrom(context.PayloadAsReadOnlySequence());
        return new Feature(CallContext.ToCoordinate(message.Location), message.Name);
    }

    private static Proto.Feature ClearedMessage()
    {
        _message ??= new Proto.Feature { Location = new Point() };
        _message.Name = "";
        _message.Location.Latitude = 0;
        _message.Location.Longitude = 0;
        return _message;
    }

    private sealed class Enumerator(FeatureListing listing, CancellationToken enumeration)
        : ResumedStream<Feature>(
            FullName, listing.Context, listing.TimeLimit, listing.Context.Options.StreamSilence, listing.CancellationToken, enumeration)
    {
        private readonly DeliveredFeatures _delivered = new(listing.Context.Options.MaxResumableFeatures);

        protected override bool CanResume => !_delivered.HasOverflowed;

        protected override AsyncServerStreamingCall<Feature> Open(CallOptions options)
        {
            var area = new Rectangle
            {
                Lo = CallContext.ToPoint(listing.Area.SouthWest),
                Hi = CallContext.ToPoint(listing.Area.NorthEast),
            };
            return listing.Invoker.AsyncServerStreamingCall(ListFeatures, null, options, area);
        }

        /// <returns>False if the feature was delivered before the stream broke.</returns>
        protected override bool TryTake(Feature message)
        {
            var place = ((ulong)(uint)message.Location.LatitudeE7 << 32) | (uint)message.Location.LongitudeE7;
            if (_delivered.WasDelivered(place))
            {
                return false;
            }

            _delivered.Add(place);
            Progress(1);
            return true;
        }

        protected override void Break() => _delivered.Break();

        protected override void Release() => _delivered.Dispose();
    }
}
