using Grpc.Core;
using RouteService.Contracts.Helloworld;

namespace RouteService.Api.Greetings;

internal sealed class GreeterService : Greeter.GreeterBase
{
    public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context) =>
        Task.FromResult(new HelloReply { Message = $"Hello, {request.Name}!" });

    public override Task<HelloReply> SayHelloAgain(HelloRequest request, ServerCallContext context) =>
        Task.FromResult(new HelloReply { Message = $"Hello again, {request.Name}!" });
}
