"""The measuring half of features.sh: starts a cluster and the service on it, loads it and pgbench in turns, and prints the table.

Usage: measure_features.py WORKFOLDER [--save [NAME]] [--quick]"""
import datetime
import random
import re
import statistics
import struct
import subprocess
import sys

import grpc

from cluster import SETTINGS, Cluster
from load import ALONE, Figures, Load, arguments, command, machine, number, publish, say, start_service, take_turns
from messages import field, fields, sint_point, synthetic_features, varint, write_body, write_csv

SERVICE = "/routeservice.v1.Features/"

# Fifty callers on five connections; as many sessions of pgbench.
FIFTY = ("-c", 5, "-m", 10)

BATCH = 1_000
PAGE = 1_000

RANDOM_PLACE = r"""\set lat random(-600000000, 600000000)
\set lon random(-1700000000, 1700000000)
"""
POINT = "ST_SetSRID(ST_MakePoint(:lon / 1e7::float8, :lat / 1e7::float8), 4326)::geography"
NEAREST = RANDOM_PLACE + (
    f"SELECT latitude, longitude, name, location::geography <-> {POINT} FROM feature ORDER BY location::geography <-> {POINT} LIMIT 10;\n")
RADIUS = RANDOM_PLACE + f"SELECT latitude, longitude, name FROM feature WHERE ST_DWithin(location::geography, {POINT}, :radius, false);\n"

# Names have a number of seven digits: the first five are those of a hundred features, less the few without a name.
TEXT = r"""\set n random(0, :prefixes - 1)
SELECT latitude, longitude, name FROM feature WHERE search_key(name) LIKE '%feature ' || lpad((:n)::text, :digits, '0') || '%';
"""
NEAREST_OF_KIND = RANDOM_PLACE + f"""WITH found AS MATERIALIZED (
    SELECT latitude, longitude, name, location FROM feature JOIN feature_properties USING (latitude, longitude)
    WHERE properties @> '{{"kind": 7}}' LIMIT 10001)
SELECT latitude, longitude, name, location::geography <-> {POINT} FROM found ORDER BY location::geography <-> {POINT} LIMIT 10;
"""
KINDS = 1_000


def number_field(tag, value):
    return bytes([tag << 3]) + varint(value)


def near_request(latitude, longitude, limit):
    """SearchFeaturesRequest{near, page_size}."""
    return field(2, sint_point(latitude, longitude)) + number_field(3, limit)


def circle_request(latitude, longitude, meters):
    """SearchFeaturesRequest{filter{area{circle{center, radius_meters}}}, page_size}."""
    circle = field(1, sint_point(latitude, longitude)) + b"\x11" + struct.pack("<d", meters)
    return field(1, field(1, field(2, circle))) + number_field(3, 1_000)


def text_request(text):
    """SearchFeaturesRequest{filter{text}, page_size}."""
    return field(1, field(2, text.encode())) + number_field(3, PAGE)


def near_kind_request(latitude, longitude, kind, limit):
    """SearchFeaturesRequest{filter{properties{fields{"kind": number}}}, near, page_size}."""
    value = b"\x11" + struct.pack("<d", kind)
    return field(1, field(3, field(1, field(1, b"kind") + field(2, value)))) + near_request(latitude, longitude, limit)


def page_request(token):
    """SearchFeaturesRequest{page_size, page_token}."""
    return number_field(3, PAGE) + (field(4, token) if token else b"")


def batch_request(features, name):
    """BatchUpdateFeaturesRequest{requests{feature{location, display_name}, allow_missing}}."""
    return b"".join(
        field(1, field(1, field(2, sint_point(latitude, longitude)) + field(3, name)) + number_field(3, 1))
        for latitude, longitude, _ in features)


def places(count):
    dice = random.Random(2)
    return [(dice.randrange(-600_000_000, 600_000_001), dice.randrange(-1_700_000_000, 1_700_000_001)) for _ in range(count)]


