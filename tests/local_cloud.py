"""A whole local cloud in a temporary directory, for the tests that call it with real clients."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from localcloud.certificate import ensure_certificate
from localcloud.environment import variables
from localcloud.home import Home

REPOSITORY = Path(__file__).parents[1]
PORTS = ("blob", "azure", "identity", "snowflake", "azure-native", "kubernetes")


@dataclass(frozen=True)
class Cloud:
    """A local cloud of a test's own; its services run once `start` has named them."""

    home: Home

    @property
    def env(self) -> dict[str, str]:
        """The variables of `.local/env`, as they are now."""
        return variables(self.home)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m localcloud` on this local cloud."""
        return subprocess.run(
            [sys.executable, "-m", "localcloud", *arguments],
            env={**os.environ, "LOCALCLOUD_HOME": str(self.home.path), **environment},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *services: str) -> None:
        """Start the services, or all; those that run already are left alone."""
        done = self.run("start", *services)
        assert done.returncode == 0, done.stderr

    def pid(self, service: str) -> int:
        """The process id that was noted for a service."""
        return int(json.loads((self.home.path / "pids" / f"{service}.json").read_text())["pid"])


@retry(retry=retry_if_not_result(bool), stop=stop_after_delay(60), wait=wait_fixed(0.1))
def wait_for_port(port: int) -> bool:
    """Return once somebody listens on `port`; a RetryError after a minute."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def new_cloud(path: Path) -> Cloud:
    """Return a local cloud with ports that are free now; nothing of it runs yet."""
    path.mkdir(parents=True, exist_ok=True)
    sockets = [socket.socket() for _ in PORTS]
    for probe in sockets:
        probe.bind(("127.0.0.1", 0))
    ports = {name: probe.getsockname()[1] for name, probe in zip(PORTS, sockets, strict=True)}
    for probe in sockets:
        probe.close()
    (path / "localcloud.json").write_text(json.dumps({"ports": ports}))
    home = Home.open(path)
    ensure_certificate(home)
    _trust_only_the_local_authority(home)
    return Cloud(home)


def _trust_only_the_local_authority(home: Home) -> None:
    """Leave out the public authorities: each connection of a client would read them, which takes 15 ms."""
    _, begin, authority = home.ca_bundle.read_text().rpartition("-----BEGIN CERTIFICATE-----")
    home.ca_bundle.write_text(begin + authority)
