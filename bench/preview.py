"""`python -m bench.preview`: measures `make preview STACK=prod OFFLINE=1`, and writes bench/preview.json.

Seconds depend on the machine and on what else it does; the ratio of the program's CPU to that of its imports
alone does not, nearly. Both are measured in turn, and the medians count.
"""

import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console
from rich.table import Table

from tools import offline_preview

RESULTS = Path(__file__).with_name("preview.json")
TIMES = 3

#: How many imports are added to prod's, to see what one more takes.
MORE_IMPORTS = 100


class Preview(NamedTuple):
    """What a preview of one stack took; CPU seconds are of all processes, and of the program alone."""

    seconds: float
    cpu_seconds: float
    program_cpu_seconds: float
    imports_cpu_seconds: float
    """Of a process that only loads the modules that the program has loaded by its end."""
    imports_without_collection_cpu_seconds: float
    """The same, loaded as `__main__.py` does it: without garbage collection."""


def main() -> None:
    """Measure prod as it is and with 100 imports more, in turn."""
    prod = yaml.safe_load(offline_preview.config_of("prod").read_text())
    as_it_is, with_more = [], []
    for _ in range(TIMES):
        as_it_is.append(measure(prod))
        with_more.append(measure(with_more_imports(prod)))
    found, more = median(as_it_is), median(with_more)
    document = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "preview_seconds": round(found.seconds, 2),
        "preview_cpu_seconds": round(found.cpu_seconds, 2),
        "program_cpu_seconds": round(found.program_cpu_seconds, 2),
        "imports_cpu_seconds": round(found.imports_cpu_seconds, 2),
        "imports_without_collection_cpu_seconds": round(found.imports_without_collection_cpu_seconds, 2),
        "program_to_imports": round(found.program_cpu_seconds / found.imports_cpu_seconds, 2),
        "program_to_imports_without_collection": round(
            found.program_cpu_seconds / found.imports_without_collection_cpu_seconds, 2
        ),
        "program_ms_for_each_more_import": round(
            1000 * (more.program_cpu_seconds - found.program_cpu_seconds) / MORE_IMPORTS, 1
        ),
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in document.items():
        table.add_row(name.replace("_", " "), str(value))
    Console(width=110).print(table)


def with_more_imports(stack: dict[str, Any]) -> dict[str, Any]:
    """Return the stack's settings with `MORE_IMPORTS` copies of its first import."""
    more = copy.deepcopy(stack)
    imports = more["config"]["ai-platform:imports"]
    imports += [{**imports[0], "name": f"{imports[0]['name']}_{number}"} for number in range(MORE_IMPORTS)]
    return more


def measure(stack: dict[str, Any]) -> Preview:
    """Preview a stack with these settings, then load its program's modules alone."""
    with tempfile.TemporaryDirectory(prefix="bench-preview-") as name:
        directory = Path(name)
        settings = directory / "Pulumi.prod.yaml"
        settings.write_text(yaml.safe_dump(stack))
        program = directory / "program.json"
        variables = {
            "BENCH_PROGRAM": str(program),
            "PYTHONPATH": str(Path(__file__).with_name("as_a_program")),
        }
        command = [sys.executable, "-m", "bench.preview", str(settings), str(directory / "preview")]
        before, start = children_cpu_seconds(), time.monotonic()
        subprocess.run(command, env=os.environ | variables, stdout=subprocess.DEVNULL, check=True)
        seconds, cpu_seconds = time.monotonic() - start, children_cpu_seconds() - before
        return Preview(
            seconds,
            cpu_seconds,
            json.loads(program.read_text())["cpu_seconds"],
            imports_alone(program, "plain"),
            imports_alone(program, "frozen"),
        )


def imports_alone(program: Path, way: str) -> float:
    """Return the CPU seconds of a process that loads the modules of the recorded program in this way."""
    command = [sys.executable, "-m", "bench.imports_alone", str(program), way]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def preview(settings: Path, directory: Path) -> int:
    """Preview the stack, and record what its program takes; return pulumi's exit code."""
    directory.mkdir()
    variables = {name: os.environ[name] for name in ("BENCH_PROGRAM", "PYTHONPATH")}
    return offline_preview.preview(settings, [], directory, variables)


def children_cpu_seconds() -> float:
    """Return the CPU seconds of all ended processes that this one has started, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def median(previews: list[Preview]) -> Preview:
    """Return the median of each measurement."""
    return Preview(*map(statistics.median, zip(*previews, strict=True)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(preview(*map(Path, sys.argv[1:])))
    main()
