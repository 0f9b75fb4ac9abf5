"""The measuring half of chat.sh: durable notes, fan-out, and memory with stalled listeners.

Usage: measure_chat.py WORKFOLDER [--save [NAME]] [--quick]"""
import datetime
import re
import statistics
import subprocess
import sys

from cluster import Cluster
from load import BENCH, arguments, machine, number, publish, start_service

CHAT = BENCH / "Chat/bin/Release/net10.0/RouteService.Chat.Bench.dll"

# Connections that commit one note each, beside 100 streams: half of what PostgreSQL takes by default.
WRITERS = 50
LISTENERS = 1_000


def run(*arguments):
    done = subprocess.run(["dotnet", CHAT, *map(str, arguments)], capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        sys.exit(f"{arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return pairs(done.stdout)


def pairs(text):
    return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", text)}


def posting(embedded, postgis, cluster, work, seconds, rounds):
    """Lines of (label, ours, beside, other): notes/s."""
    database = cluster.environment("chat")["ConnectionStrings__RouteService"]
    cases = [
        ("embedded", embedded, 1, work / "lone.db", 1),
        ("embedded", embedded, 100, work / "lone.db", 1),
        ("PostGIS", postgis, 1, database, 1),
        ("PostGIS", postgis, 100, database, WRITERS),
    ]
    for store, server, streams, beside, writers in cases:
        ours, other = [], []
        for _ in range(rounds):
            ours.append(run("post", server.address, streams, seconds)["notes_s"])
            other.append(run("commits", beside, writers, seconds)["notes_s"])
        yield (f"{store}, {streams} stream{'s' if streams > 1 else ''}", statistics.median(ours),
               f"{writers} connection{'s' if writers > 1 else ''}", statistics.median(other))


def fanning(one, two, seconds, rates):
    """Lines of (label, notes/s, messages/s, p50, p99, the longest, in ms)."""
    for label, writer, listener in (("one replica", one, one), ("two replicas", one, two)):
        for rate in rates:
            result = run("fan", writer.address, listener.address, LISTENERS, rate, seconds)
            yield label, rate, result["messages_s"], result["p50_ms"], result["p99_ms"], result["max_ms"]


def stalling(server, notes):
    """Megabytes at rest, with stalled listeners, and after the notes."""
    at_rest = server.megabytes()
    with subprocess.Popen(["dotnet", CHAT, "stall", server.address, str(LISTENERS), str(notes)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as bench:
        marks = []
        for word in ("stalled", "passed"):
            line = bench.stdout.readline().strip()
            if line != word:
                sys.exit(f"stall failed: {line}")
            marks.append(server.megabytes())
            bench.stdin.write("\n")
            bench.stdin.flush()
    return at_rest, *marks


def main():
    options = arguments("-chat").parse_args()
    seconds, rounds, notes, rates = (1, 1, 10_000, (10,)) if options.quick else (4, 3, 100_000, (10, 50))

    with Cluster(options.work) as cluster:
        cluster.create("chat")
        embedded = start_service("embedded", options.work, {})
        one, two = (start_service(name, options.work, cluster.environment("chat")) for name in ("one", "two"))
        lines = [
            f"# RouteChat, {datetime.date.today()}\n",
            f"`bench/chat.sh {' '.join(sys.argv[2:])}".rstrip() + "`\n",
            machine(f"PostgreSQL {cluster.psql('postgres', 'SHOW server_version;').split()[0]}"),
            "\nServers, database and clients share the machine's cores. fsync is on. "
            f"{'Medians of three' if rounds == 3 else 'One short run'}.",
            "\n## Durable notes a second, acknowledged; beside: a commit for each note\n",
            "| | RouteChat | beside | | ratio |",
            "|---|---:|---|---:|---:|",
            *(f"| {label} | {number(ours)} | {beside} | {number(other)} | {ours / other:.1f} |"
              for label, ours, beside, other in posting(embedded, one, cluster, options.work, seconds, rounds)),
            f"\n## One writer and {number(LISTENERS)} listeners at a place, on PostGIS; from the post to the listener, ms\n",
            "| | notes/s | messages/s | p50 | p99 | longest |",
            "|---|---:|---:|---:|---:|---:|",
            *(f"| {label} | {rate} | {number(messages)} | {p50:.1f} | {p99:.1f} | {longest:.1f} |"
              for label, rate, messages, p50, p99, longest in fanning(one, two, seconds, rates)),
            f"\n## Memory with {number(LISTENERS)} listeners that do not read, MB\n",
            f"| at rest | with them | after {number(notes)} notes at their place |",
            "|---:|---:|---:|",
            f"| {' | '.join(number(value) for value in stalling(embedded, notes))} |",
        ]
        for server in (embedded, one, two):
            server.stop()

    publish(lines, options.save)


main()