class Bench:
    """Runs of pgbench, with prepared statements."""

    def __init__(self, cluster, work):
        self._cluster, self._work = cluster, work

    def script(self, name, text, callers, things=1, **variables):
        path = self._work / f"{name}.sql"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)

        def measure(_, seconds):
            # The first statement of each session loads PostGIS, which must not count for much.
            time = round(seconds + callers / 5)
            run = subprocess.run(
                ["pgbench", "-n", "-M", "prepared", "-c", str(callers), "-j", str(min(callers, 2)), "-T", str(time),
                 *(f"-D{key}={value}" for key, value in variables.items()), "-f", path,
                 "-h", "127.0.0.1", "-p", str(self._cluster.port), "-U", "postgres", "places"],
                capture_output=True, encoding="utf-8", check=False)
            rate = re.search(r"tps = ([\d.]+)", run.stdout)
            if run.returncode != 0 or not rate:
                sys.exit(f"pgbench failed: {run.stdout}{run.stderr}")
            return Figures(count=float(rate[1]) * things, seconds=1)

        return measure


def tokens_of_pages(server, wanted):
    """The tokens by which these pages, counted from 1, are asked for."""
    tokens, token = {}, b""
    with grpc.insecure_channel(server.address, [("grpc.max_receive_message_length", -1)]) as channel:
        search = channel.unary_unary(f"{SERVICE}SearchFeatures")
        for page in range(1, max(wanted) + 1):
            tokens[page] = token
            if page < max(wanted):
                token = next(value for tag, value in fields(search(page_request(token))) if tag == 2)
    return [tokens[page] for page in wanted]


def mean_results(server, requests):
    with grpc.insecure_channel(server.address) as channel:
        search = channel.unary_unary(f"{SERVICE}SearchFeatures")
        return round(statistics.mean(sum(tag == 1 for tag, _ in fields(search(request))) for request in requests))


def stream_all(server, total):
    """Memory at most, after a tenth of a stream of all features and at its end."""
    early = received = 0
    with grpc.insecure_channel(server.address, [("grpc.max_receive_message_length", -1)]) as channel:
        for message in channel.unary_stream(f"{SERVICE}StreamFeatures")(b""):
            received += sum(tag == 1 for tag, _ in fields(message))
            if not early and received >= total // 10:
                early = server.megabytes_at_most()
    if received != total:
        sys.exit(f"{server.name} streamed {received} features; expected {total}")
    return early, server.megabytes_at_most()


