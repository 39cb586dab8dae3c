"""Pulumi's state of the stack `local`, and its recovery after `pulumi` was killed."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from localcloud.home import Home, write_atomically
from localcloud.processes import is_alive, with_variable

_CLI = "pulumi"
#: The programs that the CLI starts, as in their command lines: the language host, the program, a plugin.
_CHILDREN = ("pulumi-language-python", "pulumi-resource-pulumi-python", "pulumi.dynamic")


def state_directory(home: Home) -> Path:
    """Return the file backend's directory; it is created, since Pulumi needs it to exist."""
    directory = home.path / "state"
    directory.mkdir(exist_ok=True)
    return directory


def recover_from_kill(home: Home) -> None:
    """Clean up after a killed `pulumi`; do nothing while one runs on this state."""
    locks = list(state_directory(home).glob(".pulumi/locks/**/*.json"))
    processes = _processes_of(home)
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
    """Replace a checkpoint that a kill has truncated by Pulumi's backup of the previous one.

    Without a backup the stack had no resources yet, and the checkpoint is deleted.
    """
    previous = checkpoint.with_name(f"{checkpoint.name}.bak")
    try:
        json.loads(checkpoint.read_text())
    except json.JSONDecodeError:
        checkpoint.unlink()
        if previous.exists():
            write_atomically(checkpoint, previous.read_text(), mode=0o600)


def _forget_pending_operations(checkpoint: Path) -> None:
    """Remove pending creations: the local providers find the resources that they did create."""
    state = json.loads(checkpoint.read_text())
    deployment = state.get("checkpoint", {}).get("latest") or {}
    if deployment.pop("pending_operations", None):
        write_atomically(checkpoint, json.dumps(state, indent=4) + "\n", mode=0o600)


def _processes_of(home: Home) -> dict[int, list[str]]:
    """Return the command line of each process whose environment has this state, by its id."""
    commands = {}
    for process in with_variable("PULUMI_BACKEND_URL", state_directory(home).as_uri()):
        with suppress(psutil.Error):  # it has ended meanwhile
            commands[process.pid] = process.cmdline()
    return commands


def _is_cli(command: list[str]) -> bool:
    return any(Path(program).name == _CLI for program in command[:1])


def _runs(lock: Path) -> bool:
    """Return whether the `pulumi` that holds a lock is alive."""
    return is_alive(json.loads(lock.read_text())["pid"])
