using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Status = Grpc.Core.Status;

namespace Grpc.AspNetCore.Tests;

/// <summary>The rich error model: google.rpc.Status in grpc-status-details-bin.</summary>
public sealed class ErrorDetailsTests
{
    private const string Header = "grpc-status-details-bin";

    private static readonly Google.Rpc.Status Sent = new()
    {
        Code = (int)StatusCode.Unavailable,
        Message = "not now ☕",
        Details =
        {
            Any.Pack(new BadRequest { FieldViolations = { new BadRequest.Types.FieldViolation { Field = "lo.latitude", Description = "is 91°" } } }),
            Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(1_500)) }),
            Any.Pack(new ErrorInfo { Reason = "STORE_UNAVAILABLE", Domain = "tests", Metadata = { ["store"] = "one", ["since"] = "today" } }),
        },
    };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task They_reach_the_client_with_the_headers_or_the_trailers(bool afterMessage)
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (request, responses, _) =>
            {
                if (afterMessage)
                {
                    await responses.WriteAsync(request);
                }

                throw new RpcException(new Status(StatusCode.Unavailable, Sent.Message), new Metadata { { Header, Sent.ToByteArray() } });
            },
        });
        using var call = server.ServerStream("hello");

        var end = await Assert.ThrowsAsync<RpcException>(async () => await call.ResponseStream.ReadAllAsync().ToListAsync());

        Assert.Equal((StatusCode.Unavailable, Sent.Message), (end.StatusCode, end.Status.Detail));
        var got = Google.Rpc.Status.Parser.ParseFrom(end.Trailers.GetValueBytes(Header)!);
        Assert.Equal(Sent, got);
        Assert.Equal("lo.latitude", got.Details[0].Unpack<BadRequest>().FieldViolations.Single().Field);
        Assert.Equal(TimeSpan.FromMilliseconds(1_500), got.Details[1].Unpack<RetryInfo>().RetryDelay.ToTimeSpan());
        Assert.Equal("STORE_UNAVAILABLE", got.Details[2].Unpack<ErrorInfo>().Reason);
    }

    [Fact]
    public void Their_numbers_are_those_of_googleapis()
    {
        Assert.Equal("type.googleapis.com/google.rpc.ErrorInfo", Any.Pack(new ErrorInfo()).TypeUrl);
        Assert.Equal("0A02080C", Convert.ToHexString(new RetryInfo { RetryDelay = new Duration { Seconds = 12 } }.ToByteArray()));
        Assert.Equal("0A0152120164" + "1A060A016B120176", Convert.ToHexString(new ErrorInfo { Reason = "R", Domain = "d", Metadata = { ["k"] = "v" } }.ToByteArray()));
    }
}
