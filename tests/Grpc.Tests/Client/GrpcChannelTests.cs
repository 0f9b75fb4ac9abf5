using Grpc.Core;
using Grpc.Net.Client;

namespace Grpc.Tests.Client;

public sealed class GrpcChannelTests
{
    [Theory]
    [InlineData("http://localhost:50051", "localhost:50051")]
    [InlineData("https://place.example/", "place.example")]
    public void A_channel_is_to_a_host_and_port(string address, string target)
    {
        using var channel = GrpcChannel.ForAddress(address);

        Assert.Equal(target, channel.Target);
    }

    [Theory]
    [InlineData("localhost:50051")]
    [InlineData("localhost")]
    [InlineData("ftp://localhost")]
    [InlineData("http://localhost:50051/api")]
    [InlineData("http://localhost:50051/?a=b")]
    public void Another_address_is_refused_and_named(string address)
    {
        var failure = Assert.Throws<ArgumentException>(() => GrpcChannel.ForAddress(address));

        Assert.Contains($"'{address}'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Credentials_that_contradict_the_address_are_refused()
    {
        Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { Credentials = ChannelCredentials.SecureSsl }));
        Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress("https://localhost", new GrpcChannelOptions { Credentials = ChannelCredentials.Insecure }));
    }

    [Fact]
    public void Call_credentials_of_a_channel_need_TLS()
    {
        var token = CallCredentials.FromInterceptor((_, _) => Task.CompletedTask);

        Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress(
                "http://localhost", new GrpcChannelOptions { Credentials = ChannelCredentials.Create(ChannelCredentials.Insecure, token) }));
    }

    [Fact]
    public void One_transport_is_enough()
    {
        using var client = new HttpClient();
        using var handler = new SocketsHttpHandler();

        Assert.Throws<ArgumentException>(
            () => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpClient = client, HttpHandler = handler }));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_clients_own_transport_carries_the_calls_and_is_disposed_of_where_that_is_asked_for(bool dispose)
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Answers.Message("hi"));
            http.Response.End();
        });
        using var client = new HttpClient();
        var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpClient = client, DisposeHttpClient = dispose });

        Assert.Equal("hi", await channel.Unary());
        channel.Dispose();

        if (dispose)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetAsync(server.Address));
        }
        else
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, server.Address) { Version = new Version(2, 0), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await client.SendAsync(request);
        }
    }
}
