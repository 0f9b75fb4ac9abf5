"""The server of the gRPC project's interop tests on Python's grpcio. Usage: interop_server.py [CERTIFICATE KEY]; prints its port.

grpcio shows a handler nothing of how a request was compressed, so expect_compressed is not looked at."""
import sys
import time
from concurrent import futures

import grpc

from grpc_testing_stubs import empty_pb2, messages_pb2

INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"


def zeros(size):
    return messages_pb2.Payload(body=bytes(size))


def echo_metadata(context):
    sent = dict(context.invocation_metadata())
    if INITIAL in sent:
        context.send_initial_metadata(((INITIAL, sent[INITIAL]),))
    if TRAILING in sent:
        context.set_trailing_metadata(((TRAILING, sent[TRAILING]),))


def end_with(status, context):
    if status.code:
        context.abort({c.value[0]: c for c in grpc.StatusCode}[status.code], status.message)


def empty_call(_, context):
    return empty_pb2.Empty()


def unary_call(request, context):
    if request.HasField("response_compressed") and request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    end_with(request.response_status, context)
    return messages_pb2.SimpleResponse(payload=zeros(request.response_size))


def respond(request, context):
    end_with(request.response_status, context)
    for response in request.response_parameters:
        time.sleep(response.interval_us / 1e6)
        yield messages_pb2.StreamingOutputCallResponse(payload=zeros(response.size))


def streaming_output_call(request, context):
    if any(response.compressed.value for response in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    yield from respond(request, context)


def streaming_input_call(requests, context):
    echo_metadata(context)
    size = 0
    for request in requests:
            size += len(request.payload.body)
    return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=size)


def full_duplex_call(requests, context):
    echo_metadata(context)
    for request in requests:
        yield from respond(request, context)


def main():
    m = messages_pb2
    methods = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(
            empty_call, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(
            unary_call, m.SimpleRequest.FromString, m.SimpleResponse.SerializeToString),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(
            streaming_output_call, m.StreamingOutputCallRequest.FromString, m.StreamingOutputCallResponse.SerializeToString),
        "StreamingInputCall": grpc.stream_unary_rpc_method_handler(
            streaming_input_call, m.StreamingInputCallRequest.FromString, m.StreamingInputCallResponse.SerializeToString),
        "FullDuplexCall": grpc.stream_stream_rpc_method_handler(
            full_duplex_call, m.StreamingOutputCallRequest.FromString, m.StreamingOutputCallResponse.SerializeToString),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.max_receive_message_length", 8 << 20)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.testing.TestService", methods),))
    if len(sys.argv) > 2 and sys.argv[1]:
        with open(sys.argv[1], "rb") as certificate, open(sys.argv[2], "rb") as key:
            credentials = grpc.ssl_server_credentials(((key.read(), certificate.read()),))
        port = server.add_secure_port("localhost:0", credentials)
    else:
        port = server.add_insecure_port("localhost:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


main()
