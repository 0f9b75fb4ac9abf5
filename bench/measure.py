"""The measuring half of run.sh: starts the servers it has built, loads each in turn, and prints the table.

Usage: measure.py WORKFOLDER [--save [NAME]] [--quick]"""
import argparse
import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Callable

from load import BENCH, SERVICE, Load, Server, free_port, machine, shuffled, version

OURS, GO, PYTHON = "RouteService", "Go", "Python"


def start(name, work, features):
    """A server with one set of features, on a free port."""
    port, file, log = free_port(), work / f"{features}.json", open(work / f"{name}-{features}.log", "w+", encoding="utf-8")
    if name == GO:
        return Server(name, [work / "go-peer", str(port), file], port, {}, log)
    if name == PYTHON:
        command = [sys.executable, BENCH / "peers/python/server.py", str(port), file]
        return Server(name, command, port, {"PYTHONPATH": str(work / "python")}, log)
    environment = {
        "RouteService__Grpc__Port": str(port),
        "RouteService__Management__Port": str(free_port()),
        "RouteService__Sqlite__Path": str(file.with_suffix(".db")),
    }
    subprocess.run(
        ["dotnet", SERVICE, "import", file, "--replace"], env=os.environ | environment, check=True, stdout=log, stderr=log)
    return Server(name, ["dotnet", SERVICE], port, environment, log)


@dataclass
class Row:
    """A line of the table: what is measured, and how. `measure` takes a server and a time in seconds, and returns a rate."""

    label: str
    measure: Callable
    without: tuple = ()


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
            servers.append(start(name, work, features))
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


def peers():
    grpcio = version(sys.executable, "-c", "import grpc; print(grpc.__version__)")
    grpc_go = re.search(r'Version = "(.*)"', pathlib.Path("/usr/share/gocode/src/google.golang.org/grpc/version.go").read_text(encoding="utf-8"))
    return f"{version('go', 'version').split()[2]} with grpc-go {grpc_go[1]}", f"Python {platform.python_version()} with grpcio {grpcio}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--save", nargs="?", const=datetime.date.today().isoformat(), metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seconds, rounds = (0.5, 1) if options.quick else (3, 3)

    lines = [
        f"# RouteService beside plain servers, {datetime.date.today()}\n",
        machine(*peers()),
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
