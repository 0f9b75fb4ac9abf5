"""The measuring half of stock.sh: the service beside a bare greeter on the same packages, and beside an earlier build of itself.

Usage: measure_stock.py WORKFOLDER BASE [--save [NAME]] [--quick] [--rounds COUNT]
The work folder has the builds: bare, base, which is of the commit BASE, and head."""
import datetime
import statistics
import sys
import time

from collector import Collector
from load import (
    ALONE, BUSY, Load, Server, arguments, command, free_port, machine, number, open_log, publish, say, start_service, take_turns)
from messages import WORLD, greeting, point, shuffled, synthetic_features, write_body, write_features

FEATURES = 100_000
FOUR = ("-c", 4, "-m", 1)

BARE, OFF, ON = "a bare Grpc.AspNetCore greeter", "the service, telemetry off", "the service, 1 % of traces, and metrics"
BASE, HEAD = "base", "head"


def program(work, build):
    return work / build / "RouteService.Api.dll"


def greetings(work, seconds, rounds, warm_up):
    """
    Yields lines about SayHello: a server, its calls/s and processor time a call, each followed by its ratio to the bare greeter's. Each
    round has processes of its own: what the JIT makes of a call differs from one process to the next by more than the servers do.
    """
    say("SayHello")
    hello = Load(work).calls("/helloworld.Greeter/SayHello", write_body(work / "hello.bin", greeting("world")), *BUSY)
    results = {BARE: [], OFF: [], ON: []}
    with Collector() as collector:
        for i in range(rounds):
            port = free_port()
            command = ["dotnet", work / "bare/RouteService.Bare.Bench.dll", str(port)]
            servers = {
                BARE: Server(BARE, command, port, {}, open_log(work, f"bare-{i}")),
                OFF: start_service(f"silent-{i}", work, {}, program(work, HEAD)),
                ON: start_service(f"exporting-{i}", work, collector.environment(traces=0.01), program(work, HEAD)),
            }
            sides = {name: lambda time, server=server: hello(server, time) for name, server in servers.items()}
            for name, runs in take_turns(sides, seconds, 2, warm_up).items():
                results[name] += runs
            for server in servers.values():
                server.stop()
        exported = [collector.exports[f"/v1/{signal}"] for signal in ("metrics", "traces")]
    if not all(exported):
        sys.exit(f"The service has not exported what it was measured with: {dict(collector.exports)}")
    aims = {BARE: "", OFF: "≥ 0.97", ON: "≥ 0.90"}
    medians = {name: median(runs) for name, runs in results.items()}
    for name, (rate, microseconds) in medians.items():
        bare_rate, bare_microseconds = medians[BARE]
        yield (f"| {name} | {number(rate)} | {rate / bare_rate:.3f} | {aims[name]} "
               f"| {microseconds:.2f} | {microseconds / bare_microseconds:.3f} |")
    yield f"\nThe collector took {exported[0]} exports of metrics and {exported[1]} of traces."


def median(runs):
    """Medians of the rate, and of the processor time of one call in µs."""
    return statistics.median(run.rate for run in runs), statistics.median(run.microseconds for run in runs)


def turns(sides, seconds, rounds, warm_up):
    """The medians of sides that are pairs of a measure and a server."""
    results = take_turns(
        {name: lambda time, measure=measure, server=server: measure(server, time) for name, (measure, server) in sides.items()},
        seconds, rounds, warm_up)
    return {name: median(runs) for name, runs in results.items()}


