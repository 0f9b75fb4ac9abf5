using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>
/// grpc.health.v1: Check and List run the health checks that stand behind a name; Watch follows what the periodic checks find. From the moment
/// the host begins to stop, everything is NOT_SERVING, and watches end.
/// </summary>
internal sealed class HealthService(
    HealthCheckService checks, HealthChanges changes, IOptions<GrpcHealthChecksOptions> options, IHostApplicationLifetime lifetime)
    : Health.V1.Health.HealthBase
{
    // health.proto: the most that a server is asked to list.
    private const int MaxListed = 100;

    private readonly ServiceMappingCollection _services = options.Value.Services;

    public override async Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        if (!_services.TryGetValue(request.Service, out var service))
        {
            throw new RpcException(new Status(StatusCode.NotFound, $"There is no service '{request.Service}' here."));
        }

        return await CheckAsync(service, context.CancellationToken);
    }

    public override async Task<HealthListResponse> List(HealthListRequest request, ServerCallContext context)
    {
        if (_services.Count > MaxListed)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"There are {_services.Count} services; at most {MaxListed} are listed."));
        }

        var response = new HealthListResponse();
        foreach (var service in _services)
        {
            response.Statuses.Add(service.Name, await CheckAsync(service, context.CancellationToken));
        }

        return response;
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        HealthCheckResponse? last = null;
        while (true)
        {
            // Asked for before the check, so that a change during it is not missed.
            var changed = changes.Next;
            var now = _services.TryGetValue(request.Service, out var service)
                ? await CheckAsync(service, context.CancellationToken)
                : new HealthCheckResponse { Status = ServingStatus.ServiceUnknown };
            if (!now.Equals(last))
            {
                await responseStream.WriteAsync(now, context.CancellationToken);
                last = now;
            }

            if (lifetime.ApplicationStopping.IsCancellationRequested)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, "The server is shutting down."));
            }

            await changed.WaitAsync(ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            context.CancellationToken.ThrowIfCancellationRequested();
        }
    }

    private async Task<HealthCheckResponse> CheckAsync(ServiceMapping service, CancellationToken cancellationToken)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            return new HealthCheckResponse { Status = ServingStatus.NotServing };
        }

        var report = await checks.CheckHealthAsync(
            check => service.HealthCheckPredicate(new HealthCheckMapContext(check.Name, check.Tags)), cancellationToken);
        return new HealthCheckResponse
        {
            Status = report.Status == HealthStatus.Unhealthy ? ServingStatus.NotServing : ServingStatus.Serving,
        };
    }
}

/// <summary>The word that the periodic checks found something else than before, or services have come.</summary>
internal sealed class HealthChanges
{
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes at the next change.</summary>
    public Task Next => Volatile.Read(ref _next).Task;

    public void Announce() => Interlocked.Exchange(ref _next, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
}

/// <summary>Takes the reports of the periodic checks.</summary>
internal sealed class HealthPublisher(HealthChanges changes, IOptions<GrpcHealthChecksOptions> options) : IHealthCheckPublisher
{
    private string? _last;

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        var now = string.Join('\n', report.Entries
            .OrderBy(entry => entry.Key, StringComparer.Ordinal)
            .Select(entry => $"{entry.Key}={entry.Value.Status}")
            .Concat(options.Value.Services.Select(service => service.Name)));
        if (!string.Equals(now, _last, StringComparison.Ordinal))
        {
            _last = now;
            changes.Announce();
        }

        return Task.CompletedTask;
    }
}
