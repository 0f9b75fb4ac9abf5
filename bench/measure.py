"""The measuring half of run.sh: starts the servers it has built, loads each in turn, and prints the table.

Usage: measure.py WORKFOLDER [--save [NAME]] [--quick]"""
import argparse
import contextlib
import datetime
import os
import pathlib
import platform
import random
import re
import socket
import statistics
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Callable

BENCH = pathlib.Path(__file__).resolve().parent
SERVICE = BENCH.parent / "src/Api/bin/Release/net10.0/RouteService.Api.dll"
OURS, GO, PYTHON = "RouteService", "Go", "Python"


class Server:
    """One server process with one set of features, on a free port."""

    def __init__(self, name, work, features):
        self.name = name
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._log = open(work / f"{name}-{features}.log", "w+", encoding="utf-8")
        command, environment = self._command(work, port, work / f"{features}.json")
        self._process = subprocess.Popen(command, env=os.environ | environment, cwd=work, stdout=self._log, stderr=self._log)
        self.pid = self._process.pid
        self._wait_until_listening(port)
        time.sleep(1)
        self.megabytes_at_rest = self.megabytes()

    def _command(self, work, port, features):
        if self.name == GO:
            return [work / "go-peer", str(port), features], {}
        if self.name == PYTHON:
            return [sys.executable, BENCH / "peers/python/server.py", str(port), features], {"PYTHONPATH": str(work / "python")}
        environment = {
            "RouteService__Grpc__Port": str(port),
            "RouteService__Management__Port": str(free_port()),
            "RouteService__Sqlite__Path": str(features.with_suffix(".db")),
        }
        subprocess.run(
            ["dotnet", SERVICE, "import", features, "--replace"],
            env=os.environ | environment, check=True, stdout=self._log, stderr=self._log)
        return ["dotnet", SERVICE], environment

    def _wait_until_listening(self, port):
        patience = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > patience:
                self._log.seek(0)
                sys.exit(f"{self.name} does not listen:\n{self._log.read()}")
            time.sleep(0.05)

    def megabytes(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@dataclass
class Row:
    """A line of the table: what is measured, and how. `measure` takes a server and a time in seconds, and returns a rate."""

    label: str
    measure: Callable
    without: tuple = ()


class Load:
    """Runs of h2rg, the load client. Each checks every call's status and, where it can be told, the number of messages that came."""

    def __init__(self, work):
        self._work = work
        self._latitude = 0

    def calls(self, body, *options):
        return lambda server, seconds: self._run("GetFeature", body, server, "-s", seconds, "--expect", 1, *options)["rpc_s"]

    def listed(self, body, count, *options):
        return lambda server, seconds: self._run("ListFeatures", body, server, "-s", seconds, "--expect", count, *options)["msg_s"]

    def recorded(self, body, *options):
        return lambda server, seconds: self._run("RecordRoute", body, server, "-s", seconds, "--expect", 1, *options)["sent_s"]

    def passing(self, places, travellers):
        """One traveller after the other leaves a note at each of many places, and gets what those before have left there."""
        received = places * travellers * (travellers - 1) // 2
        return self._chat(lambda latitude: ((latitude, i) for i in range(places)), travellers, received)

    def replay(self, notes):
        """One traveller leaves many notes at one place, and gets all earlier ones for each."""
        return self._chat(lambda latitude: ((latitude, 0) for _ in range(notes)), 1, notes * (notes - 1) // 2)

    def _chat(self, places_at, calls, received):
        # Notes stay, so a run must not meet those of an earlier one: each has a latitude of its own.
        def measure(server, seconds):
            notes = spent = 0
            while spent < seconds:
                self._latitude += 1
                body = self._work / "notes.bin"
                body.write_bytes(b"".join(frame(note(*place, i)) for i, place in enumerate(places_at(self._latitude))))
                run = self._run("RouteChat", body, server, "-n", calls, "-c", 1, "-m", 1)
                if run["msgs"] != received:
                    sys.exit(f"{server.name} sent {run['msgs']:.0f} notes; {received} are owed")
                notes += run["sent_msgs"] + run["msgs"]
                spent += run["secs"]
            return notes / spent

        return measure

    def _run(self, method, body, server, *options):
        command = [self._work / "h2rg", method, body, server.address, *map(str, options)]
        run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if run.returncode != 0:
            sys.exit(f"{method} on {server.name} failed:\n{run.stdout}{run.stderr}")
        return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", run.stdout)}


def frame(message):
    """A message as gRPC sends it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message


def note(latitude, longitude, number):
    """RouteNote{location{latitude, longitude}, message} in protobuf's encoding; fields of zero are not sent."""
    location = b"".join(tag + varint(value) for tag, value in ((b"\x08", latitude), (b"\x10", longitude)) if value)
    message = b"Note %09d" % number
    return b"\x0a" + varint(len(location)) + location + b"\x12" + varint(len(message)) + message


def varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def shuffled(body):
    """The messages of a body in another order, always the same: the peers find what is early in their lists sooner."""
    data, messages, at = body.read_bytes(), [], 0
    while at < len(data):
        end = at + 5 + int.from_bytes(data[at + 1:at + 5], "big")
        messages.append(data[at:end])
        at = end
    random.Random(1).shuffle(messages)
    mixed = body.with_suffix(".shuffled.bin")
    mixed.write_bytes(b"".join(messages))
    return mixed


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rows_of(features, load, bodies):
    busy = ("-c", 10, "-m", 10)
    gets = [
        Row("GetFeature, one point: calls/s", load.calls(bodies / "get.bin", *busy)),
        Row("GetFeature, many points: calls/s", load.calls(shuffled(bodies / "record_100k.bin"), "--split", *busy)),
    ]
    if features == 100:
        return gets + [
            Row("RecordRoute, 4 routes of 10 000 points at once: points/s", load.recorded(bodies / "record_10k.bin", "-c", 4, "-m", 1)),
            Row("RecordRoute, one route of 100 000 points: points/s", load.recorded(bodies / "record_100k.bin", "-c", 1, "-m", 1)),
            Row("RouteChat, 4 travellers pass 10 000 places: notes/s in and out", load.passing(10_000, 4)),
            Row("RouteChat, 500 notes at one place: notes/s in and out", load.replay(500)),
        ]
    return gets + [
        Row("ListFeatures, all, 2 calls at once: features/s", load.listed(bodies / "list_all.bin", features, "-c", 2, "-m", 1)),
        # Python would search its list for minutes.
        Row("RecordRoute, 4 routes of 10 000 points at once: points/s", load.recorded(bodies / "record_10k.bin", "-c", 4, "-m", 1), (PYTHON,)),
    ]


def measure(work, features, seconds, rounds):
    """Yields the lines of one set of features: a label, and a figure for each server that has one."""
    servers = []
    try:
        for name in (OURS, GO, PYTHON):
            servers.append(Server(name, work, features))
        yield "Memory at rest: MB", {server.name: server.megabytes_at_rest for server in servers}
        for row in rows_of(features, Load(work), work / f"bodies-{features}"):
            print(f"{features} features: {row.label}", file=sys.stderr)
            measured = [server for server in servers if server.name not in row.without]
            for server in measured:
                row.measure(server, seconds)  # To warm up, not counted.
            # The servers take turns in each round, so that a slow moment of the machine meets them all.
            figures = {server.name: [] for server in measured}
            for _ in range(rounds):
                for server in measured:
                    figures[server.name].append(row.measure(server, seconds))
            yield row.label, {name: statistics.median(values) for name, values in figures.items()}
        yield "Memory after all that: MB", {server.name: server.megabytes() for server in servers}
    finally:
        for server in servers:
            server.stop()


def table(features, lines):
    yield f"\n## {features:,} features\n".replace(",", " ")
    yield f"| | {OURS} | {GO} | {PYTHON} | {OURS} / {GO} | {OURS} / {PYTHON} |"
    yield "|---|---:|---:|---:|---:|---:|"
    for label, figures in lines:
        cells = [f"{figures[name]:,.0f}".replace(",", " ") if name in figures else "–" for name in (OURS, GO, PYTHON)]
        ratios = [f"{figures[OURS] / figures[name]:.2f}" if name in figures else "–" for name in (GO, PYTHON)]
        yield f"| {label} | {' | '.join(cells + ratios)} |"


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    version = lambda *command: subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    grpcio = version(sys.executable, "-c", "import grpc; print(grpc.__version__)")
    grpc_go = re.search(r'Version = "(.*)"', pathlib.Path("/usr/share/gocode/src/google.golang.org/grpc/version.go").read_text(encoding="utf-8"))
    return (
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores for server and client together; Linux {platform.release()}; "
        f".NET SDK {version('dotnet', '--version')}; {version('go', 'version').split()[2]} with grpc-go {grpc_go[1]}; "
        f"Python {platform.python_version()} with grpcio {grpcio}. "
        f"Commit {version('git', '-C', BENCH, 'rev-parse', '--short', 'HEAD')}.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--save", nargs="?", const=datetime.date.today().isoformat(), metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seconds, rounds = (0.5, 1) if options.quick else (3, 3)

    lines = [
        f"# RouteService beside plain servers, {datetime.date.today()}\n",
        machine(),
        f"\n{'The median of three rounds' if rounds == 3 else 'One short round'} of {seconds} s after a warm-up. How to read it: bench/README.md.",
    ]
    for features in (100, 100_000):
        lines += table(features, list(measure(options.work, features, seconds, rounds)))
    report = "\n".join(lines) + "\n"
    print(report, end="")
    if options.save:
        results = BENCH / "results"
        results.mkdir(exist_ok=True)
        (results / f"{options.save}.md").write_text(report, encoding="utf-8")


main()
