"""What `make up` of the local stack shows of Pulumi's events."""

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from tools.up import Display

#: A stack as Pulumi counts it: the providers that it adds itself are steps, but are not counted.
TYPES = {
    "ai-platform-local": "pulumi:pulumi:Stack",
    "lake": "ai-platform:index:Lake",
    "account": "azure-native:storage:StorageAccount",
    "vault": "azure-native:keyvault:Vault",
    "argo": "kubernetes:helm.sh/v3:Release",
    "schedule": "pulumi-python:dynamic/azureml:ImportSchedule",
    "cluster": "pulumi:providers:kubernetes",
    "default_3_29_0": "pulumi:providers:azure-native",
}
PLACES = "(2 in Azure, 1 in Kubernetes, 1 for imports, 3 only in Pulumi)"


def urn(name: str) -> str:
    return f"urn:pulumi:local::ai-platform::{TYPES[name]}::{name}"


def steps(op: str, *, planning: bool = False, names: list[str] | None = None) -> Iterator[str]:
    for name in names or TYPES:
        metadata = {"op": op, "urn": urn(name), "type": TYPES[name], "old": None}
        yield json.dumps({"resourcePreEvent": {"metadata": metadata}})
        yield json.dumps({"resOutputsEvent": {"metadata": metadata, "planning": planning}})


def summary(changes: dict[str, int], **more: Any) -> str:
    return json.dumps({"summaryEvent": {"resourceChanges": changes, "result": "succeeded", **more}})


def said(message: str, severity: str = "error", **more: Any) -> str:
    event = {"prefix": f"{severity}: ", "message": message, "severity": severity, **more}
    return json.dumps({"diagnosticEvent": event})


def shown(*lines: str, is_terminal: bool = False) -> str:
    output = io.StringIO()
    Display(Console(file=output, markup=False, force_terminal=is_terminal, width=100)).show(lines)
    return output.getvalue()


def test_created_resources_are_one_line_with_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        *steps("create", planning=True),
        summary({"create": 7}, isPreview=True),
        *steps("create"),
        summary({"create": 7}, isPreview=False),
    ]
    monkeypatch.setattr("tools.up.MOST_LISTED", 6)
    assert shown(*lines) == f"Resources     7 created {PLACES}\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"same": 7}, "nothing changed: 7 unchanged"),
        ({"same": 5, "update": 2}, "2 updated, 5 unchanged"),
        (
            {"same": 4, "delete": 1, "replace": 1, "create": 1},
            "1 created, 1 replaced, 1 deleted, 4 unchanged",
        ),
        ({"same": 6, "refresh": 1}, "6 unchanged, 1 refresh"),
    ],
)
def test_update_says_what_became_of_the_resources(changes: dict[str, int], expected: str) -> None:
    lines = [*steps("same"), summary(changes, isPreview=False)]
    assert shown(*lines) == f"Resources     {expected} {PLACES}\n"


def test_few_changed_resources_are_listed_by_name() -> None:
    lines = [
        *steps("same"),
        *steps("update", names=["schedule"]),
        *steps("create-replacement", names=["vault"]),
        *steps("replace", names=["vault"]),
        *steps("delete-replaced", names=["vault"]),
        summary({"same": 5, "update": 1, "replace": 1}, isPreview=False),
    ]
    assert shown(*lines).splitlines() == [
        f"Resources     1 updated, 1 replaced, 5 unchanged {PLACES}",
        "              replaced: vault",
        "              updated: schedule",
    ]


def test_error_is_shown_once_and_whole_with_its_resource_and_trace_is_left_out() -> None:
    error = said("cannot create:\n  the name is taken\n", urn=urn("lake"))
    lines = [
        said("registering resource", "debug"),
        said("waiting", "info", ephemeral=True),
        said("sign-in with a password", "warning", urn=urn("schedule")),
        error,
        summary({}, isPreview=True),
        error,
        summary({"create": 2}, isPreview=False, result="failed"),
        "error: update failed\n",
    ]
    assert shown(*lines).splitlines() == [
        "schedule: warning: sign-in with a password",
        "lake: error: cannot create:",
        "  the name is taken",
        "Resources     failed; 2 created",
        "error: update failed",
    ]


def test_failed_preview_says_that_nothing_was_changed() -> None:
    lines = [said("no such setting"), summary({"same": 1}, isPreview=True, result="failed")]
    assert shown(*lines).splitlines()[-1] == "Preview       failed; nothing was changed"


def test_terminal_shows_a_count_of_all_resources() -> None:
    lines = [
        *steps("create", planning=True),
        summary({"create": 7}, isPreview=True),
        *steps("create", names=["account", "vault"]),
    ]
    assert "2/7" in shown(*lines, is_terminal=True)


def test_without_a_terminal_a_long_phase_says_its_count() -> None:
    output = io.StringIO()
    seconds = itertools.count(step=6.0)
    display = Display(Console(file=output, markup=False), clock=lambda: next(seconds))
    display.show(steps("create", planning=True, names=["lake", "account", "vault", "argo"]))
    assert output.getvalue().splitlines() == ["Preview       2 so far", "Preview       4 so far"]
