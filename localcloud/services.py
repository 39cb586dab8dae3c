"""The processes of the local cloud: starts them detached, and stops exactly those."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud.home import Home, write_atomically
from localcloud.processes import has_variable

START_SECONDS = 60.0
STOP_SECONDS = 10.0

_HERE = Path(__file__).parent
_POLL_SECONDS = 0.05

#: The environment variable by which a service is known: another process may get its id later.
_START = "LOCALCLOUD_START"


class ServiceError(Exception):
    """A service cannot be started; the message says in one line which and why."""


@dataclass(frozen=True)
class Service:
    """A process of the local cloud; `ports` are its keys in `Home.ports`."""

    name: str
    ports: tuple[str, ...]
    command: Callable[[Home], list[str]]


def _python(module: str) -> Callable[[Home], list[str]]:
    return lambda _: [sys.executable, "-m", module]


def _azurite(home: Home) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise ServiceError("blob: node is not on PATH; install Node.js 20 or later")
    if not (_HERE / "node_modules").is_dir():
        raise ServiceError("blob: Azurite is not installed; run `npm ci --prefix localcloud`")
    options = {
        "--blobHost": "127.0.0.1",
        "--blobPort": str(home.ports["blob"]),
        "--location": str(home.path / "blob"),
        "--cert": str(home.certificate),
        "--key": str(home.certificate_key),
        "--oauth": "basic",
    }
    switches = ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    return [
        node,
        # an upload becomes garbage at once: with V8's default of 16 MB for young objects, collecting it takes
        # longer than everything else (https://nodejs.org/api/cli.html#--max-semi-space-sizesize-in-mib)
        "--max-semi-space-size=64",
        str(_HERE / "azurite.js"),
        *(part for option in options.items() for part in option),
        *switches,
    ]


SERVICES = {
    service.name: service
    for service in (
        Service("blob", ("blob",), _azurite),
        Service("snowflake", ("snowflake",), _python("localcloud.snowflake")),
        Service("azure", ("azure", "identity"), _python("localcloud.workspace")),
        Service("providers", ("azure-native", "kubernetes"), _python("localcloud.providers")),
    )
}


@contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Hold the lock under which one command at a time starts or stops this local cloud."""
    home.path.mkdir(parents=True, exist_ok=True)
    with (home.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running_pid(home: Home, service: Service) -> int | None:
    """Return the process id of the service, if that process is the one that was started."""
    try:
        noted = json.loads(_pid_file(home, service).read_text())
    except FileNotFoundError:
        return None
    pid = int(noted["pid"])
    return pid if has_variable(pid, _START, noted["start"]) else None


def is_healthy(home: Home, service: Service) -> bool:
    """Return whether the service runs and accepts connections on all its ports."""
    return running_pid(home, service) is not None and all(_answers(home.ports[key]) for key in service.ports)


def start_services(home: Home, services: Sequence[Service]) -> list[Service]:
    """Start those of `services` that do not run, wait until all answer, and return the started ones."""
    stopped = [service for service in services if running_pid(home, service) is None]
    for service in stopped:
        _check_ports(home, service)
    started = {service.name: _start(home, service) for service in stopped}
    deadline = time.monotonic() + START_SECONDS
    for service in services:
        _wait_until_healthy(home, service, started.get(service.name), deadline)
    return stopped


def stop_services(home: Home) -> None:
    """Stop all services of this local cloud: SIGTERM, then SIGKILL to those that are still running."""
    _signal(home, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and any(running_pid(home, s) for s in SERVICES.values()):
        time.sleep(_POLL_SECONDS)
    _signal(home, signal.SIGKILL)
    for service in SERVICES.values():
        _pid_file(home, service).unlink(missing_ok=True)


def _signal(home: Home, number: signal.Signals) -> None:
    for service in SERVICES.values():
        pid = running_pid(home, service)
        if pid is not None:
            os.kill(pid, number)


def _check_ports(home: Home, service: Service) -> None:
    for key in service.ports:
        if _answers(home.ports[key]):
            raise ServiceError(
                f"{service.name}: port {home.ports[key]} is taken by another program: stop it, "
                f"or set ports.{key} in {home.path / 'localcloud.json'}"
            )


def _start(home: Home, service: Service) -> subprocess.Popen[bytes]:
    log = log_file(home, service)
    log.parent.mkdir(parents=True, exist_ok=True)
    start = uuid.uuid4().hex
    with log.open("ab") as output:
        process = subprocess.Popen(
            service.command(home),
            cwd=_HERE.parent,
            env=os.environ | {"LOCALCLOUD_HOME": str(home.path), _START: start},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    noted = {"pid": process.pid, "start": start}
    write_atomically(_pid_file(home, service), json.dumps(noted) + "\n")
    return process


def _wait_until_healthy(
    home: Home, service: Service, process: subprocess.Popen[bytes] | None, deadline: float
) -> None:
    while not is_healthy(home, service):
        if process is not None and process.poll() is not None:
            raise ServiceError(f"{service.name}: did not start: {_last_line(log_file(home, service))}")
        if time.monotonic() > deadline:
            last_line = _last_line(log_file(home, service))
            raise ServiceError(f"{service.name}: no answer within {START_SECONDS:.0f} s: {last_line}")
        time.sleep(_POLL_SECONDS)


def log_file(home: Home, service: Service) -> Path:
    """Return the file with the service's output."""
    return home.path / "logs" / f"{service.name}.log"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def _pid_file(home: Home, service: Service) -> Path:
    return home.path / "pids" / f"{service.name}.json"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
