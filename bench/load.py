"""Shared by the measuring scripts: servers under load, the load client h2rg, measurements in turns, and reports."""
import argparse
import contextlib
import datetime
import os
import pathlib
import platform
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from messages import note, write_body

BENCH = pathlib.Path(__file__).resolve().parent
SERVICE = BENCH.parent / "src/Api/bin/Release/net10.0/RouteService.Api.dll"

# Options of h2rg: many callers at once, or one.
BUSY = ("-c", 10, "-m", 10)
ALONE = ("-c", 1, "-m", 1)


class Server:
    """A server process that listens on a port of this machine."""

    def __init__(self, name, command, port, environment, log):
        self.name = name
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._log = log
        folder = pathlib.Path(log.name).parent
        self._process = subprocess.Popen(command, env=os.environ | environment, cwd=folder, stdout=log, stderr=log)
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
        """Resident memory."""
        return self._status("VmRSS")

    def megabytes_at_most(self):
        """The peak of its resident memory."""
        return self._status("VmHWM")

    def _status(self, name):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024

    def processor_seconds(self):
        """Processor time used so far."""
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


def start_service(name, work, environment, program=SERVICE):
    """RouteService on free ports, its settings at their defaults but for those of the environment, its files in the work folder."""
    port = free_port()
    defaults = {
        "RouteService__Grpc__Port": str(port),
        "RouteService__Management__Port": "0",
        "RouteService__Sqlite__Path": str(work / f"{name}.db"),
        "RouteService__Sqlite__NotesPath": str(work / f"{name}-notes.db"),
    }
    return Server(name, ["dotnet", program], port, defaults | environment, open_log(work, name))


def open_log(work, name):
    return open(work / f"{name}.log", "w+", encoding="utf-8")


def command(*arguments, environment, program=SERVICE):
    """Runs a command of RouteService, and returns how many seconds that took."""
    started = time.monotonic()
    run = subprocess.run(
        ["dotnet", program, *arguments], env=os.environ | environment, capture_output=True, encoding="utf-8", check=False)
    if run.returncode != 0:
        sys.exit(f"{arguments[0]} failed: {run.stdout}{run.stderr}")
    return time.monotonic() - started


@dataclass
class Figures:
    """The result of a load: things done, and the time and the server's processor time that they took, in seconds."""

    count: float = 0
    seconds: float = 0
    processor_seconds: float = 0

    def add(self, run, count):
        self.count += count
        self.seconds += run["seconds"]
        self.processor_seconds += run["server_seconds"]
        return self

    @property
    def rate(self):
        return self.count / self.seconds

    @property
    def microseconds(self):
        """Processor time for each."""
        return self.processor_seconds / self.count * 1e6


class Load:
    """
    Runs of h2rg, the load client. Each checks every call's status and, where it can be told, the number of messages that came. What the
    methods return takes a server and a time in seconds, and returns figures.
    """

    def __init__(self, work):
        self._work = work
        self._latitude = 0

    def calls(self, method, body, *options, expected=1):
        return self._timed("calls", method, body, expected, *options)

    def listed(self, body, count, *options):
        return self._timed("received", "ListFeatures", body, count, *options)

    def recorded(self, body, *options):
        return self._timed("sent", "RecordRoute", body, 1, *options)

    def _timed(self, counted, method, body, expected, *options):
        def measure(server, seconds):
            run = self.run(method, body, server, "-s", seconds, "--expect", expected, *options)
            return Figures().add(run, run[counted])

        return measure

    def passing(self, places, travellers):
        """One client after the other posts a note at each of many locations, and gets the notes of the clients before."""
        received = places * travellers * (travellers - 1) // 2
        return self._chat(lambda latitude: ((latitude, i) for i in range(places)), travellers, received)

    def replay(self, notes):
        """One client posts many notes at one location, and gets all earlier ones for each."""
        return self._chat(lambda latitude: ((latitude, 0) for _ in range(notes)), 1, notes * (notes - 1) // 2)

    def _chat(self, places_at, calls, received):
        # Notes stay, so each run has its own latitude and does not meet those of an earlier run.
        def measure(server, seconds):
            figures = Figures()
            while figures.seconds < seconds:
                self._latitude += 1
                notes = [note(*place, i) for i, place in enumerate(places_at(self._latitude))]
                run = self.run("RouteChat", write_body(self._work / "notes.bin", *notes), server, "-n", calls, *ALONE)
                if run["received"] != received:
                    sys.exit(f"{server.name} sent {run['received']:.0f} notes; expected {received}")
                figures.add(run, run["sent"] + run["received"])
            return figures

        return measure

    def run(self, method, body, server, *options):
        """One run of h2rg: what it prints, and `server_seconds`, the server's processor time."""
        arguments = [self._work / "h2rg", method, body, server.address, *map(str, options)]
        before = server.processor_seconds()
        run = subprocess.run(arguments, capture_output=True, encoding="utf-8", check=False)
        if run.returncode != 0:
            sys.exit(f"{method} on {server.name} failed:\n{run.stdout}{run.stderr}")
        printed = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", run.stdout)}
        return printed | {"server_seconds": server.processor_seconds() - before}


def take_turns(sides, seconds, rounds, warm_up):
    """
    Measures several sides, each a function of a time in seconds, and returns the results of each, a list. The sides take turns in each
    round, so that a slow moment of the machine meets them all, and every other round goes backwards, so that none always comes first.
    """
    for measure in sides.values():
        measure(warm_up)
    results = {name: [] for name in sides}
    for i in range(rounds):
        for name, measure in list(sides.items())[::-1 if i % 2 else 1]:
            results[name].append(measure(seconds))
    return results


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def arguments(kind=""):
    """The arguments of every measuring script; kind is the end of the name of its results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--save", nargs="?", const=f"{datetime.date.today()}{kind}", metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    return parser


def publish(lines, name):
    """Prints a report, and saves it if it has a name."""
    report = "\n".join(lines) + "\n"
    print(report, end="")
    if name:
        results = BENCH / "results"
        results.mkdir(exist_ok=True)
        (results / f"{name}.md").write_text(report, encoding="utf-8")


def say(text):
    print(text, file=sys.stderr, flush=True)


def version(*program):
    return subprocess.run(program, capture_output=True, encoding="utf-8", check=True).stdout.strip()


def machine(*peers):
    """The line that describes the machine."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    parts = [
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores for all of it together",
        f"Linux {platform.release()}",
        f".NET SDK {version('dotnet', '--version')}",
        *peers,
    ]
    return f"{'; '.join(parts)}. Commit {version('git', '-C', str(BENCH), 'describe', '--always', '--dirty', '--exclude=*')}."


def number(value):
    """An integer with separated thousands."""
    return f"{value:,.0f}".replace(",", " ")