class Routes:
    """RouteGuide of both builds, each with a store of the same features."""

    def __init__(self, work):
        self._work = work
        self._load = Load(work)
        features = synthetic_features(FEATURES)
        file = write_features(work / "features.json", features)
        self._environment = {build: {"RouteService__Sqlite__Path": str(work / f"features-{build}.db")} for build in (BASE, HEAD)}
        for build, environment in self._environment.items():
            command("import", file, "--replace", environment=environment, program=program(work, build))
        points = [point(latitude, longitude) for latitude, longitude, _ in features]
        self._points = write_body(work / "points.bin", *shuffled(points))
        self._route = write_body(work / "route.bin", *points)
        self._world = write_body(work / "world.bin", WORLD)

    def start(self, build, label=""):
        return start_service(f"{build}{label}", self._work, self._environment[build], program(self._work, build))

    def rates(self, seconds, rounds, warm_up):
        """Yields lines of what is measured on both, taking turns."""
        load = self._load
        rows = [
            ("GetFeature, many points: calls/s", load.calls("GetFeature", self._points, "--split", *BUSY), "≥ 1.0"),
            ("ListFeatures, all, one stream: features/s", load.listed(self._world, FEATURES, *ALONE), "≥ 1.0"),
            ("ListFeatures, all, 4 streams at once: features/s", load.listed(self._world, FEATURES, *FOUR), "≥ 1.0"),
            (f"RecordRoute, 4 streams of {number(FEATURES)} points: points/s", load.recorded(self._route, *FOUR), "≥ 1.0"),
            ("RouteChat, 500 notes at one place: notes/s in and out", load.replay(500), "≥ 0.9"),
        ]
        servers = {build: self.start(build) for build in (BASE, HEAD)}
        try:
            for label, measure, aim in rows:
                say(label)
                results = turns({build: (measure, server) for build, server in servers.items()}, seconds, rounds, warm_up)
                (base, base_time), (head, head_time) = results[BASE], results[HEAD]
                yield f"| {label} | {number(base)} | {number(head)} | {head / base:.3f} | {aim} | {head_time / base_time:.3f} |"
        finally:
            for server in servers.values():
                server.stop()

    def memory(self, rounds, size):
        """Yields lines of the memory of fresh servers after the same calls on both; size is how many, as a part of the full load."""
        say("Memory")
        after, most = ({BASE: [], HEAD: []} for _ in range(2))
        for i in range(rounds):
            for build in (BASE, HEAD):
                server = self.start(build, f"-{i}")
                self._load.run("GetFeature", self._points, server, "-n", int(300_000 * size), "--expect", 1, "--split", *BUSY)
                self._load.run("ListFeatures", self._world, server, "-n", int(20 * size), "--expect", FEATURES, *FOUR)
                self._load.run("RecordRoute", self._route, server, "-n", int(20 * size), "--expect", 1, *FOUR)
                replay = self._load.replay(500)
                for _ in range(int(20 * size)):
                    replay(server, 1e-3)  # One of them.
                time.sleep(1)
                after[build].append(server.megabytes())
                most[build].append(server.megabytes_at_most())
                server.stop()
        for label, values, aim in (("Memory after all that: MB", after, "≤ 1.0"), ("Memory at most: MB", most, "")):
            base, head = (statistics.median(values[build]) for build in (BASE, HEAD))
            yield f"| {label} | {number(base)} | {number(head)} | {head / base:.3f} | {aim} | |"


def main():
    parser = arguments("-stock")
    parser.add_argument("base")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    seconds, rounds, warm_up, size = (0.5, 1, 1, 0.1) if options.quick else (3, options.rounds, 10, 1)

    routes = Routes(options.work)
    publish([
        f"# RouteService beside a bare greeter and beside {options.base}, {datetime.date.today()}\n",
        f"`bench/stock.sh {' '.join(sys.argv[3:])}".rstrip() + "`\n",
        machine(),
        f"\nMedians of {rounds}, taking turns, of {seconds} s each after {warm_up} s of warm-up. How to read it: bench/README.md.",
        "\n## Greeter.SayHello, 10 connections with 10 calls each, two measurements in each of as many processes\n",
        "| server | calls/s | of bare | aim | processor, µs a call | of bare |",
        "|---|---:|---:|---:|---:|---:|",
        *greetings(options.work, seconds, rounds, warm_up),
        f"\n## RouteGuide on the embedded store of {number(FEATURES)} features, beside the build of {options.base}\n",
        f"| | {options.base} | now | now / {options.base} | aim | processor time, the same ratio |",
        "|---|---:|---:|---:|---:|---:|",
        *routes.rates(seconds, rounds, warm_up),
        *routes.memory(rounds, size),
    ], options.save)


main()
