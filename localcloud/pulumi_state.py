"""Pulumi's state of the stack `local`, and what a killed `pulumi` leaves of itself."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from localcloud.home import Home, write_atomically

#: How the programs that `pulumi` starts show in a command line: the language host, its program, a plugin.
_CHILDREN = ("pulumi-language-python", "pulumi-resource-pulumi-python", "pulumi.dynamic")


def state_directory(home: Home) -> Path:
    """Return the file backend's directory, which must be there before Pulumi uses it."""
    directory = home.path / "state"
    directory.mkdir(exist_ok=True)
    return directory


def recover_from_kill(home: Home) -> None:
    """Clear up after each `pulumi` that was killed; one that runs, and what it works on, is left alone."""
    locks = list(state_directory(home).glob(".pulumi/locks/**/*.json"))
    if any(_runs(json.loads(lock.read_text())["pid"]) for lock in locks):
        return
    for process in _processes_of(home):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    for lock in locks:
        lock.unlink()
    for checkpoint in state_directory(home).glob(".pulumi/stacks/**/*.json"):
        _forget_pending_operations(checkpoint)


def _forget_pending_operations(checkpoint: Path) -> None:
    """Forget creations that may not have ended: the stand-in providers find again what they did make."""
    state = json.loads(checkpoint.read_text())
    deployment = state.get("checkpoint", {}).get("latest") or {}
    if deployment.pop("pending_operations", None):
        write_atomically(checkpoint, json.dumps(state, indent=4) + "\n", mode=0o600)


def _processes_of(home: Home) -> Iterator[int]:
    """Yield the processes that a `pulumi` on this state has started; with none running, they are orphans."""
    marker = f"PULUMI_BACKEND_URL={state_directory(home).as_uri()}\0".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (directory / "cmdline").read_bytes().decode(errors="replace")
            if (
                any(child in command for child in _CHILDREN)
                and marker in (directory / "environ").read_bytes()
            ):
                yield int(directory.name)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()
