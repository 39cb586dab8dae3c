"""The checks before a deployment, against answers of Azure that are data."""

import json
import logging
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from azure.core.exceptions import HttpResponseError

from stacks.settings.load import load
from tests.unit.stacks.declared_stacks import EXISTING_WORKSPACE
from tests.unit.stacks.stack_config import IMPORT, OFFICE, config, snowflake
from tools.preflight import __main__ as preflight
from tools.preflight import capacity, reach, subscription
from tools.preflight import snowflake as snowflake_check
from tools.preflight.arm import Arm
from tools.preflight.check import Check, Context, Problem

SUBSCRIPTION = "/subscriptions/5ab0"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-globodev"
COMPUTE = f"{SUBSCRIPTION}/providers/Microsoft.Compute"
RIGHTS = {"actions": ["*"], "notActions": []}
D4 = {
    "resourceType": "virtualMachines",
    "name": "Standard_D4ds_v5",
    "family": "standardDDSv5Family",
    "locationInfo": [{"location": "westeurope", "zones": ["1", "2", "3"]}],
    "capabilities": [
        {"name": "vCPUs", "value": "4"},
        {"name": "EphemeralOSDiskSupported", "value": "True"},
        {"name": "EncryptionAtHostSupported", "value": "True"},
    ],
    "restrictions": [],
}


def usage(name: str, current: int, limit: int) -> dict[str, Any]:
    return {"name": {"value": name}, "currentValue": current, "limit": limit}


#: What a subscription answers that is ready, by path; a list is a collection.
READY: dict[str, Any] = {
    f"{SUBSCRIPTION}/providers": [
        {"namespace": name, "registrationState": "Registered"}
        for name in subscription.namespaces(load(config()))
    ],
    f"{SUBSCRIPTION}/providers/Microsoft.Authorization/permissions": [RIGHTS],
    f"{SUBSCRIPTION}/providers/Microsoft.Authorization/locks": [],
    f"{SUBSCRIPTION}/providers/Microsoft.KeyVault/deletedVaults": [],
    f"{SUBSCRIPTION}/providers/Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost": {
        "properties": {"state": "Registered"}
    },
    f"{COMPUTE}/skus": [D4, {**D4, "resourceType": "disks"}],
    f"{COMPUTE}/locations/westeurope/usages": [
        usage("cores", 0, 100),
        usage("standardDDSv5Family", 0, 100),
    ],
}


class Server(NamedTuple):
    """A server that answers like Azure Resource Manager, from `answers`."""

    address: str
    answers: dict[str, Any]
    asked: list[str]


class Token(NamedTuple):
    token: str
    expires_on: int


class Credential:
    def get_token(self, *_: str, **__: object) -> Any:
        return Token("abc", 2**40)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    answers, asked = dict(READY), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            asked.append(f"{self.command} {path}")
            found = answers.get(path)
            if isinstance(found, list):
                # every item on a page of its own
                page = int(query.partition("page=")[2] or 0)
                found = {"value": found[page : page + 1]} | (
                    {"nextLink": f"{address}{path}?page={page + 1}"} if page + 1 < len(found) else {}
                )
            status = 404 if found is None else 403 if found == "forbidden" else 200
            error = {"error": {"code": "AuthorizationFailed", "message": "no right to read"}}
            body = json.dumps(found if status == 200 else error).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        address = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        # a token is sent over TLS only, and this server has none
        monkeypatch.setattr("tools.preflight.arm.ARMChallengeAuthenticationPolicy", without_token)
        yield Server(address, answers, asked)
        http.shutdown()


def without_token(*_: object) -> Any:
    from azure.core.pipeline.policies import HeadersPolicy

    return HeadersPolicy()


def context(server: Server, **changes: Any) -> Context:
    return Context("dev", load(config(**changes)), Arm("5ab0", Credential(), server.address))


def texts(problems: Iterator[Problem]) -> list[str]:
    return [problem.text for problem in problems]


PUBLIC = {"isolation": "public", "network": {"allowedAddressRanges": OFFICE}}


