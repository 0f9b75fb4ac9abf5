using System.Net;
using RouteService.Api.Errors;

namespace RouteService.Api.Commands;

/// <summary>Asks a service whether it is ready, for engines whose probes can only run a program.</summary>
internal static class HealthCommand
{
    // Shorter than the default timeouts of container engines' probes, so that our message is the one shown.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Returns if the service is ready.</summary>
    /// <param name="address">Address of a management port, such as http://localhost:8081.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <exception cref="NotReadyException">The service is not ready, or does not answer.</exception>
    public static async Task RunAsync(Uri address, CancellationToken cancellationToken)
    {
        var shown = Redacted.Url(address.ToString());

        // A proxy of the environment, or the page of a login, would answer in place of the service.
        using var direct = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        using var http = new HttpClient(direct) { Timeout = Patience };
        try
        {
            using var response = await http.GetAsync(new Uri(address, "/healthz/ready"), cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw new NotReadyException(response.StatusCode == HttpStatusCode.ServiceUnavailable
                    ? $"The service at {shown} is not ready; its log says why."
                    : $"{shown} has answered with {(int)response.StatusCode}; is it a management port?");
            }

            if (await response.Content.ReadAsStringAsync(cancellationToken) is not "Healthy")
            {
                throw new NotReadyException($"{shown} has answered with something else than its health; is it a management port?");
            }
        }
        catch (HttpRequestException e)
        {
            throw new NotReadyException($"Nothing at {shown} says that it is ready: {e.Message}");
        }
        catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new NotReadyException($"The service at {shown} has not answered within {Patience.TotalSeconds} s.");
        }

        Console.WriteLine("Ready.");
    }
}

/// <summary>The service is not ready.</summary>
internal sealed class NotReadyException(string message) : Exception(message);
