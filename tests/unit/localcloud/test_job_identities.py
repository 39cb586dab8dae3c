"""A job acts as any identity that is attached to its workspace, and as no other."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.arm import ArmStore
from localcloud.job_identities import identity_problem

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ATTACHED = {"workspace": {"clientId": "own"}, "importer": {"clientId": "importer"}}


@pytest.mark.parametrize(
    ("step", "accepted"),
    [
        ({"identity": {"type": "managed", "client_id": "importer"}}, True),
        ({"identity": {"type": "managed", "clientId": "own"}}, True),
        ({"identity": {"type": "managed", "client_id": "workflows"}}, False),
        ({}, True),
    ],
)
def test_job_acts_as_an_attached_identity_alone(tmp_path: Path, step: dict[str, Any], accepted: bool) -> None:
    store = ArmStore(tmp_path / "arm.db")
    identity = {"type": "UserAssigned", "userAssignedIdentities": ATTACHED}
    store.put(WORKSPACE, {"id": WORKSPACE, "identity": identity, "properties": {}})
    problem = identity_problem(step, WORKSPACE, store)
    assert (problem is None) is accepted
