"""What the measuring scripts share: a server under load, h2rg that loads it, and the bodies that it sends."""
import contextlib
import os
import pathlib
import platform
import random
import re
import socket
import struct
import subprocess
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parent
SERVICE = BENCH.parent / "src/Api/bin/Release/net10.0/RouteService.Api.dll"


class Server:
    """A server process that listens on a port of this machine."""

    def __init__(self, name, command, port, environment, log):
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self._log = log
        self._process = subprocess.Popen(command, env=os.environ | environment, cwd=pathlib.Path(log.name).parent, stdout=log, stderr=log)
        self.pid = self._process.pid
        self._wait_until_listening(port)
        time.sleep(1)
        self.megabytes_at_rest = self.megabytes()

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

    def processor_seconds(self):
        """What it has used of the processors so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Load:
    """Runs of h2rg, the load client. Each checks every call's status and, where it can be told, the number of messages that came."""

    def __init__(self, work):
        self._work = work
        self._latitude = 0

    def calls(self, body, *options):
        return lambda server, seconds: self.run("GetFeature", body, server, "-s", seconds, "--expect", 1, *options)["rpc_s"]

    def listed(self, body, count, *options):
        return lambda server, seconds: self.run("ListFeatures", body, server, "-s", seconds, "--expect", count, *options)["msg_s"]

    def recorded(self, body, *options):
        return lambda server, seconds: self.run("RecordRoute", body, server, "-s", seconds, "--expect", 1, *options)["sent_s"]

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
                run = self.run("RouteChat", body, server, "-n", calls, "-c", 1, "-m", 1)
                if run["msgs"] != received:
                    sys.exit(f"{server.name} sent {run['msgs']:.0f} notes; {received} are owed")
                notes += run["sent_msgs"] + run["msgs"]
                spent += run["secs"]
            return notes / spent

        return measure

    def run(self, method, body, server, *options):
        command = [self._work / "h2rg", method, body, server.address, *map(str, options)]
        run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if run.returncode != 0:
            sys.exit(f"{method} on {server.name} failed:\n{run.stdout}{run.stderr}")
        return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", run.stdout)}


def frame(message):
    """A message as gRPC sends it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message


def note(latitude, longitude, number):
    """RouteNote{location{latitude, longitude}, message} in protobuf's encoding."""
    return field(1, point(latitude, longitude)) + field(2, b"Note %09d" % number)


def rectangle(south, west, north, east):
    """Rectangle{lo{latitude, longitude}, hi{latitude, longitude}}."""
    return field(1, point(south, west)) + field(2, point(north, east))


def point(latitude, longitude):
    """Point{latitude, longitude}; fields of zero are not sent."""
    return b"".join(tag + varint(value) for tag, value in ((b"\x08", latitude), (b"\x10", longitude)) if value)


def field(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value):
    value &= (1 << 64) - 1
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


def version(*command):
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()


def machine(*peers):
    """The line that says what was measured on."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    parts = [
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores for all of it together",
        f"Linux {platform.release()}",
        f".NET SDK {version('dotnet', '--version')}",
        *peers,
    ]
    return f"{'; '.join(parts)}. Commit {version('git', '-C', str(BENCH), 'rev-parse', '--short', 'HEAD')}."


def number(value):
    """A whole number, its thousands apart."""
    return f"{value:,.0f}".replace(",", " ")
