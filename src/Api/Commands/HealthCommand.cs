using System.Net;
using RouteService.Api.Errors;

namespace RouteService.Api.Commands;

/// <summary>Asks a service whether it is ready, for engines whose probes can only run a program.</summary>
internal static class HealthCommand
{
    // Shorter than the probes of the engines have by default, so that it is this that says why.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Returns when it is ready.</summary>
    /// <param name="address">Of a management port, such as http://localhost:8081.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NotReadyException">It is not, or nothing answers.</exception>
    public static async Task RunAsync(Uri address, CancellationToken cancellationToken)
    {
        var shown = Redacted.Url(address.ToString());

        // A proxy that the environment names would be asked instead of the service, and its answer taken for the service's.
        using var direct = new SocketsHttpHandler { UseProxy = false };
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

/// <summary>The service that was asked is not ready.</summary>
internal sealed class NotReadyException(string message) : Exception(message);
