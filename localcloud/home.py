"""The directory of a local cloud, its ports, and the addresses that follow from them."""

import json
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SUBSCRIPTION_ID = "00000000-0000-0000-0000-000000000001"
TENANT_ID = "00000000-0000-0000-0000-0000000000aa"

#: Azurite's well-known key, not a secret: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
BLOB_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_FILE = "localcloud.json"
_WATCH_SECONDS = 1.0

_REPOSITORY = Path(__file__).resolve().parents[1]

_PREFERRED_PORTS = {
    "blob": 10000,
    "azure": 18443,
    "identity": 18080,
    "snowflake": 18084,
    "azure-native": 18501,
    "kubernetes": 18502,
}


@dataclass(frozen=True)
class Home:
    """The directory of a local cloud and the ports of its services."""

    path: Path
    ports: dict[str, int]
    role_seconds: float = 0
    """How long a new role assignment or role definition takes to work: in Azure it is minutes."""
    unregistered: frozenset[str] = frozenset()
    """The resource providers, such as `Microsoft.Compute`, that the subscription has not registered."""

    @classmethod
    def open(cls, path: Path | None = None) -> "Home":
        """Return the local cloud in `path` (LOCALCLOUD_HOME, else `.local` of the repository).

        The first call chooses its ports and stores them; they never change afterwards. `roleSeconds` and
        `unregistered` in the file set the fields of these names.
        """
        path = (path or Path(os.environ.get("LOCALCLOUD_HOME", _REPOSITORY / ".local"))).resolve()
        file = path / _FILE
        if not file.exists():
            write_atomically(file, json.dumps({"ports": _free_ports()}, indent=2) + "\n")
        stored = json.loads(file.read_text())
        unregistered = frozenset(stored.get("unregistered", ()))
        return cls(path, stored["ports"], stored.get("roleSeconds", 0), unregistered)

    @property
    def arm_db(self) -> Path:
        """The file of the ArmStore."""
        return self.path / "arm.db"

    @property
    def ca_bundle(self) -> Path:
        """The authorities that a client of the local cloud trusts: the public ones and the local one."""
        return self.path / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The certificate of the services that speak TLS, in PEM."""
        return self.path / "cert.pem"

    @property
    def certificate_key(self) -> Path:
        """The private key of `certificate`, in PEM."""
        return self.path / "key.pem"

    @property
    def vault_file(self) -> Path:
        """The secrets of the local vault: a JSON object of names and values."""
        return self.path / "vault.json"

    @property
    def environment_file(self) -> Path:
        """The file that a shell sources to reach the local cloud with real clients."""
        return self.path / "env"

    @property
    def blob_url(self) -> str:
        """The Blob service; an account's address is this, a slash and the account's name."""
        return f"https://127.0.0.1:{self.ports['blob']}"

    @property
    def azure_url(self) -> str:
        """Azure Resource Manager, the workspace service and the vaults."""
        return f"https://127.0.0.1:{self.ports['azure']}"

    @property
    def identity_url(self) -> str:
        """The managed identity endpoint."""
        return f"http://127.0.0.1:{self.ports['identity']}/msi/token"


def end_with(home: Home) -> None:
    """End this process soon after `home` is deleted, since `stop` could no longer find it."""

    def watch() -> None:
        while (home.path / _FILE).exists():
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to `path` with `mode`; a reader sees all of it or none, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        os.fchmod(descriptor, mode)
    Path(temporary).replace(path)


def _free_ports() -> dict[str, int]:
    """Return a port for each service: the preferred one, or a free one if that is taken."""
    ports: dict[str, int] = {}
    for service, preferred in _PREFERRED_PORTS.items():
        ports[service] = preferred if _is_free(preferred) else _any_free(set(ports.values()))
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _any_free(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
