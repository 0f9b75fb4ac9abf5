using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Reflection.V1;
using Request = Grpc.Reflection.V1.ServerReflectionRequest;
using Response = Grpc.Reflection.V1.ServerReflectionResponse;

namespace Grpc.AspNetCore.Server.Reflection;

/// <summary>grpc.reflection.v1: one answer to each question, in order.</summary>
internal sealed class ReflectionV1Service(DescriptorIndex index) : ServerReflection.ServerReflectionBase
{
    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<Request> requestStream, IServerStreamWriter<Response> responseStream, ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            await responseStream.WriteAsync(Answer(requestStream.Current), context.CancellationToken);
        }
    }

    public Response Answer(Request request)
    {
        var response = new Response { ValidHost = request.Host, OriginalRequest = request };
        switch (request.MessageRequestCase)
        {
            case Request.MessageRequestOneofCase.FileByFilename:
                return WithFile(response, index.FileByName(request.FileByFilename), $"There is no file '{request.FileByFilename}'.");

            case Request.MessageRequestOneofCase.FileContainingSymbol:
                return WithFile(response, index.FileOfSymbol(request.FileContainingSymbol), $"There is no symbol '{request.FileContainingSymbol}'.");

            case Request.MessageRequestOneofCase.FileContainingExtension:
                var (type, number) = (request.FileContainingExtension.ContainingType, request.FileContainingExtension.ExtensionNumber);
                return WithFile(response, index.FileOfExtension(type, number), $"There is no extension {number} of '{type}'.");

            case Request.MessageRequestOneofCase.AllExtensionNumbersOfType:
                if (index.ExtensionNumbers(request.AllExtensionNumbersOfType) is not { } numbers)
                {
                    return WithError(response, StatusCode.NotFound, $"There is no message '{request.AllExtensionNumbersOfType}'.");
                }

                response.AllExtensionNumbersResponse = new ExtensionNumberResponse
                {
                    BaseTypeName = request.AllExtensionNumbersOfType,
                    ExtensionNumber = { numbers },
                };
                return response;

            case Request.MessageRequestOneofCase.ListServices:
                response.ListServicesResponse = new ListServiceResponse
                {
                    Service = { index.Services.Select(static name => new ServiceResponse { Name = name }) },
                };
                return response;

            default:
                return WithError(response, StatusCode.InvalidArgument, "The request asks for nothing: one of its message_request fields must be set.");
        }
    }

    private static Response WithFile(Response response, FileDescriptor? file, string otherwise)
    {
        if (file is null)
        {
            return WithError(response, StatusCode.NotFound, otherwise);
        }

        response.FileDescriptorResponse = new FileDescriptorResponse
        {
            FileDescriptorProto = { DescriptorIndex.WithImports(file).Select(static one => one.SerializedData) },
        };
        return response;
    }

    private static Response WithError(Response response, StatusCode code, string message)
    {
        response.ErrorResponse = new ErrorResponse { ErrorCode = (int)code, ErrorMessage = message };
        return response;
    }
}