def test_ready_subscription_passes_every_check_with_reads_only(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")
    monkeypatch.setattr(snowflake_check, "allowlist", lambda _: [])
    assert preflight.report(context(server), preflight.CHECKS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(preflight.CHECKS)
    assert all(line.startswith("ok ") for line in lines)
    assert {request.split()[0] for request in server.asked} == {"GET"}


def test_problem_that_blocks_is_one_line_with_its_command_and_exit_code_1(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers[f"{SUBSCRIPTION}/providers"] = [
        {**item, "registrationState": "NotRegistered"} if item["namespace"] == "Microsoft.KeyVault" else item
        for item in READY[f"{SUBSCRIPTION}/providers"]
    ]
    check = Check("resource providers", lambda _: True, subscription.unregistered_providers)
    assert preflight.report(context(server), (check,)) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fails resource providers")
    assert line.endswith(
        "Microsoft.KeyVault is NotRegistered: az provider register --namespace Microsoft.KeyVault --wait"
    )


def test_note_and_unreadable_answer_do_not_fail(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers[f"{SUBSCRIPTION}/providers/Microsoft.Authorization/locks"] = "forbidden"
    check = Check("locks", lambda _: True, subscription.read_only_locks)
    assert preflight.report(context(server), (check,)) == 0
    assert "note  locks" in (said := capsys.readouterr().out)
    assert "not checked: no right to read" in said


@pytest.mark.parametrize(
    ("state", "found"),
    [({"properties": {"state": "Registered"}}, 0), ({"properties": {"state": "Registering"}}, 1), (None, 1)],
)
def test_encryption_at_host_must_be_registered(server: Server, state: Any, found: int) -> None:
    path = (
        f"{SUBSCRIPTION}/providers/Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost"
    )
    server.answers[path] = state
    assert len(texts(subscription.missing_encryption_at_host(context(server)))) == found


@pytest.mark.parametrize(
    ("permissions", "lacking"),
    [
        ([RIGHTS], 0),
        ([{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}], 3),
        ([{"actions": ["*/read"], "notActions": []}], 4),
        (
            [
                {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]},
                {"actions": ["Microsoft.Authorization/*"], "notActions": []},
            ],
            0,
        ),
        ([], 4),
    ],
    ids=["owner", "contributor", "reader", "contributor-and-access-administrator", "none"],
)
def test_deployer_needs_rights_on_roles_and_locks(
    server: Server, permissions: list[dict[str, Any]], lacking: int
) -> None:
    server.answers[f"{SUBSCRIPTION}/providers/Microsoft.Authorization/permissions"] = permissions
    assert len(texts(subscription.missing_rights(context(server)))) == lacking


def test_rights_on_an_existing_resource_group_count(server: Server) -> None:
    server.answers[GROUP] = {"tags": {}}
    server.answers[f"{SUBSCRIPTION}/providers/Microsoft.Authorization/permissions"] = []
    server.answers[f"{GROUP}/providers/Microsoft.Authorization/permissions"] = [RIGHTS]
    assert texts(subscription.missing_rights(context(server))) == []


def test_imports_alone_need_rights_on_roles_in_the_workspaces_group_only(server: Server) -> None:
    group = EXISTING_WORKSPACE["workspaceId"].split("/providers/")[0]
    server.answers[group] = {}
    granted = {"actions": ["Microsoft.Authorization/roleAssignments/*"], "notActions": []}
    server.answers[f"{group}/providers/Microsoft.Authorization/permissions"] = [granted]
    alone = context(server, existing=EXISTING_WORKSPACE)
    assert texts(subscription.missing_rights(alone)) == [
        f"the deployer lacks Microsoft.Authorization/roleDefinitions/write on {group}"
    ]
    titles = {check.title for check in preflight.CHECKS if check.applies(alone.settings)}
    assert titles == {"resource providers", "rights of the deployer", "locks"}
    assert subscription.namespaces(alone.settings) == ["Microsoft.MachineLearningServices"]


@pytest.mark.parametrize(
    ("group", "found"),
    [
        (None, []),
        ({"tags": {"project": "ai-platform", "stack": "dev"}}, []),
        ({}, ["the resource group rg-globodev exists and is not made by this stack"]),
        (
            {"tags": {"project": "ai-platform", "stack": "prod"}},
            ["the resource group rg-globodev exists and is not made by this stack"],
        ),
    ],
    ids=["free", "own", "other", "other-stack"],
)
def test_resource_group_must_be_free_or_the_stacks(server: Server, group: Any, found: list[str]) -> None:
    server.answers[GROUP] = group
    assert texts(subscription.taken_names(context(server))) == found


def test_deleted_vault_of_the_stack_is_a_note(server: Server) -> None:
    server.answers[f"{SUBSCRIPTION}/providers/Microsoft.KeyVault/deletedVaults"] = [
        {"name": name, "properties": {"location": "westeurope"}}
        for name in (
            "globodev-kv0123abcd",
            "globodevmlwkv0123abcd",
            "globodev-kv-of-another",
            "xglobodev-kv0123abcd",
        )
    ]
    problems = list(subscription.taken_names(context(server)))
    assert [problem.blocks for problem in problems] == [False, False]
    assert "az keyvault recover --name globodev-kv0123abcd --location westeurope" in problems[0].mend


@pytest.mark.parametrize(
    ("scope", "level", "found"),
    [
        (SUBSCRIPTION, "ReadOnly", 1),
        (GROUP.lower(), "ReadOnly", 1),
        (GROUP, "CanNotDelete", 0),
        (f"{SUBSCRIPTION}/resourceGroups/other", "ReadOnly", 0),
    ],
)
def test_read_only_lock_above_the_stack_is_found(server: Server, scope: str, level: str, found: int) -> None:
    lock = {
        "id": f"{scope}/providers/Microsoft.Authorization/locks/keep",
        "name": "keep",
        "properties": {"level": level},
    }
    server.answers[f"{SUBSCRIPTION}/providers/Microsoft.Authorization/locks"] = [lock]
    assert len(texts(subscription.read_only_locks(context(server)))) == found


def restricted(kind: str, *zones: str) -> dict[str, Any]:
    return {**D4, "restrictions": [{"type": kind, "restrictionInfo": {"zones": list(zones)}}]}


@pytest.mark.parametrize(
    ("skus", "changes", "found"),
    [
        ([D4], {}, []),
        ([], {}, ["westeurope has no Standard_D4ds_v5"] * 2),
        ([restricted("Location")], {}, ["the subscription may not use Standard_D4ds_v5 in westeurope"] * 2),
        ([restricted("Zone", "2", "3")], {}, ["Standard_D4ds_v5 is not in zone 2, 3"] * 2),
        ([restricted("Zone", "2", "3")], {"zones": ["1"]}, []),
        (
            [{**D4, "capabilities": [{"name": "vCPUs", "value": "4"}]}],
            {"cluster": {"ephemeralOsDisk": False}},
            ["Standard_D4ds_v5 has no encryption at host"] * 2,
        ),
    ],
    ids=["offered", "unknown", "not-for-the-subscription", "two-zones", "one-zone", "no-encryption"],
)
def test_sizes_must_be_offered_in_every_zone(
    server: Server, skus: list[Any], changes: dict[str, Any], found: list[str]
) -> None:
    server.answers[f"{COMPUTE}/skus"] = skus
    assert texts(capacity.unavailable_sizes(context(server, **changes))) == found


#: The first nodes are 2 + 2 of 4 vCPUs; at most 5 + 1 and 3 + 1 nodes run during an upgrade.
FIRST, MOST = 16, 40


@pytest.mark.parametrize(
    ("current", "limit", "has_cluster", "blocks"),
    [
        (0, MOST, False, []),
        (100, 100 + FIRST, False, [False]),
        (100, 100 + FIRST - 1, False, [True]),
        (FIRST, MOST, True, []),
        (FIRST, MOST - 1, True, [False]),
    ],
)
def test_quota_must_fit_the_first_nodes_and_should_fit_an_upgrade_of_all(
    server: Server, current: int, limit: int, has_cluster: bool, blocks: list[bool]
) -> None:
    server.answers[f"{COMPUTE}/locations/westeurope/usages"] = [
        usage("cores", 0, 1000),
        usage("standardDDSv5Family", current, limit),
    ]
    if has_cluster:
        server.answers[f"{GROUP}/providers/Microsoft.ContainerService/managedClusters"] = [{"properties": {}}]
    problems = list(capacity.exceeded_quota(context(server)))
    assert [problem.blocks for problem in problems] == blocks
    assert all("--resource-name standardDDSv5Family" in problem.mend for problem in problems)
    assert all(f"value={current + MOST}" in problem.mend for problem in problems)


def test_missing_kubelogin_is_found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "kubelogin" else "/bin/az")
    assert texts(reach.missing_programs(context(server))) == ["kubelogin is not on PATH"]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("52.0.0.1", "has the public address 52.0.0.1 here"),
        (None, "has no address here"),
        ("127.0.0.1", None),
    ],
)
def test_api_server_must_have_a_private_address_that_answers(
    server: Server, monkeypatch: pytest.MonkeyPatch, address: str | None, found: str | None
) -> None:
    server.answers[f"{GROUP}/providers/Microsoft.ContainerService/managedClusters"] = [
        {"properties": {"privateFQDN": "aks.private"}},
        {"properties": {}},
    ]

    def resolve(_: str) -> str:
        if address is None:
            raise socket.gaierror
        return address

    monkeypatch.setattr(socket, "gethostbyname", resolve)
    monkeypatch.setattr(socket, "create_connection", lambda *_: socket.socket())
    assert texts(reach.unreachable_endpoints(context(server))) == ([f"aks.private {found}"] if found else [])


