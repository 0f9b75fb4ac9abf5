"""A PostgreSQL for the measuring scripts, and the program on it."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from load import Figures, command, free_port

# Settings other than PostgreSQL's defaults. fsync, synchronous_commit and full_page_writes are on by default: committed data is on disk.
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


class Cluster:
    """A throw-away PostgreSQL of an ordinary user, on its own port."""

    def __init__(self, work):
        self._folder = work / "cluster"
        self._folder.mkdir()
        self._as = []
        if os.getuid() == 0:
            shutil.chown(self._folder, "postgres")
            self._as = ["runuser", "-u", "postgres", "--"]
        self._programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
        self.port = free_port()
        self._log = self._folder / "log"

    def __enter__(self):
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = "".join(f" -c {key}={value}" for key, value in SETTINGS.items())
        self._run("pg_ctl", "-D", data, "-w", "-l", self._log, "-o", f"-p {self.port} -k {self._folder}{options}", "start")
        return self

    def __exit__(self, *_):
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")

    def _run(self, program, *arguments):
        run = subprocess.run(
            [*self._as, self._programs / program, *arguments],
            cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if run.returncode != 0:
            sys.exit(f"{program} failed: {run.stderr.decode()}")

    def psql(self, database, *commands):
        """Runs commands in one session, and returns their output."""
        run = subprocess.run(
            ["psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database],
            input="\n".join(commands), capture_output=True, encoding="utf-8", check=False)
        if run.returncode != 0:
            sys.exit(f"psql failed: {run.stderr}")
        return run.stdout.strip()

    def environment(self, database, user="postgres"):
        return {"ConnectionStrings__RouteService": f"Host=127.0.0.1;Port={self.port};Username={user};Database={database}"}

    def create(self, database):
        self.psql("postgres", f"CREATE DATABASE {database};")
        command("migrate", environment=self.environment(database))

    def copied(self, database, query):
        """Rows of a query that go nowhere by psql's \\copy, as psql times it."""
        def measure(_, seconds):
            figures = Figures()
            while figures.seconds < seconds:
                printed = self.psql(database, "\\timing on", *[f"\\copy {query} TO '/dev/null' BINARY"] * 3)
                figures.count += 3 * self.count(database, query)
                figures.seconds += sum(float(time) for time in re.findall(r"Time: ([\d.]+) ms", printed)) / 1000
            return figures

        return measure

    def count(self, database, query, known={}):
        if (database, query) not in known:
            known[database, query] = int(self.psql(database, f"SELECT count(*) FROM {query} AS q;"))
        return known[database, query]

    def sizes(self, database):
        """Megabytes of the table, of its primary key, of its spatial index and of its index of codes."""
        return [int(size) / 1e6 for size in self.psql(database, "SELECT pg_relation_size(name) FROM unnest("
            "ARRAY['feature', 'feature_pkey', 'feature_location', 'feature_z_order']) WITH ORDINALITY AS r (name, i) ORDER BY i;").split()]
