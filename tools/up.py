"""`pulumi up` of the stack `local`: a bar or a line for each phase, in place of two lines for each resource.

Usage: up.py [argument of pulumi up ...]

Pulumi writes the engine's events as JSON lines. Diagnostics, such as a provider's errors, are printed whole
as soon as they arrive; `VERBOSE=1 make up` shows Pulumi's own output instead of this one.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

COMMAND = ("pulumi", "up", "--json", "--yes", "--stack", "local")

#: Without it, `pulumi up --json` writes the preview as one document at its end.
STREAM_PREVIEW = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}

#: The phases, as wide as the longest; `tools/stack.sh` prints the others in the same way.
WIDTH = 14
PREVIEW, RESOURCES = "Preview", "Resources"

#: Where a resource of a type is; Pulumi counts the stack, components and providers as resources too.
PLACES = {
    "azure-native:": "in Azure",
    "kubernetes:": "in Kubernetes",
    "pulumi-python:dynamic/azureml:": "for imports",
}
ONLY_IN_PULUMI = "only in Pulumi"

#: What became of resources, by Pulumi's name of the step.
DONE = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "same": "unchanged",
}

#: So many changed resources are listed by name.
MOST_LISTED = 10

#: Seconds between two lines about one phase, where there is no terminal to move a bar on.
_BETWEEN_LINES = 10.0


class _Engine(BaseModel):
    """A part of an event: only what is shown.

    https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go declares them.
    """

    model_config = ConfigDict(alias_generator=to_camel)


class Resource(_Engine):
    """A resource, and the step that is taken for it."""

    op: str
    urn: str
    type: str

    @property
    def name(self) -> str:
        """The name that the program gave it."""
        return name_of(self.urn)

    @property
    def is_counted(self) -> bool:
        """Whether Pulumi counts it: it leaves out the providers that it adds itself."""
        return not (self.type.startswith("pulumi:providers:") and self.name.startswith("default"))

    @property
    def place(self) -> str:
        """Where it is."""
        return next((place for start, place in PLACES.items() if self.type.startswith(start)), ONLY_IN_PULUMI)


class Step(_Engine):
    """A step that the engine has taken, or in a preview would take."""

    metadata: Resource
    planning: bool = False


class Diagnostic(_Engine):
    """A message of the program, a provider or the engine."""

    message: str
    severity: str
    prefix: str = ""
    urn: str = ""
    ephemeral: bool = False

    def text(self) -> str:
        """Return the message with the resource that it is about; nothing for the engine's own trace."""
        if self.severity == "debug" or self.ephemeral or not self.message.strip():
            return ""
        subject = f"{name_of(self.urn)}: " if self.urn else ""
        return f"{subject}{self.prefix}{self.message}".rstrip("\n")


class Summary(_Engine):
    """How a preview or an update ended."""

    resource_changes: dict[str, int]
    is_preview: bool = False
    result: str = "succeeded"


class Event(_Engine):
    """A line of `pulumi up --json`; a kind of event that is not shown here has none of these."""

    res_outputs_event: Step | None = None
    diagnostic_event: Diagnostic | None = None
    summary_event: Summary | None = None


def name_of(urn: str) -> str:
    """Return the name of a resource, which is the last part of its URN."""
    return urn.rsplit("::", 1)[-1]


@dataclass
class Display:
    """Shows events: on a terminal a bar that moves, else a line from time to time."""

    console: Console
    total: int | None = None
    phase: str = PREVIEW
    seen: dict[str, Resource] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._shown_at = self.clock()
        self._bar = Progress(
            TextColumn(f"{{task.description:{WIDTH}}}"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task(self.phase, total=None)

    def show(self, lines: Iterable[str]) -> None:
        """Show lines of Pulumi until they end; one that is no event is printed as it is."""
        with self._bar:
            for line in lines:
                try:
                    event = Event.model_validate_json(line)
                except ValidationError:
                    self._say(line.rstrip("\n"))
                else:
                    self._show(event)

    def _show(self, event: Event) -> None:
        if (step := event.res_outputs_event) is not None and step.metadata.is_counted:
            self.phase = PREVIEW if step.planning else RESOURCES
            self.seen[step.metadata.urn] = step.metadata
            self._move()
        if (diagnostic := event.diagnostic_event) is not None:
            text = diagnostic.text()
            if text and text not in self.said:  # an update repeats what its preview has said
                self.said.add(text)
                self._say(text)
        if (summary := event.summary_event) is not None:
            self._end_phase(summary)

    def _move(self) -> None:
        """Show how many resources the phase has done."""
        count, now = len(self.seen), self.clock()
        if self.console.is_terminal:
            self._bar.update(self._task, description=self.phase, completed=count, total=self.total)
        elif now - self._shown_at >= _BETWEEN_LINES:
            self._shown_at = now
            self._say_phase(f"{count} of {self.total}" if self.total else f"{count} so far")

    def _end_phase(self, summary: Summary) -> None:
        changes = summary.resource_changes
        self.phase = PREVIEW if summary.is_preview else RESOURCES
        if summary.result != "succeeded":
            self._say_phase(
                "failed; nothing was changed" if summary.is_preview else f"failed; {done(changes)}"
            )
        elif summary.is_preview:
            self.total = sum(changes.values())
        else:
            places = Counter(resource.place for resource in self.seen.values())
            unchanged = set(changes) == {"same"}
            self._say_phase(f"{'nothing changed: ' if unchanged else ''}{done(changes)} ({listed(places)})")
            self._say_changed()
        self.seen = {}

    def _say_changed(self) -> None:
        changed = [resource for resource in self.seen.values() if resource.op != "same"]
        if len(changed) <= MOST_LISTED:
            for resource in changed:
                word = DONE["replace"] if "replace" in resource.op else DONE.get(resource.op, resource.op)
                self._say(f"{'':{WIDTH}}{word}: {resource.name}")

    def _say_phase(self, text: str) -> None:
        self._say(f"{self.phase:{WIDTH}}{text}")

    def _say(self, text: str) -> None:
        self._bar.print(text, markup=False, highlight=False, soft_wrap=True)


def done(changes: Mapping[str, int]) -> str:
    """Return what became of the resources."""
    counts = {DONE.get(step, step): count for step, count in changes.items() if count}
    words = [word for word in dict.fromkeys([*DONE.values(), *counts]) if word in counts]
    return ", ".join(f"{counts[word]} {word}" for word in words)


def listed(places: Mapping[str, int]) -> str:
    """Return how many resources are in each place."""
    order = [*PLACES.values(), ONLY_IN_PULUMI]
    return ", ".join(f"{places[place]} {place}" for place in order if place in places)


def main() -> int:
    """Run `pulumi up` with the arguments of the command line; return its exit code."""
    display = Display(Console(markup=False))
    with subprocess.Popen(
        [*COMMAND, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, env={**os.environ, **STREAM_PREVIEW}
    ) as pulumi:
        # Ctrl-C reaches Pulumi too, which then ends the steps that run and reports them
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        display.show(pulumi.stdout or ())
    return pulumi.returncode


if __name__ == "__main__":
    sys.exit(main())
