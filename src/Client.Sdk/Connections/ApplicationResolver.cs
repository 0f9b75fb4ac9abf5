using System.Net;
using System.Net.Sockets;
using Grpc.Net.Client.Balancer;

namespace RouteService.Client.Connections;

/// <summary>Resolves <c>dns</c> addresses by <see cref="RouteServiceClientOptions.Resolve"/>.</summary>
internal sealed class ApplicationResolverFactory(
    Func<string, CancellationToken, Task<IPAddress[]>> resolve, Uri server, TimeProvider clock) : ResolverFactory
{
    public override string Name => "dns";

    public override Resolver Create(ResolverOptions options) => new ApplicationResolver(options, resolve, server, clock);

    /// <summary>Asks the application when a connection is lost, and from time to time.</summary>
    private sealed class ApplicationResolver : PollingResolver
    {
        private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

        // An address that refuses connections asks with every attempt.
        private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(5);

        private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;
        private readonly Uri _server;
        private readonly TimeProvider _clock;
        private readonly ITimer _timer;
        private long _resolved;

        public ApplicationResolver(
            ResolverOptions options, Func<string, CancellationToken, Task<IPAddress[]>> resolve, Uri server, TimeProvider clock)
            : base(options.LoggerFactory)
        {
            _resolve = resolve;
            _server = server;
            _clock = clock;
            _timer = clock.CreateTimer(
                static resolver => ((ApplicationResolver)resolver!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        /// <summary>An exception is the status of calls until there are addresses. Known addresses stay.</summary>
        protected override async Task ResolveAsync(CancellationToken cancellationToken)
        {
            if (_resolved != 0 && _clock.GetElapsedTime(_resolved) is var age && age < MinInterval)
            {
                await Task.Delay(MinInterval - age, _clock, cancellationToken).ConfigureAwait(false);
            }

            var next = RetryInterval;
            try
            {
                // Calls wait for the first answer beyond their deadlines: the channel gives them no way out.
                var addresses = await _resolve(_server.IdnHost, cancellationToken)
                    .WaitAsync(ServiceChannel.ConnectTimeout, _clock, cancellationToken).ConfigureAwait(false);
                if (addresses.Length == 0)
                {
                    throw new SocketException((int)SocketError.HostNotFound);
                }

                _resolved = _clock.GetTimestamp();
                next = ServiceChannel.ResolveInterval;
                Listener(ResolverResult.ForResult([.. addresses.Select(address => new BalancerAddress(address.ToString(), _server.Port))]));
            }
            finally
            {
                _timer.Change(next, Timeout.InfiniteTimeSpan);
            }
        }

        protected override void Dispose(bool disposing)
        {
            _timer.Dispose();
            base.Dispose(disposing);
        }

        private void OnTimer()
        {
            try
            {
                Refresh();
            }
            catch (ObjectDisposedException)
            {
                // The timer has fired while the channel was disposed of.
            }
        }
    }
}
