"""A preview by a person warns of schedules that would stop with the person's role."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from stacks.deployer import is_person, warn_of_a_person
from stacks.settings.deployment import OFFLINE_VARIABLE
from stacks.settings.load import load
from tests.unit.stacks.stack_config import config


def token(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"oid": "5ab0", **claims}).encode()).decode()
    return f"e30.{payload.rstrip('=')}.signature"


@pytest.mark.parametrize(
    ("claims", "person"),
    [({}, True), ({"idtyp": "user"}, True), ({"idtyp": "app"}, False), ({"idtyp": "app", "a": "bc"}, False)],
)
def test_token_without_the_claim_of_an_application_is_a_persons(claims: dict[str, str], person: bool) -> None:
    assert is_person(token(**claims)) is person


@pytest.mark.parametrize(
    ("claims", "changes", "environment", "preview", "warnings"),
    [
        ({}, {}, {}, True, 1),
        ({"idtyp": "app"}, {}, {}, True, 0),
        ({}, {"imports": []}, {}, True, 0),
        ({}, {"endpoints": "local"}, {}, True, 0),
        ({}, {}, {OFFLINE_VARIABLE: "true"}, True, 0),
        ({}, {}, {}, False, 0),
    ],
    ids=["person", "pipeline", "no-imports", "local", "offline", "up"],
)
def test_only_a_preview_of_schedules_by_a_person_warns(
    monkeypatch: pytest.MonkeyPatch,
    claims: dict[str, str],
    changes: dict[str, Any],
    environment: dict[str, str],
    preview: bool,
    warnings: int,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    monkeypatch.setattr(
        "stacks.deployer.authorization.get_client_token", lambda: SimpleNamespace(token=token(**claims))
    )
    monkeypatch.delenv(OFFLINE_VARIABLE, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    warn_of_a_person(load(config(**changes)))
    assert len([line for line in said if "as a person" in line]) == warnings
