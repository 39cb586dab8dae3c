"""The summary of a preview: counts, losses, and what opens, costs or keeps data."""

import json
from typing import Any

import pytest

from components.identity.identity import Role
from tools.preview_facts import UNKNOWN, Subject, facts
from tools.preview_summary import Preview, Step, show, summary

ACCOUNT = "azure-native:storage:StorageAccount"
SCOPE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake1f"


def step(op: str, type_: str, old: Any = None, new: Any = None, **more: Any) -> Step:
    """Return a step with the inputs before and after it."""
    found: Any = {"op": op, "urn": f"urn:pulumi:dev::p::ai-platform:index:Lake${type_}::lake", **more}
    for name, inputs in (("oldState", old), ("newState", new)):
        if inputs is not None:
            found[name] = {"type": type_, "inputs": inputs, "protect": bool(inputs.get("protect"))}
    known: Step = found
    return known


def test_changed_resource_shows_only_the_facts_that_change() -> None:
    old = {"publicNetworkAccess": "Disabled", "sku": {"name": "Standard_GZRS"}, "protect": True}
    new = old | {"publicNetworkAccess": "Enabled", "sku": {"name": "Standard_LRS"}}
    preview: Preview = {
        "steps": [step("same", ACCOUNT, old, old), step("update", ACCOUNT, old, new)],
        "changeSummary": {"same": 1, "update": 1},
    }
    assert summary("dev", preview) == (
        "dev: 1 to update, 1 unchanged\n\n"
        " update  kind\n"
        "      1  storage:StorageAccount\n\n"
        "Updated\n"
        "  ~ storage:StorageAccount lake: publicNetworkAccess Disabled => Enabled, "
        "sku.name Standard_GZRS => Standard_LRS\n\n"
        "Opens\n"
        "  + storage:StorageAccount lake: publicNetworkAccess Enabled\n\n"
        "Costs\n"
        "  + storage:StorageAccount lake: sku.name Standard_LRS\n"
        "  - storage:StorageAccount lake: sku.name Standard_GZRS\n\n"
        "Keeps data: no change"
    )


def test_replaced_and_deleted_resources_are_named_with_the_reason() -> None:
    closed = {"publicNetworkAccess": "Disabled"}
    preview: Preview = {
        "steps": [
            step("replace", ACCOUNT, closed, closed, replaceReasons=["isHnsEnabled"]),
            step("delete", "azure-native:storage:BlobContainer", {"protect": True}),
        ],
        "changeSummary": {"replace": 1, "delete": 1},
    }
    shown = summary("dev", preview)
    assert "dev: 1 to replace, 1 to delete" in shown
    assert "  ! delete storage:BlobContainer lake\n" in shown
    assert "  ! replace storage:StorageAccount lake, for isHnsEnabled\n" in shown
    assert "  - storage:BlobContainer lake: protected from deletion by Pulumi" in shown


def test_resources_with_the_same_changes_share_a_line_and_long_values_are_left_out() -> None:
    schedule = "pulumi-python:dynamic/azureml:ImportSchedule"
    old = {"cron": "0 6 * * *", "query": "SELECT 1", "__provider": "a"}
    new = {"cron": "30 5 * * *", "query": f"SELECT {'1' * 40}", "__provider": "b", "adopt": True}
    preview: Preview = {"steps": [step("update", schedule, old, new)] * 2, "changeSummary": {"update": 2}}
    assert (
        "Updated\n  ~ 2 x azureml:ImportSchedule: adopt none => true, cron 0 6 * * * => 30 5 * * *, query\n\n"
    ) in summary("dev", preview)


def test_components_are_counted_but_have_no_kind() -> None:
    component = step("create", "ai-platform:index:Lake", new={})
    assert summary("dev", {"steps": [component], "changeSummary": {"create": 1}}).startswith(
        "dev: 1 to create, 1 of them components and providers\n\nOpens: no change"
    )


def test_preview_without_changes_is_one_line_for_each_subject() -> None:
    assert summary("dev", {"changeSummary": {"same": 9}}) == (
        "dev: nothing to change, 9 unchanged\n\nOpens: no change\n\nCosts: no change\n\nKeeps data: no change"
    )


