"""The progress of an import: a bar on a terminal, else one JSON object a line."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

_SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """Where an import reports its progress."""

    def say(self, event: str, **details: str | int) -> None:
        """Report an event."""

    def rows(self, done: int, total: int) -> None:
        """Report how many rows are written, of how many."""


class JsonLines:
    """Progress for logs: one JSON object a line on standard output."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, event: str, **details: str | int) -> None:
        """Print the event with its details."""
        print(json.dumps({"event": event, **details}), flush=True)  # noqa: T201

    def rows(self, done: int, total: int) -> None:
        """Print the number of rows, at most every few seconds."""
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self.say("progress", rows=done, total=total)


class Bar:
    """Progress for a terminal: a bar, and a line for each event."""

    def __init__(self) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            TimeElapsedColumn(),
            console=Console(markup=False),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, event: str, **details: str | int) -> None:
        """Print the event with its details above the bar."""
        self._bar.print(event, *(f"{key}={value}" for key, value in details.items()))

    def rows(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._bar.add_task("importing", total=total)
        self._bar.update(self._task, completed=done)


@contextmanager
def open_progress() -> Iterator[Progress]:
    """Report on standard output: with a bar if it is a terminal, else in JSON lines."""
    if not sys.stdout.isatty():
        yield JsonLines()
        return
    with Bar() as bar:
        yield bar
