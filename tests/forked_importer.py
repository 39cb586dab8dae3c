"""The importer's command, forked from the tests' process: its start costs nothing, and it can be killed."""

import faulthandler
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# the command imports these when it needs them: here, so that no fork has to
import importer.job.run
import importer.job.telemetry
import importer.versions.workspace  # noqa: F401
from importer.__main__ import main
from importer.lake.azure import credential
from importer.spec.import_spec import ImportSpec
from importer.spec.scheduled_job import SPEC_VARIABLE
from localcloud.home import Home
from tests.fault_proxy import FaultProxy, redirected


class Ended(NamedTuple):
    """How a run ended: its exit code, -9 where it was killed, and what it wrote."""

    code: int | None
    stdout: str
    stderr: str


class ForkedRun:
    """One `importer run` in a process of its own, which calls the services through the proxy."""

    def __init__(self, spec: ImportSpec, version: str, proxy: FaultProxy, folder: Path) -> None:
        self._files = [folder / f"{spec.name}-{version}-{id(self)}.{name}" for name in ("out", "err")]
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(spec, version, proxy.ports, self._files)
        )
        self._process.start()

    @property
    def has_ended(self) -> bool:
        """Whether it is no more."""
        return not self._process.is_alive()

    def kill(self) -> None:
        """Kill it, and return when it is dead."""
        self._process.kill()
        self._process.join()

    def end(self, timeout: float = 60) -> Ended:
        """Return how it ended, at the latest after `timeout` seconds: then it is killed, and has no code."""
        self._process.join(timeout)
        code = self._process.exitcode
        self.kill()
        return Ended(code, *(file.read_text() for file in self._files))


def _run(spec: ImportSpec, version: str, ports: Mapping[int, int], files: list[Path]) -> None:
    for descriptor, file in zip((1, 2), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    faulthandler.dump_traceback_later(30, file=sys.stderr)  # where it hangs, if it does
    os.environ[SPEC_VARIABLE] = spec.model_dump_json()
    sys.argv = ["importer", "run", spec.name, "--version", version]
    credential.cache_clear()
    code = 0
    with redirected(ports):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def proxied(home: Home) -> Iterator[FaultProxy]:
    """Serve a proxy for each service that an import calls."""
    tls = (home.certificate, home.certificate_key)
    services = {"blob": tls, "azure": tls, "identity": None, "snowflake": None}
    proxy = FaultProxy({name: home.ports[name] for name in services}, services)
    proxy.start()
    yield proxy
    proxy.stop()
