"""What is refused before the first resource: the environment of the other cloud, and example values."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.environment import variables
from localcloud.home import Home
from stacks.settings.deployment import OFFLINE_VARIABLE, check_deployment, deployment_time
from stacks.settings.explain import SettingsError
from stacks.settings.load import load
from stacks.settings.stack import Settings
from tests.local_cloud import REPOSITORY
from tests.unit.stacks.stack_config import config
from tools import offline_preview

IMAGE = "globodevregistry0a1b2c3d.azurecr.io/importer@sha256:" + "1f" * 32
#: What `dataScientists` needs.
ACCEPTED = {"dataScientistsActAsWorkspaceIdentities": True}
AZURE = {"PATH": "/usr/bin"}
OFFLINE = {"PULUMI_DEBUG_PROVIDERS": "azure-native:1", OFFLINE_VARIABLE: "true"}
LOCAL = {
    "PULUMI_DEBUG_PROVIDERS": "azure-native:1,kubernetes:2",
    "AZUREML_DEV_URL_MFE": "https://127.0.0.1:3",
    "SNOWFLAKE_HOST": "127.0.0.1",
    "SNOWFLAKE_PORT": "4",
    "SNOWFLAKE_PROTOCOL": "http",
}


def settings(**changes: Any) -> Settings:
    return load(config(importerImage=changes.pop("importerImage", IMAGE), **changes))


def refusal(found: Settings, environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        check_deployment(found, "dev", environment)
    return str(refused.value)


def settings_of(stack: str) -> Settings:
    """Return the settings of a stack of this repository, as the engine passes them to the program."""
    document = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())
    return load({k: v if isinstance(v, str) else json.dumps(v) for k, v in document["config"].items()})


@pytest.mark.parametrize(
    ("endpoints", "environment"), [("public", AZURE), ("public", OFFLINE), ("local", LOCAL)]
)
def test_settings_and_environment_of_the_same_cloud_pass(endpoints: str, environment: dict[str, str]) -> None:
    assert check_deployment(settings(endpoints=endpoints), "dev", environment) == []


@pytest.mark.parametrize("name", ["PULUMI_DEBUG_PROVIDERS", "AZUREML_DEV_URL_MFE"])
def test_settings_for_azure_with_a_variable_of_the_local_cloud_are_refused(name: str) -> None:
    assert refusal(settings(), {name: LOCAL[name]}) == (
        f"ai-platform:endpoints: public, but {name} of .local/env would deploy the stack into the local "
        "cloud: use a new shell, and if Pulumi has just added an encryptionsalt to Pulumi.dev.yaml, remove it"
    )


@pytest.mark.parametrize("name", LOCAL)
def test_settings_for_the_local_cloud_without_one_of_its_variables_are_refused(name: str) -> None:
    environment = {other: value for other, value in LOCAL.items() if other != name}
    assert refusal(settings(endpoints="local"), environment) == (
        f"ai-platform:endpoints: local needs {name} in the environment: run `python -m localcloud start`, "
        "then `. .local/env`"
    )


def test_local_environment_file_sets_all_that_the_check_needs(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    home.vault_file.write_text('{"snowflake-deployer": "x", "snowflake-importer": "y"}')
    assert LOCAL.keys() <= variables(home).keys()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"importerImage": f"globodevregistry0a1b2c3d.azurecr.io/importer@sha256:{'0' * 64}"},
            "importerImage: has the digest of the examples, all zeros",
        ),
        (
            {"snowflake": {"account": "MYORG-myaccount", "warehouse": "W", "role": "R"}},
            "snowflake.account: is the account of the examples",
        ),
        (
            {"alerts": {"emails": ["ml@real.com", "ml@globorealty.example"]}},
            "alerts.emails[1]: is in a domain that is reserved for examples",
        ),
        ({"alerts": {"emails": ["ml@example.com"]}}, "alerts.emails[0]: is in a domain that is reserved"),
        (
            {"isolation": "public", "network": {"allowedAddressRanges": ["203.0.113.64/26"]}},
            "network.allowedAddressRanges[0]: is in an address range that is reserved for documentation",
        ),
        (
            {"workspace": {**ACCEPTED, "dataScientists": "00000000-0000-0000-0000-00000000000a"}},
            "workspace.dataScientists: has an id of the examples, all zeros",
        ),
    ],
)
def test_example_value_is_refused_with_its_path_and_noted_in_an_offline_preview(
    changes: dict[str, Any], expected: str
) -> None:
    found = settings(**changes)
    line = refusal(found, AZURE)
    assert line.startswith(f"ai-platform:{expected}")
    assert ": replace it with your own; it is " in line
    assert check_deployment(found, "dev", OFFLINE) == [line]


@pytest.mark.parametrize(
    "changes",
    [
        {"snowflake": {"account": "globo-dev", "warehouse": "W", "role": "R"}},
        {"alerts": {"emails": ["ml@example-homes.com", "example@globo.com"]}},
        {"isolation": "public", "network": {"allowedAddressRanges": ["203.0.112.0/24"]}},
        {"workspace": {**ACCEPTED, "dataScientists": "00000003-0000-0000-c000-000000000000"}},
        {"imports": [{"name": "a", "query": "SELECT 'a@b.example'", "schedule": "0 6 * * *"}]},
        {"tags": {"network": "192.0.2.0/24"}},
    ],
)
def test_value_that_can_be_real_passes(changes: dict[str, Any]) -> None:
    assert check_deployment(settings(**changes), "dev", AZURE) == []


@pytest.mark.parametrize(
    ("stack", "paths"),
    [
        ("dev", ["snowflake.account", "network.allowedAddressRanges[0]"]),
        ("prod", ["importerImage", "importerRegistryId", "snowflake.account", "alerts.emails[0]"]),
    ],
)
def test_stacks_of_the_repository_are_refused_until_their_example_values_are_replaced(
    stack: str, paths: list[str]
) -> None:
    found = refusal(settings_of(stack), AZURE).splitlines()
    assert sorted(line.split(": ")[0] for line in found) == sorted(f"ai-platform:{path}" for path in paths)


def test_offline_preview_sets_the_variable_that_the_check_reads(tmp_path: Path) -> None:
    assert OFFLINE_VARIABLE in offline_preview.offline_environment(tmp_path)


def test_deployment_time_is_fixed_in_an_offline_preview_only() -> None:
    before = datetime.now(UTC)
    assert before <= deployment_time(AZURE) <= datetime.now(UTC)
    assert deployment_time(OFFLINE) == deployment_time(OFFLINE) < before


@pytest.mark.parametrize(
    "namespace", ["aiplatform", "ai_platform", "ai-plattform", "AI-Platform", "ai.platfrom"]
)
def test_namespace_that_is_nearly_the_projects_is_refused(namespace: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({**config(), f"{namespace}:isolation": "public"})
    assert str(refused.value) == (
        f"{namespace}:isolation: no such namespace, so this sets nothing; did you mean ai-platform:isolation?"
    )


@pytest.mark.parametrize("namespace", ["azure-native", "kubernetes", "pulumi", "data-platform", "ai"])
def test_namespace_of_a_provider_or_another_project_is_left_alone(namespace: str) -> None:
    assert load({**config(), f"{namespace}:isolation": "public"}) == load(config())
