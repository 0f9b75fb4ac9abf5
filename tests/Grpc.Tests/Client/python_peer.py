"""An echo server on grpcio, without stubs: bytes in, bytes out. Prints its port and lives until its input ends."""
import sys
from concurrent import futures

import grpc


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-initial", metadata.get("x-text", "")),))
    context.set_trailing_metadata((("x-echo-bin", metadata.get("x-raw-bin", b"")),))
    if request == b"fail":
        context.abort(grpc.StatusCode.NOT_FOUND, "no ☕ here")
    if request == b"time":
        return str(context.time_remaining()).encode()
    return request


def server_streaming(request, context):
    for i in range(int(request)):
        yield b"%d" % i
    if int(request) == 13:
        context.abort(grpc.StatusCode.OUT_OF_RANGE, "unlucky")


def client_streaming(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def duplex(requests, context):
    yield from requests


def forever(request, context):
    yield b"one"
    while context.is_active():
        yield b"more"


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStreaming": grpc.unary_stream_rpc_method_handler(server_streaming),
    "ClientStreaming": grpc.stream_unary_rpc_method_handler(client_streaming),
    "Duplex": grpc.stream_stream_rpc_method_handler(duplex),
    "Forever": grpc.unary_stream_rpc_method_handler(forever),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=(("grpc.default_compression_algorithm", 2),) if "gzip" in sys.argv else ())
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tests.Echo", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(None)
