"""The summary of a preview: counts by kind, what is lost, and what opens, costs or keeps data.

`python -m tools.preview_summary STACK [argument of pulumi ...]` previews a stack and prints it.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

from tools.preview_facts import Fact, Subject, dotted, facts, kind_of, leaves, shown


class State(TypedDict):
    """A resource in Pulumi's state."""

    type: str
    inputs: NotRequired[Mapping[str, object]]
    protect: NotRequired[bool]


class Step(TypedDict):
    """What happens to a resource."""

    op: str
    urn: str
    oldState: NotRequired[State]
    newState: NotRequired[State]
    replaceReasons: NotRequired[list[str]]


class Diagnostic(TypedDict):
    """A message of the program or of a provider."""

    message: NotRequired[str]


class Preview(TypedDict):
    """What `pulumi preview --json` prints."""

    steps: NotRequired[list[Step]]
    diagnostics: NotRequired[list[Diagnostic]]
    changeSummary: NotRequired[dict[str, int]]


#: The operations that a summary counts, in the order of their columns.
_COUNTED = ("create", "update", "replace", "delete")

#: The property in which a dynamic resource has its provider's code.
_PROVIDER = "__provider"

#: The longest value that a summary shows.
_LONGEST_VALUE = 40

#: The operations after which the old resource is gone.
_LOSING = ("replace", "delete")


def main() -> int:
    """Preview the stack that the command line names; return pulumi's exit code."""
    stack, *arguments = sys.argv[1:]
    command = ["pulumi", "preview", "--json", "--stack", stack, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return show(stack, done.stdout, done.returncode)


def show(stack: str, printed: str, code: int) -> int:
    """Print the summary of what pulumi printed, and its messages to stderr; return its exit code."""
    try:
        preview: Preview = json.loads(printed)
    except json.JSONDecodeError:  # pulumi failed before the preview
        print(printed.strip(), file=sys.stderr)
        return code or 1
    for line in messages(preview):
        print(line, file=sys.stderr)
    if code == 0:
        print(summary(stack, preview))
    return code


def messages(preview: Preview) -> Iterator[str]:
    """Yield the messages of the preview, such as `warning: …`."""
    for found in preview.get("diagnostics", []):
        if text := found.get("message", "").strip():
            yield text


def summary(stack: str, preview: Preview) -> str:
    """Return the summary of a preview."""
    steps = [step for step in preview.get("steps", []) if step["op"] in _COUNTED]
    resources = [step for step in steps if _is_resource(_state(step)["type"])]
    parts = [_headline(stack, preview.get("changeSummary", {}), len(steps) - len(resources))]
    if resources:
        parts.append(_kinds(resources))
    if lost := [line for step in resources for line in _losses(step)]:
        parts.append(_section("Deleted or replaced", sorted(lost)))
    if updated := [step for step in resources if step["op"] == "update"]:
        parts.append(_section("Updated", _updates(updated)))
    gained, gone = _facts(resources)
    for subject in Subject:
        lines = [*_lines("+", subject, gained), *_lines("-", subject, gone)]
        parts.append(_section(subject.value, lines) if lines else f"{subject.value}: no change")
    return "\n\n".join(parts)


def _headline(stack: str, counts: Mapping[str, int], components: int) -> str:
    planned = [f"{counts[op]} to {op}" for op in _COUNTED if counts.get(op)]
    others = [f"{count} {op}" for op, count in sorted(counts.items()) if op not in (*_COUNTED, "same")]
    groups = [f"{components} of them components and providers"] if components else []
    unchanged = [f"{counts['same']} unchanged"] if counts.get("same") else []
    return f"{stack}: " + ", ".join([*(planned or ["nothing to change"]), *groups, *others, *unchanged])


def _kinds(steps: Sequence[Step]) -> str:
    """Return a table: how many resources of each kind are created, updated, replaced, deleted."""
    counts = Counter((kind_of(_state(step)["type"]), step["op"]) for step in steps)
    operations = [op for op in _COUNTED if any(found == op for _, found in counts)]
    rows = [[*operations, "kind"]]
    for kind in sorted({kind for kind, _ in counts}):
        rows.append([*(str(counts[kind, op] or "") for op in operations), kind])
    return "\n".join("  ".join([*(cell.rjust(7) for cell in row[:-1]), row[-1]]) for row in rows)


def _losses(step: Step) -> Iterator[str]:
    """Yield a line if the resource as it is now is lost, with the properties that force it."""
    if step["op"] in _LOSING:
        reasons = sorted(step.get("replaceReasons", []))
        why = f", for {', '.join(reasons)}" if reasons else ""
        yield f"  ! {step['op']} {kind_of(_state(step)['type'])} {_name(step)}{why}"


def _updates(steps: Sequence[Step]) -> list[str]:
    """Return which properties change; resources of a kind with the same changes share a line."""
    names: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        changes = ", ".join(_changes(step)) or "no input"
        names.setdefault((kind_of(_state(step)["type"]), changes), []).append(_name(step))
    return sorted(
        f"  ~ {kind} {found[0]}: {changes}" if len(found) == 1 else f"  ~ {len(found)} x {kind}: {changes}"
        for (kind, changes), found in names.items()
    )


def _changes(step: Step) -> Iterator[str]:
    """Yield each input that changes, with its values if they are short."""
    old, new = (dict(leaves(state.get("inputs", {}))) for state in (step["oldState"], step["newState"]))
    for path in sorted(old.keys() | new.keys()):
        if path[1] != _PROVIDER and old.get(path) != new.get(path):
            before, after = (shown(side[path]) if path in side else "none" for side in (old, new))
            is_short = all(len(text) <= _LONGEST_VALUE and "\n" not in text for text in (before, after))
            yield f"{dotted(path)} {before} => {after}" if is_short else dotted(path)


def _facts(steps: Sequence[Step]) -> tuple[Counter[Fact], Counter[Fact]]:
    """Return the facts that become true, and those that are no longer true."""
    before: Counter[Fact] = Counter()
    after: Counter[Fact] = Counter()
    for step in steps:
        before.update(_of(step, step.get("oldState")))
        if step["op"] != "delete":
            after.update(_of(step, step.get("newState")))
    return after - before, before - after


def _of(step: Step, state: State | None) -> Iterator[Fact]:
    if state is not None:
        protect = state.get("protect", False)
        yield from facts(state["type"], _name(step), state.get("inputs") or {}, protect=protect)


def _lines(sign: str, subject: Subject, found: Counter[Fact]) -> list[str]:
    chosen = sorted((fact.text, count) for fact, count in found.items() if fact.subject is subject)
    return [f"  {sign} {f'{count} x ' if count > 1 else ''}{text}" for text, count in chosen]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *lines])


def _state(step: Step) -> State:
    state = step.get("newState") or step.get("oldState")
    if state is None:
        raise ValueError(f"{step['urn']}: the preview has no state of it")
    return state


def _name(step: Step) -> str:
    return step["urn"].rpartition("::")[2]


def _is_resource(type_: str) -> bool:
    """Return whether a type is neither a component, nor a provider, nor the stack."""
    return not type_.startswith(("ai-platform:", "pulumi:"))


if __name__ == "__main__":
    sys.exit(main())
