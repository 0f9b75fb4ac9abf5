using System.Diagnostics;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using RouteService.Client.Calls;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Listing;

/// <summary>
/// The features of an area. Each enumeration makes a call of ListFeatures, or several if it breaks. Its deadline is the argument
/// <c>timeout</c>, for the whole enumeration, or an earlier <see cref="AmbientDeadline"/>. Without both there is none, and
/// <see cref="SilenceTimer"/> ends a silent stream.
/// </summary>
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

    private TimeSpan TimeLimit { get; } = timeout ?? Timeout.InfiniteTimeSpan;

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

    /// <summary>
    /// Made for a million features a second: a feature that is already here is returned without a state machine.
    /// <see cref="WaitAsync"/> handles the rest.
    /// </summary>
    private sealed class Enumerator : IAsyncEnumerator<Feature>
    {
        private readonly FeatureListing _listing;
        private readonly CallContext _context;
        private readonly CancellationTokenSource? _linked;
        private readonly CallLifetime _lifetime;
        private readonly DeliveredFeatures _delivered;
        private readonly SilenceTimer _silence;

        private CallTrace _trace;
        private Resumption? _resumption;
        private AsyncServerStreamingCall<Feature>? _call;
        private IAsyncStreamReader<Feature>? _stream;
        private long _count;
        private bool _progressed;
        private bool _isOver;

        public Enumerator(FeatureListing listing, CancellationToken enumeration)
        {
            _listing = listing;
            _context = listing.Context;
            if (enumeration.CanBeCanceled && listing.CancellationToken.CanBeCanceled && enumeration != listing.CancellationToken)
            {
                _linked = CancellationTokenSource.CreateLinkedTokenSource(enumeration, listing.CancellationToken);
            }

            var caller = _linked?.Token ?? (enumeration.CanBeCanceled ? enumeration : listing.CancellationToken);
            _lifetime = new CallLifetime(_context.Options.Clock, listing.TimeLimit, caller);
            _delivered = new DeliveredFeatures(_context.Options.MaxResumableFeatures);
            _silence = new SilenceTimer(_context.Options.Clock, _context.Options.StreamSilence, () => _call?.Dispose());
        }

        public Feature Current { get; private set; } = null!;

        public ValueTask<bool> MoveNextAsync()
        {
            while (_stream is not null)
            {
                var next = _stream.MoveNext(CancellationToken.None);
                if (!next.IsCompletedSuccessfully || !next.Result)
                {
                    return WaitAsync(next);
                }

                if (TryDeliver(_stream.Current))
                {
                    return new(true);
                }
            }

            return WaitAsync(null);
        }

        public ValueTask DisposeAsync()
        {
            End();
            return default;
        }

        /// <summary>Opens the stream, waits on it, and opens it again if it breaks, until there is a feature or the end.</summary>
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        private async ValueTask<bool> WaitAsync(Task<bool>? next)
        {
            while (!_isOver)
            {
                RpcException failure;
                try
                {
                    next ??= await OpenAsync().ConfigureAwait(false);
                    _silence.Start();
                    var isThere = await next.ConfigureAwait(false);
                    _silence.Stop();
                    if (!isThere)
                    {
                        End();
                        return false;
                    }

                    _resumption!.Resumed();
                    if (TryDeliver(_stream!.Current))
                    {
                        return true;
                    }

                    next = _stream.MoveNext(CancellationToken.None);
                    continue;
                }
                catch (RpcException e)
                {
                    _silence.Stop();
                    failure = CallFailure.Normalize(e, _lifetime);
                }
                catch (ObjectDisposedException e) when (_silence.HasFired)
                {
                    // The stream was ended before the wait for the next feature began.
                    failure = new RpcException(new Status(StatusCode.Cancelled, e.Message));
                }
                catch (Exception e)
                {
                    throw Fail(_context.End(FullName, e, _resumption!.Attempts, _count, _lifetime));
                }

                await RecoverAsync(failure).ConfigureAwait(false);
                next = null;
            }

            return false;
        }

        private async Task<Task<bool>> OpenAsync()
        {
            if (_resumption is null)
            {
                _trace = CallTrace.Start(FullName, _context);
                _resumption = new Resumption(FullName, _context, _lifetime, _trace.Activity);
            }

            Activity.Current = _trace.Activity ?? Activity.Current;
            var options = await _context.OptionsAsync(_lifetime, _resumption.Attempts++, extra: null, _lifetime.Token)
                .ConfigureAwait(false);
            var area = new Rectangle
            {
                Lo = CallContext.ToPoint(_listing.Area.SouthWest),
                Hi = CallContext.ToPoint(_listing.Area.NorthEast),
            };
            _silence.Reset();
            _call = _listing.Invoker.AsyncServerStreamingCall(ListFeatures, null, options, area);
            _stream = _call.ResponseStream;
            return _stream.MoveNext(CancellationToken.None);
        }

        /// <summary>Waits until the stream may be opened again.</summary>
        /// <exception cref="RouteServiceException">The stream may not be opened again.</exception>
        private async Task RecoverAsync(RpcException failure)
        {
            _call?.Dispose();
            _stream = null;
            var isSilent = _silence.HasFired;
            if (_progressed)
            {
                _resumption!.Progress();
                _progressed = false;
            }

            if (isSilent)
            {
                failure = new RpcException(new Status(
                    StatusCode.Unavailable,
                    FormattableString.Invariant($"The server has been silent for {_context.Options.StreamSilence.TotalSeconds} s.")));
            }

            // Nothing delivered yet, so nothing to deduplicate.
            var canResume = _count == 0 || !_delivered.HasOverflowed;
            try
            {
                var delivered = _count > 0 ? _count : (long?)null;
                if (canResume && await _resumption!.WaitAsync(failure, isSilent, delivered, _lifetime.Token).ConfigureAwait(false))
                {
                    _delivered.Break();
                    return;
                }
            }
            catch (OperationCanceledException)
            {
                // The caller cancelled, which is reported below.
            }

            FailureReason? reason = !canResume && Resumption.IsBreak(failure) ? FailureReason.CannotResume
                : isSilent ? FailureReason.Stalled
                : null;
            throw Fail(_context.End(FullName, failure, _resumption!.Attempts, _count, _lifetime, reason));
        }

        /// <returns>False if the feature was delivered before the stream broke.</returns>
        private bool TryDeliver(Feature feature)
        {
            var place = ((ulong)(uint)feature.Location.LatitudeE7 << 32) | (uint)feature.Location.LongitudeE7;
            if (_delivered.WasDelivered(place))
            {
                return false;
            }

            _delivered.Add(place);
            _count++;
            _progressed = true;
            Current = feature;
            return true;
        }

        private Exception Fail(Exception failure)
        {
            _trace.Fail(failure);
            End();
            return failure;
        }

        private void End()
        {
            if (_isOver)
            {
                return;
            }

            _isOver = true;
            _stream = null;
            _call?.Dispose();
            _silence.Dispose();
            _delivered.Dispose();
            _lifetime.Dispose();
            _linked?.Dispose();
            _trace.Dispose();
        }
    }
}
