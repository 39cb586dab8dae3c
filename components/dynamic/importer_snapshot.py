"""The importer as a job of Azure ML takes it: its files, and the environment that they run in."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import importer

#: Microsoft's base image for jobs on a CPU, by date, so that the same environment is always built alike: it
#: has conda, and gets security updates under a new date
#: (https://learn.microsoft.com/azure/machine-learning/concept-environments). The next one is listed at
#: https://github.com/Azure/AzureML-Containers.
BASE_IMAGE = "mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:20260901.v1"

#: What the environment's Python comes from; conda-forge, as Anaconda's own channels want a licence.
_CHANNELS = ["conda-forge", "nodefaults"]

#: The versions that the importer is tested with, beside its code: `make lock` writes it.
_REQUIREMENTS = "requirements.txt"

#: What the importer does not need, and is not alike everywhere: what Python has compiled.
_COMPILED = "__pycache__"

_VERSION_DIGITS = 32


class Snapshot(NamedTuple):
    """The files of the importer's package, by their path in it; as they are in git on any platform."""

    package: str
    files: dict[str, bytes]

    @property
    def version(self) -> str:
        """What the files are called together: another byte, or another name, is another version."""
        digest = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            digest.update(f"{path}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()[:_VERSION_DIGITS]

    def write(self, directory: Path) -> None:
        """Write the package into `directory`."""
        for path, content in self.files.items():
            target = directory / self.package / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def read_snapshot(package: Path | None = None) -> Snapshot:
    """Return the files of the importer that lies beside the program, or of another copy of it."""
    package = package or Path(importer.__file__).parent
    paths = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    return Snapshot(
        package.name, {name: _content(path) for name, path in sorted(paths.items()) if _belongs(name)}
    )


def _belongs(name: str) -> bool:
    return not any(part == _COMPILED or part.startswith(".") for part in name.split("/"))


def _content(path: Path) -> bytes:
    """Return what is in a file, with the line ends that it has in git; a git on Windows may change them."""
    content = path.read_bytes()
    return content if b"\0" in content else content.replace(b"\r\n", b"\n")


class Environment(NamedTuple):
    """What Azure ML builds an image of, once for each version."""

    image: str
    conda: dict[str, Any]

    @property
    def version(self) -> str:
        """What the environment is called: another package, or another base image, is another version."""
        definition = json.dumps(self._asdict(), sort_keys=True)
        return hashlib.sha256(definition.encode()).hexdigest()[:_VERSION_DIGITS]


def read_environment(snapshot: Snapshot) -> Environment:
    """Return the environment of a snapshot: every package that its lock has, by its exact version.

    Without the lock's hashes: with them the definition, which Azure ML keeps as one property, has 100 kB.
    """
    conda = {
        "name": snapshot.package,
        "channels": _CHANNELS,
        "dependencies": ["python=3.11", "pip", {"pip": _pins(snapshot.files[_REQUIREMENTS].decode())}],
    }
    return Environment(BASE_IMAGE, conda)


def _pins(lock: str) -> list[str]:
    """Return each `name==version` of a lock that pip reads."""
    return [line.split()[0] for line in lock.splitlines() if "==" in line and line[:1].isalnum()]
