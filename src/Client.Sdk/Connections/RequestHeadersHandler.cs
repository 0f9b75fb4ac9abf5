namespace RouteService.Client.Connections;

/// <summary>Names the client in each request, and the host where the request goes to one of its addresses.</summary>
internal sealed class RequestHeadersHandler(HttpMessageHandler inner, string product, string? authority) : DelegatingHandler(inner)
{
    private const string UserAgent = "User-Agent";

    // The same for all requests, as the runtime's own part is.
    private string? _userAgent;

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        _userAgent ??= request.Headers.NonValidated.TryGetValues(UserAgent, out var runtime) ? $"{product} {runtime}" : product;
        request.Headers.Remove(UserAgent);
        request.Headers.TryAddWithoutValidation(UserAgent, _userAgent);
        if (authority is not null)
        {
            // The server's certificate is checked against this name as well.
            request.Headers.Host = authority;
        }

        return base.SendAsync(request, cancellationToken);
    }
}