@pytest.mark.parametrize(
    ("type_", "inputs", "said"),
    [
        (ACCOUNT, {}, "publicNetworkAccess is not set, which opens it"),
        (
            ACCOUNT,
            {
                "publicNetworkAccess": "Enabled",
                "networkRuleSet": {"ipRules": [{"iPAddressOrRange": "1.2.3.4"}]},
            },
            "networkRuleSet.ipRules admits iPAddressOrRange 1.2.3.4",
        ),
        (
            "azure-native:containerservice:ManagedCluster",
            {"apiServerAccessProfile": {"authorizedIPRanges": ["1.2.3.0/24"]}},
            "apiServerAccessProfile.authorizedIPRanges admits 1.2.3.0/24",
        ),
        (
            "azure-native:authorization:RoleAssignment",
            {"roleDefinitionId": f"/x/roleDefinitions/{Role.READER}", "scope": SCOPE},
            "READER on storageAccounts/lake1f",
        ),
        (
            "azure-native:authorization:RoleAssignment",
            {"roleDefinitionId": UNKNOWN, "scope": UNKNOWN},
            "the custom role [unknown] on [unknown]",
        ),
        (
            "azure-native:machinelearningservices:Workspace",
            {
                "publicNetworkAccess": "Disabled",
                "managedNetwork": {"outboundRules": {"pypi": {"type": "FQDN", "destination": "pypi.org"}}},
            },
            "outbound rule pypi to pypi.org",
        ),
        (
            "azure-native:network:NetworkSecurityGroup",
            {
                "securityRules": [
                    {
                        "name": "web",
                        "access": "Allow",
                        "direction": "Outbound",
                        "protocol": "Tcp",
                        "sourceAddressPrefix": "*",
                        "destinationAddressPrefixes": ["10.0.0.0/8", "10.1.0.0/16"],
                        "destinationPortRange": "443",
                    },
                    {"name": "none", "access": "Deny"},
                ]
            },
            "security rule web allows Outbound Tcp from * to 10.0.0.0/8 and 10.1.0.0/16, ports 443",
        ),
        ("azure-native:network:PublicIPAddress", {}, "a public address"),
    ],
)
def test_what_opens_a_resource_is_said_in_one_line(type_: str, inputs: dict[str, Any], said: str) -> None:
    found = facts(type_, "x", inputs, protect=False)
    opened = [fact.text.partition(": ")[2] for fact in found if fact.subject is Subject.OPENS]
    assert opened == ([said] if "ipRules" not in said else ["publicNetworkAccess Enabled", said])


@pytest.mark.parametrize(
    ("type_", "inputs", "said"),
    [
        (
            "azure-native:containerservice:AgentPool",
            {"vmSize": "Standard_D4ds_v5", "minCount": 0, "maxCount": 20, "mode": "User"},
            "containerservice:AgentPool x: maxCount 20, minCount 0, vmSize Standard_D4ds_v5",
        ),
        ("azure-native:network:PrivateEndpoint", {"location": "westeurope"}, "network:PrivateEndpoint"),
    ],
)
def test_what_a_resource_costs_is_its_size_or_its_kind(type_: str, inputs: dict[str, Any], said: str) -> None:
    found = facts(type_, "x", inputs, protect=False)
    assert [fact.text for fact in found if fact.subject is Subject.COSTS] == [said]


@pytest.mark.parametrize(
    ("type_", "inputs", "said"),
    [
        (
            "azure-native:storage:BlobServiceProperties",
            {"deleteRetentionPolicy": {"enabled": True, "days": 14}},
            "deleteRetentionPolicy.days 14",
        ),
        ("pulumi-python:dynamic/azureml:ImportSchedule", {"spec": {"keep_days": 9}}, "spec.keep_days 9"),
        (
            "azure-native:authorization:ManagementLockByScope",
            {"level": "CanNotDelete", "scope": SCOPE},
            "CanNotDelete lock on storageAccounts/lake1f",
        ),
    ],
)
def test_what_keeps_data_is_a_retention_or_a_lock(type_: str, inputs: dict[str, Any], said: str) -> None:
    found = facts(type_, "x", inputs, protect=False)
    assert [f.text.partition(": ")[2] for f in found if f.subject is Subject.DATA] == [said]


def test_failed_preview_shows_its_messages_and_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    failed = {"diagnostics": [{"message": "error: no such column\n"}], "changeSummary": {"create": 1}}
    assert show("dev", json.dumps(failed), 255) == 255
    assert show("dev", "error: no stack named 'dev'\n", 255) == 255
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "error: no such column\nerror: no stack named 'dev'\n")
