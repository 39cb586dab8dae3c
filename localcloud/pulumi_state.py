"""Pulumi's state of the stack `local`, in a file backend of the local cloud."""

import json
from pathlib import Path

from localcloud.home import Home


def state_directory(home: Home) -> Path:
    """Return the file backend's directory, which must be there before Pulumi uses it."""
    directory = home.path / "state"
    directory.mkdir(exist_ok=True)
    return directory


def release_stale_locks(home: Home) -> None:
    """Delete the locks that a killed `pulumi` has left on the state; those of a running one stay."""
    for lock in state_directory(home).glob(".pulumi/locks/**/*.json"):
        if not Path(f"/proc/{json.loads(lock.read_text())['pid']}").exists():
            lock.unlink()
