using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server;

/// <summary>Where further parts of a gRPC server are added.</summary>
internal interface IGrpcServerBuilder
{
    IServiceCollection Services { get; }
}
