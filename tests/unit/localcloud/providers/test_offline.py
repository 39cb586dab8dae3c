"""The providers of an offline preview: what they know of resources that do not exist."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.home import SUBSCRIPTION_ID, Home
from localcloud.providers import sdk_schema
from localcloud.providers.azure_native import load_schemas
from localcloud.providers.azure_types import TYPES
from localcloud.providers.grpc_provider import Resource
from localcloud.providers.offline import OfflineAzure, OfflineKubernetes
from localcloud.providers.properties import UNKNOWN

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
IDENTITY = Resource("azure-native:managedidentity:UserAssignedIdentity", "importer", {})
VAULT = Resource("azure-native:keyvault:Vault", "kv", {})
KEY = Resource("azure-native:keyvault:Key", "key", {})


@pytest.fixture
def azure(tmp_path: Path) -> OfflineAzure:
    return OfflineAzure(Home(tmp_path, {}))


def test_name_derives_from_the_urn_and_not_from_the_engines_random_bytes(azure: OfflineAzure) -> None:
    def name(urn: str, random: bytes) -> str:
        inputs, failures = azure.check(IDENTITY, {"resourceGroupName": "rg"}, {}, azure.seed(urn, random))
        assert failures == []
        return str(inputs["resourceName"])

    assert name("urn:a", b"1") == name("urn:a", b"2") != name("urn:b", b"1")


def test_objects_of_a_cluster_are_named_by_their_urns_too(tmp_path: Path) -> None:
    kubernetes = OfflineKubernetes(Home(tmp_path, {}))
    assert kubernetes.seed("urn:a", b"1") == kubernetes.seed("urn:a", b"2") != kubernetes.seed("urn:b", b"1")


def test_id_and_outputs_of_a_resource_with_known_inputs_are_known(azure: OfflineAzure) -> None:
    inputs = {"resourceGroupName": "rg", "resourceName": "importer1f"}
    found, outputs = azure.foresee(IDENTITY, inputs)
    assert found == f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/importer1f"
    assert (found, outputs) == azure.foresee(IDENTITY, inputs)
    assert outputs["clientId"] != outputs["principalId"]


def test_id_and_outputs_of_a_resource_with_an_unknown_input_are_unknown(azure: OfflineAzure) -> None:
    found, outputs = azure.foresee(IDENTITY, {"resourceGroupName": UNKNOWN, "resourceName": "importer1f"})
    assert (found, outputs["clientId"]) == ("", UNKNOWN)


def test_vault_and_key_have_addresses_of_azure(azure: OfflineAzure) -> None:
    names = {"resourceGroupName": "rg", "vaultName": "kv1f"}
    _, vault = azure.foresee(VAULT, names | {"properties": {}})
    _, key = azure.foresee(KEY, names | {"keyName": "encryption", "properties": {"kty": "RSA"}})
    assert vault["properties"]["vaultUri"] == "https://kv1f.vault.azure.net/"
    assert key["keyUriWithVersion"] == "https://kv1f.vault.azure.net/keys/encryption/1"


def test_existing_resource_that_a_stack_asks_for_is_taken_to_exist(azure: OfflineAzure) -> None:
    args = {"resourceGroupName": "ml", "accountName": "theirs"}
    found = azure.invoke("azure-native:storage:getStorageAccount", args, {})
    assert found["primaryEndpoints"]["blob"] == "https://theirs.blob.core.windows.net/"


def test_every_type_is_loaded_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def record(package: str, module: str, name: str) -> Any:
        loaded.append(f"{package}.{module}:{name}")

    monkeypatch.setattr(sdk_schema, "resource_schema", record)
    load_schemas()
    assert loaded == [f"pulumi_azure_native.{token}" for token in TYPES]
