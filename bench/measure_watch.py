"""The measuring half of watch.sh: single writes, their changes at another replica, and imports with the change log and without it.

Usage: measure_watch.py WORKFOLDER [--save [NAME]] [--quick]"""
import datetime
import re
import statistics
import subprocess
import sys

from cluster import Cluster
from load import BENCH, arguments, command, machine, number, publish, start_service
from messages import synthetic_features, write_csv

CHAT = BENCH / "Chat/bin/Release/net10.0/RouteService.Chat.Bench.dll"
TRIGGERS = ("inserted", "updated", "deleted", "truncated")


def run(*arguments):
    done = subprocess.run(["dotnet", CHAT, *map(str, arguments)], capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        sys.exit(f"{arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", done.stdout)}


def drop_triggers(cluster, database):
    cluster.psql(database, *(f"DROP TRIGGER feature_change_{name} ON feature;" for name in TRIGGERS))


def watching(cluster, one, two, seconds, cases):
    """Lines of (callers, asked, writes/s, p50, p99, the longest, in ms)."""
    for callers, rate in cases:
        result = run("watch", one.address, two.address, callers, rate, seconds)
        yield callers, rate or "all", result["writes_s"], result["p50_ms"], result["p99_ms"], result["max_ms"]


def importing(cluster, path, rounds):
    """Seconds of imports into an empty table, and of the same file with other names into the full one: with the log, without it."""
    times = {}
    for turn in range(rounds):
        for log in ((True, False), (False, True))[turn % 2]:
            database = f"import_{turn}_{log}".lower()
            cluster.create(database)
            if not log:
                drop_triggers(cluster, database)
            for kind, file in (("into an empty table", path), ("of other names into the full one", path.with_suffix(".other.csv"))):
                times.setdefault((kind, log), []).append(command("import", file, environment=cluster.environment(database)))
            cluster.psql("postgres", f"DROP DATABASE {database};")
    for kind in ("into an empty table", "of other names into the full one"):
        logged, bare = (statistics.median(times[kind, log]) for log in (True, False))
        yield kind, logged, bare


def write_files(path, total):
    features = synthetic_features(total)
    write_csv(path, features)
    write_csv(path.with_suffix(".other.csv"), [(latitude, longitude, f"{name}*") for latitude, longitude, name in features])


def main():
    options = arguments("-watch").parse_args()
    seconds, rounds, total = (2, 1, 20_000) if options.quick else (10, 3, 1_000_000)
    path = options.work / "places.csv"
    write_files(path, total)

    with Cluster(options.work) as cluster:
        cluster.create("watch")
        one, two = (start_service(name, options.work, cluster.environment("watch")) for name in ("one", "two"))
        rows = list(watching(cluster, one, two, seconds, ((50, 500), (1, 0), (50, 0))))
        per_change = int(cluster.psql("watch", "SELECT pg_total_relation_size('feature_change') / count(*) FROM feature_change;"))
        for server in (one, two):
            server.stop()
        imports = list(importing(cluster, path, rounds))
        lines = [
            f"# WatchFeatures, {datetime.date.today()}\n",
            f"`bench/watch.sh {' '.join(sys.argv[2:])}".rstrip() + "`\n",
            machine(f"PostgreSQL {cluster.psql('postgres', 'SHOW server_version;').split()[0]}"),
            "\nServers, database and clients share the machine's cores. fsync is on.",
            "\n## Single writes with request ids, and a watch at another replica; from the call of the write to the watch, ms\n",
            "| callers | asked for, writes/s | writes/s | p50 | p99 | longest |",
            "|---:|---:|---:|---:|---:|---:|",
            *(f"| {callers} | {rate} | {number(writes)} | {p50:.1f} | {p99:.1f} | {longest:.1f} |"
              for callers, rate, writes, p50, p99, longest in rows),
            f"\nA change takes {per_change} bytes of the log, its index included.",
            f"\n## Imports of {number(total)} features, s; {'medians of three' if rounds == 3 else 'one'}, in turns\n",
            "| | with the change log | without its triggers | ratio |",
            "|---|---:|---:|---:|",
            *(f"| {kind} | {logged:.1f} | {bare:.1f} | {logged / bare:.2f} |" for kind, logged, bare in imports),
        ]

    publish(lines, options.save)


main()
