"""Pulumi's state of the stack `local`, and what a killed `pulumi` leaves of itself."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from localcloud.home import Home, write_atomically

_CLI = "pulumi"
#: How the programs that the CLI starts show in a command line: the language host, its program, a plugin.
_CHILDREN = ("pulumi-language-python", "pulumi-resource-pulumi-python", "pulumi.dynamic")


def state_directory(home: Home) -> Path:
    """Return the file backend's directory, which must be there before Pulumi uses it."""
    directory = home.path / "state"
    directory.mkdir(exist_ok=True)
    return directory


def recover_from_kill(home: Home) -> None:
    """Clear up after each `pulumi` that was killed; while one runs on this state, leave everything alone."""
    locks = list(state_directory(home).glob(".pulumi/locks/**/*.json"))
    processes = dict(_processes_of(home))
    if any(_runs(lock) for lock in locks) or any(_is_cli(command) for command in processes.values()):
        return
    for pid, command in processes.items():
        if any(child in part for child in _CHILDREN for part in command):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    for lock in locks:
        lock.unlink()
    for checkpoint in state_directory(home).glob(".pulumi/stacks/**/*.json"):
        _restore_if_truncated(checkpoint)
        if checkpoint.exists():
            _forget_pending_operations(checkpoint)


def _restore_if_truncated(checkpoint: Path) -> None:
    """Take the checkpoint before this one where a kill has cut its writing short; Pulumi keeps it beside.

    Where there was none before, the stack had nothing yet.
    """
    previous = checkpoint.with_name(f"{checkpoint.name}.bak")
    try:
        json.loads(checkpoint.read_text())
    except json.JSONDecodeError:
        checkpoint.unlink()
        if previous.exists():
            write_atomically(checkpoint, previous.read_text(), mode=0o600)


def _forget_pending_operations(checkpoint: Path) -> None:
    """Forget creations that may not have ended: the stand-in providers find again what they did make."""
    state = json.loads(checkpoint.read_text())
    deployment = state.get("checkpoint", {}).get("latest") or {}
    if deployment.pop("pending_operations", None):
        write_atomically(checkpoint, json.dumps(state, indent=4) + "\n", mode=0o600)


def _processes_of(home: Home) -> Iterator[tuple[int, list[str]]]:
    """Yield each process that has this state in its environment, with its command line."""
    marker = f"PULUMI_BACKEND_URL={state_directory(home).as_uri()}\0".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if marker in (directory / "environ").read_bytes():
                command = (directory / "cmdline").read_bytes().decode(errors="replace")
                yield int(directory.name), command.split("\0")


def _is_cli(command: list[str]) -> bool:
    return Path(command[0]).name == _CLI


def _runs(lock: Path) -> bool:
    """Return whether the `pulumi` that holds a lock is alive."""
    return Path(f"/proc/{json.loads(lock.read_text())['pid']}/exe").exists()
