namespace Grpc.Core
{
    public sealed class Status(string text)
    {
        public override string ToString() => text;
    }
}

namespace Grpc.Net.Client
{
    public static class GrpcChannel
    {
        public static string Name => "a channel of somebody's own";
    }
}
