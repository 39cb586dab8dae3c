"""Processes as the local cloud looks at them, on Linux and macOS."""

from collections.abc import Iterator

import psutil


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_variable(pid: int, name: str, value: str) -> bool:
    """Return whether the process runs and was started with this environment variable."""
    try:
        return psutil.Process(pid).environ().get(name) == value
    except psutil.Error:
        return False


def with_variable(name: str, value: str) -> Iterator[psutil.Process]:
    """Yield the processes of this user that were started with this environment variable."""
    return (process for process in psutil.process_iter() if has_variable(process.pid, name, value))
