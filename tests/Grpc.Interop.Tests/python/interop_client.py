"""The client of the gRPC project's interop tests on Python's grpcio. Usage: interop_client.py ADDRESS CASE [CERTIFICATE]"""
import concurrent.futures
import sys
import threading

import grpc

from grpc_testing_stubs import empty_pb2, messages_pb2 as m

SERVICE = "/grpc.testing.TestService/"
GZIP = grpc.Compression.Gzip
METADATA = (("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


class Stub:
    def __init__(self, channel):
        out, response = m.StreamingOutputCallRequest.SerializeToString, m.StreamingOutputCallResponse.FromString
        self.empty = channel.unary_unary(SERVICE + "EmptyCall", empty_pb2.Empty.SerializeToString, empty_pb2.Empty.FromString)
        self.unary = channel.unary_unary(SERVICE + "UnaryCall", m.SimpleRequest.SerializeToString, m.SimpleResponse.FromString)
        self.output = channel.unary_stream(SERVICE + "StreamingOutputCall", out, response)
        self.input = channel.stream_unary(
            SERVICE + "StreamingInputCall", m.StreamingInputCallRequest.SerializeToString, m.StreamingInputCallResponse.FromString)
        self.duplex = channel.stream_stream(SERVICE + "FullDuplexCall", out, response)
        self.nothing = channel.unary_unary(SERVICE + "UnimplementedCall", empty_pb2.Empty.SerializeToString, empty_pb2.Empty.FromString)
        self.nobody = channel.unary_unary(
            "/grpc.testing.UnimplementedService/UnimplementedCall", empty_pb2.Empty.SerializeToString, empty_pb2.Empty.FromString)


def zeros(size):
    return m.Payload(body=bytes(size))


def large(**more):
    return m.SimpleRequest(response_size=314159, payload=zeros(271828), **more)


def ping(response_size, request_size):
    return m.StreamingOutputCallRequest(response_parameters=[m.ResponseParameters(size=response_size)], payload=zeros(request_size))


def check_large(response):
    assert response.payload.body == bytes(314159)


def expect(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError(f"{code} was expected")


def flag(value):
    return m.BoolValue(value=value)


def empty_unary(stub):
    assert stub.empty(empty_pb2.Empty()) == empty_pb2.Empty()


def large_unary(stub):
    check_large(stub.unary(large()))


def client_compressed_unary(stub):
    expect(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.unary(large(expect_compressed=flag(True))))
    check_large(stub.unary(large(expect_compressed=flag(True)), compression=GZIP))
    check_large(stub.unary(large(expect_compressed=flag(False))))


def server_compressed_unary(stub):
    for compressed in (True, False):
        check_large(stub.unary(large(response_compressed=flag(compressed))))


def inputs(*sizes, **more):
    return iter([m.StreamingInputCallRequest(payload=zeros(size), **more) for size in sizes])


def client_streaming(stub):
    assert stub.input(inputs(27182, 8, 1828, 45904)).aggregated_payload_size == 74922


def client_compressed_streaming(stub):
    expect(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.input(inputs(27182, expect_compressed=flag(True))))
    both = inputs(27182, 45904, expect_compressed=flag(True))
    assert stub.input(both, compression=GZIP).aggregated_payload_size == 73086


def server_streaming(stub):
    sizes = [31415, 9, 2653, 58979]
    request = m.StreamingOutputCallRequest(response_parameters=[m.ResponseParameters(size=size) for size in sizes])
    assert [len(r.payload.body) for r in stub.output(request)] == sizes


def server_compressed_streaming(stub):
    request = m.StreamingOutputCallRequest(response_parameters=[
        m.ResponseParameters(compressed=flag(True), size=31415), m.ResponseParameters(compressed=flag(False), size=92653)])
    assert [len(r.payload.body) for r in stub.output(request)] == [31415, 92653]


def ping_pong(stub):
    turn = threading.Semaphore(1)
    rounds = [(31415, 27182), (9, 8), (2653, 1828), (58979, 45904)]

    def requests():
        for sizes in rounds:
            turn.acquire()
            yield ping(*sizes)

    answered = 0
    for response, (size, _) in zip(stub.duplex(requests()), rounds):
        assert response.payload.body == bytes(size)
        answered += 1
        turn.release()
    assert answered == 4


def empty_stream(stub):
    assert list(stub.duplex(iter([]))) == []


def check_metadata(call):
    assert dict(call.initial_metadata())["x-grpc-test-echo-initial"] == "test_initial_metadata_value"
    assert dict(call.trailing_metadata())["x-grpc-test-echo-trailing-bin"] == b"\xab\xab\xab"


def custom_metadata(stub):
    _, call = stub.unary.with_call(large(), metadata=METADATA)
    check_metadata(call)
    call = stub.duplex(iter([ping(314159, 271828)]), metadata=METADATA)
    assert len(list(call)) == 1
    check_metadata(call)


def echo_status(stub, message):
    status = m.EchoStatus(code=2, message=message)
    error = expect(grpc.StatusCode.UNKNOWN, lambda: stub.unary(m.SimpleRequest(response_status=status)))
    assert error.details() == message, error.details()
    error = expect(grpc.StatusCode.UNKNOWN, lambda: list(stub.duplex(iter([m.StreamingOutputCallRequest(response_status=status)]))))
    assert error.details() == message, error.details()


def status_code_and_message(stub):
    echo_status(stub, "test status message")


def special_status_message(stub):
    echo_status(stub, SPECIAL)


def unimplemented_method(stub):
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.nothing(empty_pb2.Empty()))


def unimplemented_service(stub):
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.nobody(empty_pb2.Empty()))


def cancel_after_begin(stub):
    leave = threading.Event()

    def never():
        leave.wait(30)
        yield from ()

    call = stub.input.future(never())
    call.cancel()
    assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED
    leave.set()


def cancel_after_first_response(stub):
    leave = threading.Event()

    def one():
        yield ping(31415, 27182)
        leave.wait(30)

    call = stub.duplex(one())
    next(call)
    call.cancel()
    expect(grpc.StatusCode.CANCELLED, lambda: next(call))
    leave.set()


def timeout_on_sleeping_server(stub):
    leave = threading.Event()

    def one():
        yield m.StreamingOutputCallRequest(payload=zeros(27182))
        leave.wait(30)

    expect(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(stub.duplex(one(), timeout=0.001)))
    leave.set()


def rpc_soak(stub):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: large_unary(stub), range(300)))


if sys.argv[3:] and sys.argv[3]:
    with open(sys.argv[3], "rb") as file:
        opened = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(file.read()))
else:
    opened = grpc.insecure_channel(sys.argv[1])
with opened:
    globals()[sys.argv[2]](Stub(opened))
