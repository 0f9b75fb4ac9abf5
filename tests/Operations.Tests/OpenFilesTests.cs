using System.Net;
using System.Net.Sockets;

namespace RouteService.Operations.Tests;

/// <summary>The program under a low limit of open files.</summary>
public sealed class OpenFilesTests : ServiceTest
{
    [Theory]
    [InlineData("10000")]
    [InlineData("0")]
    public async Task More_connections_than_files_are_refused_and_the_program_lives(string setting)
    {
        const int Files = 480, Room = Files - 384 - 32, Clients = 1_500;
        Service.Settings["RouteService__Grpc__Connection__MaxConnections"] = setting;
        await Service.StartAsync("sh", "-c", $"ulimit -n {Files}; exec dotnet '{Repository.Program}'");
        Assert.Single(Service.Output.Split('\n'), line => line.Contains(
            $"RouteService__Grpc__Connection__MaxConnections is {setting}, but the limit of open files (ulimit -n) is {Files}: "
            + $"the gRPC port takes {Room} connections.",
            StringComparison.Ordinal));

        var clients = await OpenAsync(Service.GrpcPort, Clients, Room);
        Assert.Equal(HttpStatusCode.OK, (await Service.HealthAsync("live")).StatusCode);
        clients.ForEach(static client => client.Dispose());
        await HelloAsync(Connect());

        // Probes come over other connections of the management port.
        clients = await OpenAsync(Service.ManagementPort, Clients, left: 32 - 1);
        await HelloAsync(Connect());
        clients.ForEach(static client => client.Dispose());
        await Service.WaitForReadinessAsync(HttpStatusCode.OK);
        Assert.False(Service.HasExited);
    }

    [Fact]
    public async Task A_limit_of_connections_that_the_files_suffice_for_stays()
    {
        Service.Settings["RouteService__Grpc__Connection__MaxConnections"] = "64";
        await Service.StartAsync("sh", "-c", $"ulimit -n 480; exec dotnet '{Repository.Program}'");

        Assert.DoesNotContain("MaxConnections", Service.Output);
    }

    /// <summary>Opens connections, and waits until no more than so many are left.</summary>
    private static async Task<List<Socket>> OpenAsync(int port, int count, int left)
    {
        var sockets = Enumerable.Range(0, count).Select(static _ => new Socket(SocketType.Stream, ProtocolType.Tcp)).ToList();
        var ends = new List<Task>();
        foreach (var socket in sockets)
        {
            await socket.ConnectAsync(IPAddress.Loopback, port).WaitAsync(Patience);
            ends.Add(EndAsync(socket));
        }

        for (var ended = 0; ended < count - left; ended++)
        {
            ends.Remove(await Task.WhenAny(ends).WaitAsync(Patience));
        }

        return sockets;
    }

    private static async Task EndAsync(Socket socket)
    {
        try
        {
            await socket.ReceiveAsync(new byte[1]);
        }
        catch (SocketException)
        {
            // Closed by a reset.
        }
    }
}