@pytest.mark.parametrize(
    ("host", "kind", "changes", "found"),
    [
        ("ocsp.snowflakecomputing.com", "OCSP_CACHE", {}, False),
        ("sfc.blob.core.windows.net", "STAGE", {}, False),  # the service tag of storage
        ("sfc.s3.amazonaws.com", "STAGE", {}, True),
        ("sfc.s3.amazonaws.com", "STAGE", {"workspace": {"outboundHosts": ["*.s3.amazonaws.com"]}}, False),
        ("sfc.s3.amazonaws.com", "STAGE", {"imports": [{**IMPORT, "mode": "unload"}]}, False),
        ("repo.snowflake.com", "SNOWSQL_REPO", {}, False),
    ],
)
def test_every_host_that_jobs_need_has_an_outbound_rule(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    kind: str,
    changes: dict[str, Any],
    found: bool,
) -> None:
    if "imports" in changes:
        subnet = (
            "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/s/providers/Microsoft.Network"
        )
        changes["snowflake"] = snowflake(
            unload={"subnetIds": [f"{subnet}/virtualNetworks/deployment-infra-vnet/subnets/default"]}
        )
    monkeypatch.setattr(snowflake_check, "allowlist", lambda _: [{"type": kind, "host": host, "port": 443}])
    assert texts(snowflake_check.closed_hosts(context(server, **changes))) == (
        [f"jobs do not reach {host}"] if found else []
    )


