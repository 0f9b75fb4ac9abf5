"""The measuring half of postgis.sh: starts a cluster and the servers on it, loads them and psql in turns, and prints the tables.

Usage: measure_postgis.py WORKFOLDER [--save [NAME]] [--quick]"""
import datetime
import random
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Callable

import grpc

from cluster import SETTINGS, Cluster
from load import ALONE, BUSY, Load, arguments, command, machine, number, publish, say, start_service, take_turns
from messages import WORLD, point, rectangle, shuffled, synthetic_features, write_body, write_csv

# A tenth of the world, in E7: of features spread evenly over the grid it has a tenth.
SOUTH, WEST, NORTH, EAST = -300_000_000, -540_000_000, 300_000_000, 540_000_000

COLUMNS = "latitude, longitude, name"
RECTANGLE = f"location && ST_MakeEnvelope({WEST / 1e7}, {SOUTH / 1e7}, {EAST / 1e7}, {NORTH / 1e7}, 4326)"
COPY_RECTANGLE = f"(SELECT {COLUMNS} FROM feature WHERE {RECTANGLE})"
COPY_ALL = f"(SELECT {COLUMNS} FROM feature)"


@dataclass
class Row:
    """A measurement and its peer. Both measure for a time in seconds, and return figures."""

    label: str
    ours: Callable | None
    beside: str = ""
    other: Callable | None = None


def write_files(work, features):
    """Writes the features and requests of the servers; returns the number of features in the rectangle."""
    write_csv(work / "places.csv", features)

    # The same on the other side of the equator: all of it different.
    write_csv(work / "others.csv", [(-latitude, longitude, name) for latitude, longitude, name in features])

    # For \copy, as the table has it.
    with open(work / "rows.csv", "w", encoding="utf-8") as file:
        file.writelines(f'{latitude},{longitude},"{name}"\n' for latitude, longitude, name in features)

    write_body(work / "world.bin", WORLD)
    write_body(work / "rectangle.bin", rectangle(SOUTH, WEST, NORTH, EAST))
    dice = random.Random(1)
    small = [(dice.randrange(-900_000_000, 890_000_000), dice.randrange(-1_800_000_000, 1_790_000_000)) for _ in range(10_000)]
    write_body(work / "small.bin", *(rectangle(south, west, south + 10**7, west + 10**7) for south, west in small))
    write_body(work / "nothing.bin", *(rectangle(south, west, south + 1, west + 1) for south, west in small))
    points = [point(latitude, longitude) for latitude, longitude, _ in features[:100_000]]
    write_body(work / "route.bin", *points)
    write_body(work / "points.bin", *shuffled(points))
    return sum(SOUTH <= latitude <= NORTH and WEST <= longitude <= EAST for latitude, longitude, _ in features)


