"""The importer's code in a stack: with an image nothing is registered, without one a shared snapshot."""

from typing import Any

import pytest

from components.dynamic.importer_snapshot import read_environment, read_snapshot
from stacks.settings.load import load
from tests.unit.stacks.declared_stacks import (
    CODE_CONTAINER,
    EXISTING_WORKSPACE,
    LOGS_CONTAINER,
    SCHEDULE,
    declare_imports_alone,
    declare_platform,
    grants,
)
from tests.unit.stacks.stack_config import IMAGE, IMPORT, config, refusal
from tools.declared import Declared

CODE = "pulumi-python:dynamic/azureml:ImporterCode"
MLW = "azure-native:machinelearningservices:Workspace"
TWO = [IMPORT, {**IMPORT, "name": "other"}]


def build(kind: str, **changes: Any) -> Declared:
    if kind == "alone":
        return declare_imports_alone(EXISTING_WORKSPACE, imports=TWO, **changes)
    return declare_platform(imports=TWO, **changes)


@pytest.mark.parametrize("kind", ["platform", "alone"])
def test_imports_without_an_image_share_one_snapshot(kind: str) -> None:
    declared = build(kind, importerImage=None)
    (code,) = declared.all(CODE)
    snapshot = read_snapshot()
    assert code.name == "globodev-importer-code"
    assert code.inputs["code_version"] == snapshot.version
    assert code.inputs["environment_version"] == read_environment(snapshot).version
    schedules = declared.all(SCHEDULE)
    assert len(schedules) == 2
    assert [schedule.inputs.get("image") for schedule in schedules] == [None, None]
    for part in ("code", "environment"):
        assert {schedule.inputs[part] for schedule in schedules} == {f"{code.name}-{part}"}


@pytest.mark.parametrize("kind", ["platform", "alone"])
def test_imports_with_an_image_register_no_code(kind: str) -> None:
    declared = build(kind)
    assert declared.all(CODE) == []
    assert [schedule.inputs["image"] for schedule in declared.all(SCHEDULE)] == [IMAGE, IMAGE]


SHARED = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shared/providers"
    "/Microsoft.ContainerRegistry/registries/globoshared"
)
SHARED_IMAGE = {
    "importerImage": "globoshared.azurecr.io/importer@sha256:" + "0" * 64,
    "importerRegistryId": SHARED,
}


def rules(**changes: Any) -> dict[str, Any]:
    """Return the outbound rules of the workspace's managed network."""
    found: dict[str, Any] = build("platform", **changes).one(MLW)["managedNetwork"]["outboundRules"]
    return found


def hosts(**changes: Any) -> set[str]:
    return {rule["destination"] for rule in rules(**changes).values() if rule["type"] == "FQDN"}


def test_image_in_the_platforms_registry_adds_no_host() -> None:
    assert hosts() == {"globo-dev.snowflakecomputing.com", "ocsp.snowflakecomputing.com"}


def test_image_in_another_registry_adds_its_hosts_its_endpoint_and_the_right_to_pull() -> None:
    assert hosts(**SHARED_IMAGE) - hosts() == {
        "globoshared.azurecr.io",
        "globoshared.westeurope.data.azurecr.io",
    }
    destination = rules(**SHARED_IMAGE)["importer-registry"]["destination"]
    assert destination == {"serviceResourceId": SHARED, "subresourceTarget": "registry"}
    assert set(grants(build("platform", **SHARED_IMAGE))) - set(grants(build("platform"))) == {
        ("importer", "ACR_PULL", SHARED),
        ("mlw-identity", "AI_NETWORK_CONNECTION_APPROVER", SHARED),
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"importerImage": SHARED_IMAGE["importerImage"]},
            "importerImage: is not in the platform's own registry (the stack's output registry): copy it",
        ),
        ({"importerRegistryId": SHARED}, "importerRegistryId: is not the registry of importerImage"),
        (
            {"importerRegistryId": SHARED, "importerImage": None},
            "importerRegistryId: must be absent if importerImage is absent",
        ),
    ],
)
def test_image_that_imports_could_not_pull_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(**changes)


def test_imports_without_an_image_are_built_on_a_cluster_from_the_hosts_of_packages() -> None:
    declared = build("platform", importerImage=None)
    assert declared.one(MLW)["imageBuildCompute"] == "image-builds"
    compute = declared.one("azure-native:machinelearningservices:Compute")
    assert compute["computeName"] == "image-builds"
    assert compute["properties"]["properties"]["scaleSettings"]["minNodeCount"] == 0
    assert hosts(importerImage=None) - hosts() == {"conda.anaconda.org", "pypi.org", "files.pythonhosted.org"}
    assert set(grants(declared)) - set(grants(build("platform"))) == {
        ("image-builds", "ACR_PUSH", "registry"),
        ("image-builds", "STORAGE_BLOB_DATA_CONTRIBUTOR", LOGS_CONTAINER),
        ("image-builds", "STORAGE_BLOB_DATA_CONTRIBUTOR", CODE_CONTAINER),
        ("o", "STORAGE_BLOB_DATA_CONTRIBUTOR", CODE_CONTAINER),
    }


def test_code_is_uploaded_after_the_deployer_has_the_role_to() -> None:
    declared = build("platform", importerImage=None)
    (code,) = [urn for urn in declared.dependencies if urn.endswith("globodev-importer-code")]
    (roles,) = [urn for urn in declared.dependencies[code] if urn.endswith("::globodev-deployer-roles")]
    waits_for = {urn.rsplit("::", 1)[1] for urn in declared.dependencies[roles]}
    assert "globodev-deployer-on-code" in waits_for


def test_platform_without_imports_builds_nothing() -> None:
    declared = declare_platform(imports=[], importerImage=None)
    assert declared.all("azure-native:machinelearningservices:Compute") == []
    assert "imageBuildCompute" not in declared.one(MLW)


def test_stack_without_an_image_is_valid() -> None:
    assert load(config(importerImage=None)).importer_image is None