def measure(cluster, work, total, seconds, rounds, warm_up):
    """Yields the lines of the table."""
    features = synthetic_features(total)
    write_csv(work / "places.csv", features)
    say("Import")
    cluster.create("places")
    command("import", work / "places.csv", environment=cluster.environment("places"))
    cluster.psql("places", "VACUUM ANALYZE feature;")

    # Memory of the stream first, from a fresh server.
    server = start_service("RouteService", work, cluster.environment("places"))
    try:
        say("A stream of all features")
        early, late = stream_all(server, total)
        page_2, last = tokens_of_pages(server, (2, total // PAGE))
        load, bench = Load(work), Bench(cluster, work)

        # With a geography index, which the service does not have, so the service does not pay for it: only writes come after it.
        around = places(10_000)
        meters = round(160_000 * (1_000_000 / total) ** 0.5)
        near = [near_request(*place, 10) for place in around]
        circle = [circle_request(*place, meters) for place in around]
        searches = load_of(work, load)
        cluster.psql("places", "CREATE INDEX bench_geography ON feature USING gist ((location::geography));", "ANALYZE feature;")
        rows = [
            ("Nearest 10, one caller: calls/s", searches("near", near, ALONE), "SQL", bench.script("nearest-1", NEAREST, 1)),
            ("Nearest 10, 50 callers: calls/s", searches("near", near, FIFTY), "SQL", bench.script("nearest-50", NEAREST, 50)),
            (f"Circle of {meters / 1000:.0f} km, {mean_results(server, circle[:200])} results, one caller: calls/s", searches("circle", circle, ALONE),
             "SQL", bench.script("radius-1", RADIUS, 1, radius=meters)),
            ("The same, 50 callers: calls/s", searches("circle", circle, FIFTY), "SQL", bench.script("radius-50", RADIUS, 50, radius=meters)),
            (f"Page {total // PAGE} of all, {PAGE} features each: pages/s", searches("last", [page_request(last)], ALONE),
             "page 2", searches("second", [page_request(page_2)], ALONE)),
        ]
        yield from lines(rows, server, seconds, rounds, warm_up)
        cluster.psql("places", "DROP INDEX bench_geography;")

        dice = random.Random(3)
        batches = [batch_request(sorted(dice.sample(features, BATCH)), b"Written %d" % i) for i in range(20)]
        rows = [(f"Batches of {BATCH} updates: rows/s", searches("batches", batches, ALONE, name="BatchUpdateFeatures", things=BATCH),
                 "SQL, pipelined", bench.script("updates", pipeline(dice.sample(features, BATCH)), 1, BATCH))]
        yield from lines(rows, server, seconds, rounds, warm_up)

        cluster.psql(
            "places",
            "INSERT INTO feature_properties SELECT latitude, longitude, jsonb_build_object('kind', row_number() OVER () % "
            f"{KINDS}) FROM feature;",
            "VACUUM ANALYZE feature;", "VACUUM ANALYZE feature_properties;")
        some = [text_request(f"FEATURE {dice.randrange(total // 100):05}") for _ in range(10_000)]
        one = [text_request(f"feature {i:07}") for i in dice.sample([i for i in range(total) if i % 16 != 15], 10_000)]
        kind = [near_kind_request(*place, 7, 10) for place in around]
        rows = [
            (f"Text, {mean_results(server, some[:200])} results: calls/s", searches("text", some, ALONE),
             "SQL", bench.script("text", TEXT, 1, prefixes=total // 100, digits=5)),
            ("Text of one feature, a page: calls/s", searches("one", one, ALONE),
             "SQL", bench.script("one", TEXT, 1, prefixes=total, digits=7)),
            (f"A property that 1 in {number(KINDS)} has, nearest 10: calls/s", searches("kind", kind, ALONE),
             "SQL", bench.script("kind", NEAREST_OF_KIND, 1)),
        ]
        yield from lines(rows, server, seconds, rounds, warm_up)
        yield f"Memory, a tenth of {number(total)} features streamed: MB", early, "at the end, at most", late
    finally:
        server.stop()


def load_of(work, load):
    def searches(label, messages, options, name="SearchFeatures", things=1):
        calls = load.calls(f"{SERVICE}{name}", write_body(work / f"{label}.bin", *messages), "--split", *options)

        def measure(server, seconds):
            figures = calls(server, seconds)
            figures.count *= things
            return figures

        return measure

    return searches


def pipeline(features):
    """One transaction that updates these features, a statement each, without waiting for answers in between."""
    update = "INSERT INTO feature (latitude, longitude, name) VALUES ({}, {}, 'Written ' || :n) " \
        "ON CONFLICT (latitude, longitude) DO UPDATE SET name = excluded.name;"
    return "\n".join([
        r"\set n random(1, 1000000)", r"\startpipeline", "BEGIN;", *(update.format(lat, lon) for lat, lon, _ in sorted(features)), "COMMIT;",
        r"\endpipeline", ""])


def lines(rows, server, seconds, rounds, warm_up):
    for label, ours, beside, other in rows:
        say(label)
        sides = {"ours": lambda time, side=ours: side(server, time), "other": lambda time, side=other: side(server, time)}
        results = take_turns(sides, seconds, rounds, warm_up)
        ours, other = (statistics.median(figures.rate for figures in results[side]) for side in ("ours", "other"))
        yield label, ours, beside, other


def main():
    options = arguments("-features").parse_args()
    total, seconds, rounds, warm_up = (100_000, 1, 1, 1) if options.quick else (1_000_000, 3, 5, 5)
    with Cluster(options.work) as cluster:
        server = cluster.psql("postgres", "SHOW server_version;").split()[0]
        postgis = cluster.psql("postgres", "SELECT default_version FROM pg_available_extensions WHERE name = 'postgis';")
        report = [
            f"# routeservice.v1.Features on PostGIS, {datetime.date.today()}\n",
            f"`bench/features.sh {' '.join(sys.argv[2:])}".rstrip() + "`\n",
            machine(f"PostgreSQL {server}", f"PostGIS {postgis}"),
            f"\nPostgreSQL has {', '.join(f'{key} {value}' for key, value in SETTINGS.items())}, and is at its defaults otherwise.",
            f"\n{'The median of five rounds' if rounds == 5 else 'One short round'}, of {seconds} s each after {warm_up} s of warm-up; both sides "
            "take turns. How to read it: bench/README.md.\n",
            "| | RouteService | beside | | ratio |",
            "|---|---:|---|---:|---:|",
        ]
        for label, ours, beside, other in measure(cluster, options.work, total, seconds, rounds, warm_up):
            report.append(f"| {label} | {number(ours)} | {beside} | {number(other)} | {ours / other:.2f} |")
    publish(report, options.save)


main()