def reading(cluster, work, total, inside, seconds, rounds, warm_up):
    """Yields the lines of the table of reads."""
    load = Load(work)

    say("Reading: import")
    cluster.create("places")
    command("import", work / "places.csv", environment=cluster.environment("places"))
    cluster.create("unsorted")
    copy_in(cluster, work, "unsorted")
    for database in ("places", "unsorted"):
        cluster.psql(database, "VACUUM ANALYZE feature;")

    embedded_store = {"RouteService__Sqlite__Path": str(work / "places.db")}
    command("import", work / "places.csv", environment=embedded_store)

    postgis = cluster.environment("places")
    services = [
        start_service("RouteService", work, postgis),
        start_service("uncoalesced", work, postgis | {"RouteService__Postgres__MaxLookUpBatch": "1"}),
        start_service("embedded", work, embedded_store),
    ]
    ours, uncoalesced, embedded = services
    get = load.calls("GetFeature", work / "points.bin", "--split", *BUSY)
    list_inside = load.listed(work / "rectangle.bin", inside, *ALONE)
    list_small = load.calls("ListFeatures", work / "small.bin", "--split", *BUSY, expected=-1)
    list_nothing = load.calls("ListFeatures", work / "nothing.bin", "--split", *BUSY, expected=0)
    record = load.recorded(work / "route.bin", *ALONE)
    record_four = load.recorded(work / "route.bin", "-c", 4, "-m", 1)
    rows = [
        Row(f"ListFeatures, {number(inside)} of {number(total)}: features/s", list_inside,
            "`\\copy` of the same rectangle", cluster.copied("places", COPY_RECTANGLE)),
        Row("the same rectangle", list_inside, "the embedded store", lambda _, time: list_inside(embedded, time)),
        Row("the same rectangle", None, "`\\copy` of it, of rows on disk as they came", cluster.copied("unsorted", COPY_RECTANGLE)),
        Row(f"ListFeatures, all {number(total)}: features/s", load.listed(work / "world.bin", total, *ALONE),
            "`\\copy` of all", cluster.copied("places", COPY_ALL)),
        Row("ListFeatures, 1° × 1°, many: calls/s", list_small),
        Row("ListFeatures, rectangles with nothing in them: calls/s", list_nothing, "GetFeature, a query each",
            lambda _, time: get(uncoalesced, time)),
        Row("GetFeature, many points: calls/s", get, "a query each", lambda _, time: get(uncoalesced, time)),
        Row("the same", get, "the embedded store", lambda _, time: get(embedded, time)),
        Row("RecordRoute, one route of 100 000 points: points/s", record, "the embedded store", lambda _, time: record(embedded, time)),
        Row("RecordRoute, four of them at once: points/s", record_four, "the embedded store", lambda _, time: record_four(embedded, time)),
    ]
    try:
        yield "Memory at rest: MB", ours.megabytes_at_rest, "", None
        for row in rows:
            say(f"Reading: {row.label}")
            sides = {side: lambda time, side=side: side(ours, time) for side in (row.ours, row.other) if side}
            results = take_turns(sides, seconds, rounds, warm_up)
            rates = {side: statistics.median(figures.rate for figures in results[side]) for side in sides}
            yield row.label, rates.get(row.ours), row.beside, rates.get(row.other)
            if row.beside == "`\\copy` of all":
                yield "Memory after all these lists: MB", ours.megabytes(), "", None
        yield "Memory after all that: MB", ours.megabytes(), "", None
    finally:
        for service in services:
            service.stop()

    # Its own server, so that nothing that was read before is in its memory.
    fresh = start_service("read slowly", work, postgis)
    try:
        say("Reading: a client that reads slowly")
        (early, late) = read_slowly(fresh, (work / "world.bin").read_bytes(), total)
        yield f"Memory, a tenth of {number(total)} features read by a slow client: MB", early, "at the last of them, at most", late
    finally:
        fresh.stop()


def read_slowly(server, body, total):
    """Lists all, at no more than 50 000 features a second; the most memory that the server has had after a tenth and at the end."""
    with grpc.insecure_channel(server.address) as channel:
        list_features = channel.unary_stream("/routeguide.RouteGuide/ListFeatures")
        early = 0
        for i, _ in enumerate(list_features(body[5:]), 1):
            if i % 1_000 == 0:
                time.sleep(0.02)
            if i == total // 10:
                early = server.megabytes_at_most()
        if i != total:
            sys.exit(f"{server.name} sent {i} features; expected {total}")
    return early, server.megabytes_at_most()


def copy_in(cluster, work, database):
    """As a program that knows nothing of the order: into the table with its indexes."""
    started = time.monotonic()
    cluster.psql(database, f"\\copy feature ({COLUMNS}) FROM '{work / 'rows.csv'}' WITH (FORMAT csv, FORCE_NOT_NULL (name))")
    return time.monotonic() - started


