"""The image builds that the local Azure ML refuses, as Azure ML does."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.arm import ArmStore
from localcloud.image_builds import build_problem

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
NETWORK = {
    "isolationMode": "AllowOnlyApprovedOutbound",
    "outboundRules": {
        host: {"type": "FQDN", "destination": host}
        for host in ("*.anaconda.org", "pypi.org", "files.pythonhosted.org")
    },
}
WITHOUT_PYPI: dict[str, Any] = {**NETWORK, "outboundRules": {}}
CONDA = {"condaFile": "dependencies: []"}


def problem(
    tmp_path: Path,
    workspace: dict[str, Any],
    environment: dict[str, Any] | None = None,
    *,
    firewall: bool = True,
) -> str | None:
    store = ArmStore(tmp_path / "arm.db")
    rules = {"networkRuleSet": {"defaultAction": "Deny" if firewall else "Allow"}}
    store.put("storage", {"id": "storage", "properties": rules})
    store.put(f"{WORKSPACE}/computes/builds", {"id": "builds", "properties": {}})
    store.put(WORKSPACE, {"id": WORKSPACE, "properties": {"storageAccount": "storage", **workspace}})
    return build_problem(CONDA if environment is None else environment, WORKSPACE, store)


@pytest.mark.parametrize(
    ("workspace", "said"),
    [
        ({}, "storage is behind a firewall"),
        ({"imageBuildCompute": "missing"}, "no compute missing"),
        ({"imageBuildCompute": "builds", "managedNetwork": WITHOUT_PYPI}, "no outbound rule for conda"),
    ],
)
def test_build_that_reaches_too_little_is_refused(
    tmp_path: Path, workspace: dict[str, Any], said: str
) -> None:
    assert said in (problem(tmp_path, workspace) or "")


def test_build_on_a_named_compute_with_the_hosts_of_packages_passes(tmp_path: Path) -> None:
    assert problem(tmp_path, {"imageBuildCompute": "builds", "managedNetwork": NETWORK}) is None


def test_build_without_a_firewall_needs_no_compute(tmp_path: Path) -> None:
    assert problem(tmp_path, {}, firewall=False) is None


def test_image_needs_no_build(tmp_path: Path) -> None:
    assert problem(tmp_path, {}, {"image": "globoshared.azurecr.io/importer"}) is None
