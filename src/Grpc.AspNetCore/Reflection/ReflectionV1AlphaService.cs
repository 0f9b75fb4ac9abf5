using Google.Protobuf;
using Grpc.Core;
using Grpc.Reflection.V1Alpha;

namespace Grpc.AspNetCore.Server.Reflection;

/// <summary>grpc.reflection.v1alpha, for older tools. Its messages have the wire format of v1, whose service answers.</summary>
internal sealed class ReflectionV1AlphaService(ReflectionV1Service v1) : ServerReflection.ServerReflectionBase
{
    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<ServerReflectionRequest> requestStream, IServerStreamWriter<ServerReflectionResponse> responseStream, ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            var answer = v1.Answer(V1Request(requestStream.Current));
            await responseStream.WriteAsync(ServerReflectionResponse.Parser.ParseFrom(answer.ToByteString()), context.CancellationToken);
        }

        static Grpc.Reflection.V1.ServerReflectionRequest V1Request(ServerReflectionRequest alpha) =>
            Grpc.Reflection.V1.ServerReflectionRequest.Parser.ParseFrom(alpha.ToByteString());
    }
}