def importing(cluster, work, total, rounds):
    """Returns the lines of the table of imports, and those of sizes."""
    cluster.create("imports")
    cluster.psql("imports", "CREATE ROLE importer LOGIN; GRANT SELECT ON schema_migration TO importer;",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON feature TO importer;")
    owner, importer = cluster.environment("imports"), cluster.environment("imports", "importer")

    # Each starts in an empty database, or in what the one before has left; none in another's write-ahead log.
    empty = lambda: cluster.psql("imports", "TRUNCATE feature;", "CHECKPOINT;")
    settled = lambda: cluster.psql("imports", "CHECKPOINT;")
    steps = [
        ("\\copy", empty, lambda: copy_in(cluster, work, "imports")),
        ("granted", empty, lambda: command("import", work / "places.csv", environment=importer)),
        ("import", empty, lambda: command("import", work / "places.csv", environment=owner)),
        ("again", settled, lambda: command("import", work / "places.csv", environment=owner)),
        ("replace", settled, lambda: command("import", work / "others.csv", "--replace", environment=owner)),
    ]
    seconds = {name: [] for name, _, _ in steps}
    sizes = {}
    for i in range(rounds):
        say(f"Import, round {i + 1}")
        for name, prepare, step in steps:
            prepare()
            seconds[name].append(step())
            sizes[name] = cluster.sizes("imports")
    rate = {name: total / statistics.median(values) for name, values in seconds.items()}
    return [
        (f"Import of {number(total)} from CSV into an empty database: rows/s", rate["import"],
         "`\\copy` into the same table", rate["\\copy"]),
        ("the same by a role that does not own the table: rows/s", rate["granted"], "`\\copy` into the same table", rate["\\copy"]),
        ("the same again, nothing changed: rows/s", rate["again"], "", None),
        ("`--replace` by others, nothing the same: rows/s", rate["replace"], "", None),
    ], [
        ("imported into an empty database", sizes["import"]),
        ("imported by a role that does not own the table", sizes["granted"]),
        ("`\\copy` as they came", sizes["\\copy"]),
        ("replaced by others, before VACUUM", sizes["replace"]),
    ]


def table(lines):
    yield "| | RouteService | beside | | ratio |"
    yield "|---|---:|---|---:|---:|"
    for label, ours, beside, other in lines:
        ratio = f"{ours / other:.2f}" if ours and other else ""
        yield f"| {label} | {number(ours) if ours else ''} | {beside} | {number(other) if other else ''} | {ratio} |"


def size_table(lines, total):
    yield "| MB a million rows | table | primary key | GiST | codes | in all |"
    yield "|---|---:|---:|---:|---:|---:|"
    for label, sizes in lines:
        yield f"| {label} | {' | '.join(number(size * 1e6 / total) for size in [*sizes, sum(sizes)])} |"


def main():
    options = arguments("-postgis").parse_args()
    total, seconds, rounds, warm_up = (100_000, 0.5, 1, 1) if options.quick else (1_000_000, 3, 5, 10)

    inside = write_files(options.work, synthetic_features(total))
    with Cluster(options.work) as cluster:
        server = cluster.psql("postgres", "SHOW server_version;").split()[0]
        postgis = cluster.psql("postgres", "SELECT default_version FROM pg_available_extensions WHERE name = 'postgis';")
        lines = [
            f"# RouteService on PostGIS, {datetime.date.today()}\n",
            f"`bench/postgis.sh {' '.join(sys.argv[2:])}".rstrip() + "`\n",
            machine(f"PostgreSQL {server}", f"PostGIS {postgis}"),
            f"\nPostgreSQL has {', '.join(f'{key} {value}' for key, value in SETTINGS.items())}, and is at its defaults otherwise, so it "
            f"is durable: fsync is {cluster.psql('postgres', 'SHOW fsync;')}.",
            f"\n{'The median of five rounds' if rounds == 5 else 'One short round'}, of {seconds} s each after {warm_up} s of warm-up "
            "where they are reads; both sides take turns. How to read it: bench/README.md.",
            "\n## Reads\n",
            *table(list(reading(cluster, options.work, total, inside, seconds, rounds, warm_up))),
            "\n## Import\n",
        ]
        imports, sizes = importing(cluster, options.work, total, rounds)
        lines += [*table(imports), "\n## Sizes\n", *size_table(sizes, total)]

    publish(lines, options.save)


main()
