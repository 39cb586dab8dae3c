"""The importer's command, forked from the tests' process: its start costs nothing, and it can be killed."""

import faulthandler
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from importer.__main__ import main
from importer.lake.azure import credential
from importer.spec.import_spec import ImportSpec
from importer.spec.scheduled_job import SPEC_VARIABLE
from localcloud.home import Home
from tests.fault_proxy import FaultProxy, redirected


class Ended(NamedTuple):
    """How a run ended: its exit code (-9 if it was killed, None after a timeout), and what it wrote."""

    code: int | None
    stdout: str
    stderr: str


class ForkedCommand:
    """`python -m importer` with `arguments`, in a process that is forked from this one.

    `variables` are set in its environment; it connects to the ports that `ports` gives for others. After
    `hangs_after` seconds it writes to standard error where it is.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        ports: Mapping[int, int] | None = None,
        hangs_after: int = 170,
    ) -> None:
        self._files = [folder / f"{id(self)}.{name}" for name in ("out", "err")]
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(arguments, variables, ports or {}, self._files, hangs_after)
        )
        self._process.start()

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return not self._process.is_alive()

    def kill(self) -> None:
        """Kill the process, and return when it has ended."""
        self._process.kill()
        self._process.join()

    def end(self, timeout: float = 60) -> Ended:
        """Return how the process ended; after `timeout` seconds it is killed."""
        self._process.join(timeout)
        code = self._process.exitcode
        self.kill()
        return Ended(code, *(file.read_text() for file in self._files))


class ForkedRun(ForkedCommand):
    """One `importer run`, which calls the services through the proxy."""

    def __init__(self, spec: ImportSpec, version: str, proxy: FaultProxy, folder: Path) -> None:
        arguments = ("run", spec.name, "--version", version)
        variables = {SPEC_VARIABLE: spec.model_dump_json()}
        super().__init__(arguments, folder, variables, proxy.ports, hangs_after=30)


def _run(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    ports: Mapping[int, int],
    files: list[Path],
    hangs_after: int,
) -> None:
    for descriptor, file in zip((1, 2), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    faulthandler.dump_traceback_later(hangs_after, file=sys.stderr)
    os.environ.update(variables)
    sys.argv = ["importer", *arguments]
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
