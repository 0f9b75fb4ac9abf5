"""The measuring half of run.sh: starts the servers it has built, loads each in turn, and prints the table.

Usage: measure.py WORKFOLDER [--save [NAME]] [--quick]"""
import datetime
import pathlib
import platform
import re
import statistics
import sys
from dataclasses import dataclass
from typing import Callable

from load import (
    ALONE, BENCH, BUSY, Load, Server, arguments, command, free_port, machine, number, open_log, publish, say, start_service, take_turns,
    version)
from messages import WORLD, point, shuffled, synthetic_features, write_body, write_features

OURS, GO, PYTHON = "RouteService", "Go", "Python"


def start(name, work, file):
    """A server with the features of a file."""
    label = f"{name}-{file.stem}"
    if name == OURS:
        database = {"RouteService__Sqlite__Path": str(work / f"{label}.db")}
        command("import", file, "--replace", environment=database)
        return start_service(label, work, database)
    port, log = free_port(), open_log(work, label)
    if name == GO:
        return Server(label, [work / "go-peer", str(port), file], port, {}, log)
    peer = [sys.executable, BENCH / "peers/python/server.py", str(port), file]
    return Server(label, peer, port, {"PYTHONPATH": str(work / "python")}, log)


@dataclass
class Row:
    """A line of the table. `measure` takes a server and a time in seconds, and returns figures."""

    label: str
    measure: Callable
    without: tuple = ()


def rows_of(features, load, work):
    points = [point(latitude, longitude) for latitude, longitude, _ in features]
    one = write_body(work / "point.bin", points[len(points) // 2])
    many = write_body(work / "points.bin", *shuffled(points))
    short, long = (write_body(work / f"route-{size}.bin", *(points[i % len(points)] for i in range(size))) for size in (10_000, 100_000))
    gets = [
        Row("GetFeature, one point: calls/s", load.calls("GetFeature", one, *BUSY)),
        Row("GetFeature, many points: calls/s", load.calls("GetFeature", many, "--split", *BUSY)),
    ]
    routes = load.recorded(short, "-c", 4, "-m", 1)
    if len(features) == 100:
        return gets + [
            Row("RecordRoute, 4 routes of 10 000 points at once: points/s", routes),
            Row("RecordRoute, one route of 100 000 points: points/s", load.recorded(long, *ALONE)),
            Row("RouteChat, 4 travellers pass 10 000 places: notes/s in and out", load.passing(10_000, 4)),
            Row("RouteChat, 500 notes at one place: notes/s in and out", load.replay(500)),
        ]
    world = write_body(work / "world.bin", WORLD)
    return gets + [
        Row("ListFeatures, all, 2 calls at once: features/s", load.listed(world, len(features), "-c", 2, "-m", 1)),
        # Python would search its list for minutes.
        Row("RecordRoute, 4 routes of 10 000 points at once: points/s", routes, (PYTHON,)),
    ]


def measure(work, count, seconds, rounds):
    """Yields the lines of one set of features: a label, and a figure for each server that has one."""
    features = synthetic_features(count)
    file = write_features(work / f"{count}.json", features)
    servers = {}
    try:
        for name in (OURS, GO, PYTHON):
            servers[name] = start(name, work, file)
        yield "Memory at rest: MB", {name: server.megabytes_at_rest for name, server in servers.items()}
        for row in rows_of(features, Load(work), work):
            say(f"{count} features: {row.label}")
            sides = {
                name: lambda time, server=server: row.measure(server, time) for name, server in servers.items() if name not in row.without
            }
            results = take_turns(sides, seconds, rounds, warm_up=seconds)
            yield row.label, {name: statistics.median(figures.rate for figures in results[name]) for name in sides}
        yield "Memory after all that: MB", {name: server.megabytes() for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()


def table(count, lines):
    yield f"\n## {number(count)} features\n"
    yield f"| | {OURS} | {GO} | {PYTHON} | {OURS} / {GO} | {OURS} / {PYTHON} |"
    yield "|---|---:|---:|---:|---:|---:|"
    for label, figures in lines:
        cells = [number(figures[name]) if name in figures else "–" for name in (OURS, GO, PYTHON)]
        ratios = [f"{figures[OURS] / figures[name]:.2f}" if name in figures else "–" for name in (GO, PYTHON)]
        yield f"| {label} | {' | '.join(cells + ratios)} |"


def peers():
    grpcio = version(sys.executable, "-c", "import grpc; print(grpc.__version__)")
    version_file = pathlib.Path("/usr/share/gocode/src/google.golang.org/grpc/version.go")
    grpc_go = re.search(r'Version = "(.*)"', version_file.read_text(encoding="utf-8"))
    return f"{version('go', 'version').split()[2]} with grpc-go {grpc_go[1]}", f"Python {platform.python_version()} with grpcio {grpcio}"


def main():
    options = arguments().parse_args()
    seconds, rounds = (0.5, 1) if options.quick else (3, 3)

    lines = [
        f"# RouteService beside plain servers, {datetime.date.today()}\n",
        machine(*peers()),
        f"\n{'The median of three rounds' if rounds == 3 else 'One short round'} of {seconds} s after a warm-up. "
        "How to read it: bench/README.md.",
    ]
    for count in (100, 100_000):
        lines += table(count, list(measure(options.work, count, seconds, rounds)))
    publish(lines, options.save)


main()