def test_public_stack_without_cluster_is_asked_for_less(server: Server) -> None:
    settings = context(server, **PUBLIC, cluster={"enabled": False}).settings
    titles = {check.title for check in preflight.CHECKS if check.applies(settings)}
    assert titles == {"resource providers", "rights of the deployer", "names", "locks", "hosts of Snowflake"}
    assert "Microsoft.ContainerService" not in subscription.namespaces(settings)


def test_error_of_a_read_is_raised(server: Server) -> None:
    server.answers["/x"] = "forbidden"
    arm = Arm("5ab0", Credential(), server.address)
    with pytest.raises(HttpResponseError, match="no right to read"):
        arm.get("/x", "2021-04-01")
    assert arm.get("/y", "2021-04-01") is None
    assert list(arm.items("/y", "2021-04-01")) == []


def test_subscription_is_the_stacks_then_the_environments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preflight, "ROOT", tmp_path)
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("config: {ai-platform:name: globodev, ai-platform:keep: true}")
    assert preflight.stack_config("dev") == {"ai-platform:name": "globodev", "ai-platform:keep": "true"}
    assert preflight.subscription_id("dev", {"ARM_SUBSCRIPTION_ID": "of-the-shell"}) == "of-the-shell"
    file.write_text("config: {azure-native:subscriptionId: of-the-stack}")
    assert preflight.subscription_id("dev", {"ARM_SUBSCRIPTION_ID": "of-the-shell"}) == "of-the-stack"
    file.write_text("config: {}")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LookupError, match="no subscription in azure-native:subscriptionId"):
        preflight.subscription_id("dev", {})


def test_invalid_settings_and_a_missing_stack_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "ROOT", tmp_path)
    monkeypatch.setattr(logging, "disable", lambda _: None)  # it is for the whole process
    assert preflight.main("nowhere") == 1
    expected = "preflight: there is no Pulumi.nowhere.yaml: create it, or name another STACK\n"
    assert capsys.readouterr().err == expected
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {ai-platform:nmae: x}")
    assert preflight.main("dev") == 1
    assert "ai-platform:nmae: no such setting" in capsys.readouterr().err
