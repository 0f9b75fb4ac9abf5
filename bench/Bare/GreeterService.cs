using Grpc.Core;
using RouteService.Contracts.Helloworld;

namespace RouteService.Bare.Bench;

internal sealed class GreeterService : Greeter.GreeterBase
{
    public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context) =>
        Task.FromResult(new HelloReply { Message = $"Hello, {request.Name}!" });
}
