using System.Text;
using Grpc.Core;
using RouteService.Contracts.Hello;

namespace RouteService.Api.Greetings;

internal sealed class HelloService(GreetingOptions options) : Contracts.Hello.HelloService.HelloServiceBase
{
    private const int Replies = 5;

    public override Task<HelloResponse> SayHello(HelloRequest request, ServerCallContext context) =>
        Task.FromResult(Hello(request.Greeting));

    public override async Task LotsOfReplies(
        HelloRequest request, IServerStreamWriter<HelloResponse> responseStream, ServerCallContext context)
    {
        for (var i = 1; i <= Replies; i++)
        {
            await responseStream.WriteAsync(new HelloResponse { Reply = $"Hello, {request.Greeting}! ({i})" });
        }
    }

    public override async Task<HelloResponse> LotsOfGreetings(IAsyncStreamReader<HelloRequest> requestStream, ServerCallContext context)
    {
        var names = new StringBuilder();
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            names.Append(names.Length == 0 ? "" : ", ").Append(requestStream.Current.Greeting);
            if (names.Length > options.MaxReplyLength)
            {
                // All names go into one reply, so without a limit a client could fill the memory.
                throw new RpcException(new Status(
                    StatusCode.ResourceExhausted,
                    $"The greetings are longer than {options.MaxReplyLength} characters together; send fewer in a call."));
            }
        }

        return Hello(names.ToString());
    }

    public override async Task BidiHello(
        IAsyncStreamReader<HelloRequest> requestStream, IServerStreamWriter<HelloResponse> responseStream, ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            await responseStream.WriteAsync(Hello(requestStream.Current.Greeting));
        }
    }

    private static HelloResponse Hello(string whom) => new() { Reply = $"Hello, {whom}!" };
}
