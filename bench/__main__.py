"""`python -m bench`: measures imports in mode `stream` and curation, and writes bench/results.json.

The local Snowflake and Azurite run on the same machine and share its cores.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from bench.measure import container
from bench.tables import NARROW, WIDE, Generator, Shape
from localcloud.environment import variables
from localcloud.home import Home
from localcloud.services import SERVICES, running_pid

RESULTS = Path(__file__).with_name("results.json")


class Case(NamedTuple):
    """A table, the ways to process it, and how often each is measured."""

    shape: Shape
    rows: int
    ways: tuple[str, ...]
    times: int


#: The ways that a job runs, measured with a job's packages; the others have all of this project's.
JOB_WAYS = ("import", "curate")

#: The largest table has no way `pandas`: its data frame needs more than 24 GB of memory.
CASES = (
    Case(NARROW, 1_000_000, ("limit", "import", "pandas"), 2),
    Case(NARROW, 10_000_000, ("limit", "import", "curate", "pandas"), 1),
    Case(WIDE, 1_000_000, ("limit", "import", "pandas"), 1),
    Case(WIDE, 10_000_000, ("limit", "import"), 1),
)


class Measured(NamedTuple):
    """The fastest measurement of a way, and its largest memory peak.

    `cloud_cpu_seconds` is the CPU time of the local cloud during the measurement.
    """

    table: str
    columns: int
    rows: int
    way: str
    seconds: float
    cpu_seconds: float
    cloud_cpu_seconds: float
    peak_mb: int


@contextmanager
def local_cloud() -> Iterator[Home]:
    """Run a local cloud for the benchmark, in a folder that is deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    environment = {**os.environ, "LOCALCLOUD_HOME": str(folder)}
    command = [sys.executable, "-m", "localcloud"]
    try:
        subprocess.run([*command, "start", "blob", "snowflake", "azure"], env=environment, check=True)
        home = Home.open(folder)
        container(home).create_container()
        yield home
    finally:
        subprocess.run([*command, "stop"], env=environment, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def measure(home: Home, case: Case) -> list[Measured]:
    """Measure each way with the table of `case`; the ways take turns."""
    query_id = Generator(home).store(case.shape, case.rows)
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in case.ways}
    for _ in range(case.times):
        for way, found in runs.items():
            found.append(_run(home, way, query_id, case.rows))
    shutil.rmtree(home.path / "results" / query_id)
    return [_best(case, way, found) for way, found in runs.items()]


def _run(home: Home, way: str, query_id: str, rows: int) -> dict[str, float]:
    """Measure in a new process, so that earlier measurements leave no memory and no modules."""
    environment = {**os.environ, **variables(home), "LOCALCLOUD_HOME": str(home.path)}
    if way in JOB_WAYS:
        environment["PYTHONPATH"] = str(Path(__file__).with_name("as_a_job"))
    before = _cloud_cpu_seconds(home)
    done = subprocess.run(
        [sys.executable, "-m", "bench.measure", way, query_id],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    if found["rows"] != rows:
        raise SystemExit(f"{way} of {rows} rows wrote {found['rows']}")
    return {**found, "cloud_cpu_seconds": _cloud_cpu_seconds(home) - before}


def _cloud_cpu_seconds(home: Home) -> float:
    """Return the CPU time of the local cloud's services."""
    running = (running_pid(home, SERVICES[name]) for name in ("blob", "snowflake", "azure"))
    times = [psutil.Process(pid).cpu_times() for pid in running]
    return float(sum(time.user + time.system for time in times))


def _best(case: Case, way: str, runs: list[dict[str, float]]) -> Measured:
    best = min(runs, key=lambda run: run["seconds"])
    return Measured(
        case.shape.name,
        case.shape.columns,
        case.rows,
        way,
        round(best["seconds"], 2),
        round(best["cpu_seconds"], 2),
        round(best["cloud_cpu_seconds"], 2),
        round(max(run["peak_bytes"] for run in runs) / 2**20),
    )


def print_table(measured: list[Measured]) -> None:
    """Print each measurement, also as a ratio of the limit with the same table."""
    limits = {(m.table, m.rows): m.seconds for m in measured if m.way == "limit"}
    table = Table(box=None, pad_edge=False)
    for name in (
        "TABLE",
        "COLUMNS",
        "ROWS",
        "WAY",
        "SECONDS",
        "CPU",
        "CLOUD",
        "ROWS/S",
        "OF THE LIMIT",
        "PEAK MB",
    ):
        table.add_column(name, justify="left" if name in ("TABLE", "WAY") else "right")
    for m in measured:
        table.add_row(
            m.table,
            str(m.columns),
            f"{m.rows:,}",
            m.way,
            f"{m.seconds:.2f}",
            f"{m.cpu_seconds:.2f}",
            f"{m.cloud_cpu_seconds:.2f}",
            f"{m.rows / m.seconds:,.0f}",
            f"{limits[m.table, m.rows] / m.seconds:.2f}",
            str(m.peak_mb),
        )
    Console(width=110).print(table)


def main() -> None:
    """Measure all cases, and write the results after each."""
    measured: list[Measured] = []
    with local_cloud() as home:
        for case in CASES:
            measured += measure(home, case)
            document = {
                "measured": datetime.now(UTC).isoformat(timespec="seconds"),
                "cores": os.cpu_count(),
                "load": round(os.getloadavg()[0], 1),
                "results": [m._asdict() for m in measured],
            }
            RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print_table(measured)


if __name__ == "__main__":
    main()
