using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing.Matching;

namespace RouteService.Api.Hosting;

/// <summary>
/// Requires the exact path of a method (gRPC over HTTP/2, "Path"). Routing also accepts another case, a trailing slash, escapes, dot
/// segments and a query; such calls go to the stock endpoint of unknown methods, which answers UNIMPLEMENTED.
/// </summary>
internal sealed class ExactMethodPath : MatcherPolicy, IEndpointSelectorPolicy
{
    public override int Order => 0;

    public bool AppliesToEndpoints(IReadOnlyList<Endpoint> endpoints) => endpoints.Any(static endpoint => MethodOf(endpoint) is not null);

    public Task ApplyAsync(HttpContext httpContext, CandidateSet candidates)
    {
        var target = httpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        for (var i = 0; i < candidates.Count; i++)
        {
            if (MethodOf(candidates[i].Endpoint) is { } method && !string.Equals(method, target, StringComparison.Ordinal))
            {
                candidates.SetValidity(i, false);
            }
        }

        return Task.CompletedTask;
    }

    private static string? MethodOf(Endpoint? endpoint) => endpoint?.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method.FullName;
}
