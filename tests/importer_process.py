"""`python -m importer` in a process that a fork server starts.

Importing the importer's libraries takes a process three seconds. The fork server has imported them once, by
`tests/importer_libraries.py`. It does nothing else: it runs no thread of DuckDB or Arrow, which could hold a
lock during the fork.
"""

import faulthandler
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.importer_libraries", __name__])


def run_importer(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """Return the exit code and the output of `python -m importer`; a TimeoutExpired if it takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("out", "err")]
        for file in files:
            file.touch()
        process = _PROCESSES.Process(target=_run, args=(arguments, dict(environment), files, timeout - 10))
        process.start()
        process.join(timeout)
        code = process.exitcode
        process.kill()
        process.join()
        stdout, stderr = (file.read_text() for file in files)
    command = ["importer", *arguments]
    if code is None:
        raise subprocess.TimeoutExpired(command, timeout, stdout, stderr)
    return subprocess.CompletedProcess(command, code, stdout, stderr)


def _run(
    arguments: Sequence[str], environment: Mapping[str, str], files: Sequence[Path], hangs_after: float
) -> None:
    for descriptor, file in zip((1, 2), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), descriptor)
    faulthandler.dump_traceback_later(hangs_after, file=sys.stderr)
    os.chdir(_REPOSITORY)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["importer", *arguments]
    runpy.run_module("importer", run_name="__main__", alter_sys=True)
