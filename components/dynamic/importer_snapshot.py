"""The importer as an Azure ML job gets it: its files, and the environment that they run in."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import importer

#: Microsoft's base image for CPU jobs, with conda. It is named by date, so that an environment is always
#: built from the same image; security updates come under a new date
#: (https://learn.microsoft.com/azure/machine-learning/concept-environments). Later dates are listed at
#: https://github.com/Azure/AzureML-Containers.
BASE_IMAGE = "mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:20260901.v1"

#: Where conda gets Python from: conda-forge, because Anaconda's own channels need a licence.
_CHANNELS = ["conda-forge", "nodefaults"]

#: The lock of the packages that a job needs; `make lock` writes it.
_REQUIREMENTS = "requirements.txt"

#: The commands that a person runs. `importer run` imports none of them, so a change there changes no job.
_COMMANDS = "commands"

#: Compiled Python, which differs between machines.
_COMPILED = "__pycache__"

_VERSION_DIGITS = 32


class Snapshot(NamedTuple):
    """Files of the importer's package, by their path in the package; the same on every platform."""

    package: str
    files: dict[str, bytes]

    @property
    def version(self) -> str:
        """A hash of the files' names and contents."""
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
    """Return what a job needs of the importer beside the program, or of the copy of it at `package`."""
    package = package or Path(importer.__file__).parent
    paths = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    return Snapshot(
        package.name, {name: _content(path) for name, path in sorted(paths.items()) if _is_for_jobs(name)}
    )


def _is_for_jobs(name: str) -> bool:
    parts = name.split("/")
    return parts[0] != _COMMANDS and not any(part == _COMPILED or part.startswith(".") for part in parts)


def _content(path: Path) -> bytes:
    """Return a file's content; a text file's has the line ends of git, which git on Windows may change."""
    content = path.read_bytes()
    return content if b"\0" in content else content.replace(b"\r\n", b"\n")


class Environment(NamedTuple):
    """What Azure ML builds an image from, once for each version."""

    image: str
    conda: dict[str, Any]

    @property
    def version(self) -> str:
        """A hash of the base image and the packages."""
        definition = json.dumps(self._asdict(), sort_keys=True)
        return hashlib.sha256(definition.encode()).hexdigest()[:_VERSION_DIGITS]


def read_environment(snapshot: Snapshot) -> Environment:
    """Return the environment of a snapshot: every package of its lock, in the locked version.

    The lock's hashes are left out: with them the definition, one property in Azure ML, would have 100 kB.
    """
    conda = {
        "name": snapshot.package,
        "channels": _CHANNELS,
        "dependencies": ["python=3.11", "pip", {"pip": _pins(snapshot.files[_REQUIREMENTS].decode())}],
    }
    return Environment(BASE_IMAGE, conda)


def _pins(lock: str) -> list[str]:
    """Return each requirement of a lock in pip's format, with its marker and without its hashes."""
    return [line.rstrip("\\ ") for line in lock.splitlines() if "==" in line and line[:1].isalnum()]
