using System.IO.Pipelines;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace RouteService.Api.Hosting;

internal static class MessageTimeout
{
    /// <summary>
    /// Ends a call whose request message begins and does not come to its end. Between messages a stream may be silent for hours.
    /// </summary>
    public static void UseMessageTimeout(this IApplicationBuilder app)
    {
        var clock = app.ApplicationServices.GetRequiredService<TimeProvider>();
        app.Use(next => context =>
        {
            if (context.GetEndpoint()?.Metadata.GetMetadata<GrpcMethodMetadata>() is not null)
            {
                context.Features.Set<IRequestBodyPipeFeature>(new TimedBody(context.Request.BodyReader, clock));
            }

            return next(context);
        });
    }
}

/// <summary>
/// A request's body for the stock server, which examines more than it consumes exactly when it holds the beginning of a message: a read
/// that has to wait then waits for the rest of one. Other reads pass through.
/// </summary>
internal sealed class TimedBody(PipeReader inner, TimeProvider clock) : PipeReader, IRequestBodyPipeFeature
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);
    private const int BytesPerSecond = 16 * 1024;

    private bool _isPartial;
    private long _begun;
    private long _received;

    public PipeReader Reader => this;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        var read = inner.ReadAsync(cancellationToken);
        return read.IsCompleted || !_isPartial ? read : ReadRestAsync(read);
    }

    private async ValueTask<ReadResult> ReadRestAsync(ValueTask<ReadResult> read)
    {
        var left = Grace + TimeSpan.FromSeconds((double)_received / BytesPerSecond) - clock.GetElapsedTime(_begun);
        try
        {
            var result = await read.AsTask().WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, clock);
            _received = result.Buffer.Length;
            return result;
        }
        catch (TimeoutException)
        {
            // Nobody waits for the read any more; it is not to fail unobserved when the call's body goes.
            inner.CancelPendingRead();
            throw new RpcException(new Status(
                StatusCode.DeadlineExceeded,
                $"The rest of a request message has not come within {Grace.TotalSeconds} s, and one more for each {BytesPerSecond / 1024} KiB "
                + "of it that has."));
        }
    }

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        inner.AdvanceTo(consumed, examined);
        var isPartial = !consumed.Equals(examined);
        if (isPartial && !_isPartial)
        {
            _begun = clock.GetTimestamp();
            _received = 0;
        }

        _isPartial = isPartial;
    }

    public override void AdvanceTo(SequencePosition consumed)
    {
        inner.AdvanceTo(consumed);
        _isPartial = false;
    }

    public override bool TryRead(out ReadResult result) => inner.TryRead(out result);

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);
}
