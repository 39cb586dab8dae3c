"""Address ranges, subnets, zones and names that Azure would refuse stop the program before any call."""

from typing import Any

import pytest

from components.network.private_link import Zone, metrics_zone
from stacks.settings.load import load
from stacks.settings.network import aks_zone
from tests.unit.stacks.stack_config import (
    EXISTING_NETWORK,
    HUB,
    OFFICE,
    PRINCIPAL,
    SUBNET,
    ZONE,
    config,
    imports,
    refusal,
    snowflake,
)


def test_the_subnets_are_quarters_of_the_address_space() -> None:
    subnets = load(config(network={"addressSpace": "10.1.0.0/20"})).network.subnets
    assert list(map(str, subnets)) == ["10.1.0.0/22", "10.1.4.0/22", "10.1.8.0/22"]


def test_each_subnet_can_be_set() -> None:
    network = load(config(network={"runnersRange": "10.42.255.0/24"})).network
    assert str(network.subnets.runners) == "10.42.255.0/24"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"network": {"nodesRange": "10.42.0.0/17"}},
            'network.endpointsRange: overlaps nodesRange (10.42.0.0/17); it is "10.42.64.0/18"',
        ),
        (
            {"network": {"endpointsRange": "10.43.0.0/24"}},
            'network.endpointsRange: must be within addressSpace (10.42.0.0/16); it is "10.43.0.0/24"',
        ),
        (
            {"network": {"endpointsRange": "10.42.64.0/28"}},
            "network.endpointsRange: is too small for the private endpoints; must be at least a /26; "
            'it is "10.42.64.0/28"',
        ),
        (
            {"network": {"addressSpace": "10.42.0.0/25"}},
            "network.addressSpace: is too small for three subnets; must be at least a /24; "
            'it is "10.42.0.0/25"',
        ),
        (
            {"network": {"addressSpace": "10.42.0.1/16"}},
            'network.addressSpace: expected the range as 10.42.0.0/16; it is "10.42.0.1/16"',
        ),
        (
            {"network": {"addressSpace": "ten"}},
            'network.addressSpace: expected an IPv4 range such as 10.42.0.0/16; it is "ten"',
        ),
        (
            {"network": {"addressSpace": "172.17.0.0/16"}},
            'network.addressSpace: overlaps 172.17.0.0/16, which Azure reserves; it is "172.17.0.0/16"',
        ),
        (
            {"cluster": {"podRange": "10.42.128.0/18"}},
            'cluster.podRange: overlaps network.addressSpace (10.42.0.0/16); it is "10.42.128.0/18"',
        ),
        (
            {"cluster": {"serviceRange": "10.244.1.0/24"}},
            'cluster.serviceRange: overlaps podRange (10.244.0.0/16); it is "10.244.1.0/24"',
        ),
        (
            {"network": {"nodesRange": "10.42.0.0/28"}, "cluster": {"maxNodes": 10}},
            "network.nodesRange: has 11 addresses, but an upgrade of the cluster may need 16; "
            'it is "10.42.0.0/28"',
        ),
        (
            {"location": "westus"},
            'zones: westus has no availability zones; set zones to []; it is ["1", "2", "3"]',
        ),
        ({"name": "azure"}, 'name: Azure rejects names with the reserved word azure; it is "azure"'),
        (
            {"name": "loginml"},
            'name: Azure rejects names with the reserved word login; it is "loginml"',
        ),
        (
            {"name": "mywindows"},
            'name: Azure rejects names with the reserved word windows; it is "mywindows"',
        ),
        (
            {"imports": imports(mode="unload")},
            "imports[0].mode: no Snowflake subnet may reach the lake: set snowflake.unload.subnetIds, "
            'or use stream; it is "unload"',
        ),
        (
            {
                "isolation": "public",
                "network": {"allowedAddressRanges": OFFICE},
                "imports": imports(mode="unload"),
            },
            "imports[0].mode: no Snowflake subnet may reach the lake: set snowflake.unload.subnetIds, "
            'or use stream; it is "unload"',
        ),
        (
            {"snowflake": snowflake(unload={"integrationPrincipal": PRINCIPAL})},
            "snowflake.unload.storageIntegration: required if integrationPrincipal is set",
        ),
        (
            {"isolation": "public", "network": {"allowedAddressRanges": ["8.0.0.0/8", "9.0.0.0/8"]}},
            "network.allowedAddressRanges: contain more addresses than a /8 in total",
        ),
        (
            {"isolation": "public", "network": {"allowedAddressRanges": [*OFFICE, "203.0.113.7/32"]}},
            'network.allowedAddressRanges[1]: overlaps an earlier range; it is "203.0.113.7/32"',
        ),
        (
            {"isolation": "public", "network": {"allowedAddressRanges": ["0.0.0.0/32"]}},
            'network.allowedAddressRanges[0]: must contain public addresses only; it is "0.0.0.0/32"',
        ),
        (
            {"isolation": "public", "network": {**EXISTING_NETWORK, "allowedAddressRanges": OFFICE}},
            "network.egressAddressRanges: required if isolation is public and nodesSubnetId is set",
        ),
        (
            {"network": {**EXISTING_NETWORK, "endpointsSubnetId": f"{HUB}/virtualNetworks/other/subnets/x"}},
            "network.endpointsSubnetId: must be in the same network as nodesSubnetId; it is "
            + f'"{HUB}/virtualNetworks/other/subnets/x"'[:77]
            + "...",
        ),
        (
            {"network": {"runnersRange": "10.42.128.0/30"}},
            'network.runnersRange: must be at least a /29; it is "10.42.128.0/30"',
        ),
        (
            {"network": {"addressSpace": "168.63.128.0/20"}},
            'network.addressSpace: overlaps 168.63.129.16/32, which Azure reserves; it is "168.63.128.0/20"',
        ),
        (
            {"cluster": {"serviceRange": "10.245.0.0/30"}},
            'cluster.serviceRange: must be from a /27 to a /13; it is "10.245.0.0/30"',
        ),
        (
            {"cluster": {"podRange": "10.244.0.0/22"}},
            "cluster.podRange: has room for the pods of 4 nodes, but an upgrade may need 10; "
            'it is "10.244.0.0/22"',
        ),
        (
            {"importerImage": f"globorealty/importer@sha256:{'0' * 64}"},
            "importerImage: must start with the host name of a registry, without a port; "
            f'it is "globorealty/importer@sha256:{"0" * 48}...',
        ),
        ({"tags": {"Stack": "x"}}, "tags.Stack: is already set; tag names must differ in more than case"),
        (
            {"tags": {"owner": "x", "Owner": "y"}},
            "tags.Owner: is already set; tag names must differ in more than case",
        ),
        ({"zones": ["1", "1"]}, 'zones: contains a zone twice; it is ["1", "1"]'),
        (
            {"alerts": {"emails": ["a@globo.example", "A@globo.example"]}},
            'alerts.emails: contains an address twice; it is ["a@globo.example", "A@globo.example"]',
        ),
        (
            {"workspace": {"managedNetwork": False}},
            "workspace.computeSubnetId: required if managedNetwork is false",
        ),
        (
            {"isolation": "public"},
            "network.allowedAddressRanges: required if isolation is public",
        ),
        (
            {"isolation": "public", "network": {"allowedAddressRanges": ["0.0.0.0/0"]}},
            'network.allowedAddressRanges[0]: is too wide; must be a /8 or narrower; it is "0.0.0.0/0"',
        ),
        (
            {"isolation": "public", "network": {"allowedAddressRanges": ["10.0.0.0/16"]}},
            'network.allowedAddressRanges[0]: must contain public addresses only; it is "10.0.0.0/16"',
        ),
        (
            {"network": {"nodesSubnetId": EXISTING_NETWORK["nodesSubnetId"]}},
            "network.endpointsSubnetId: required if nodesSubnetId is set",
        ),
        (
            {"network": {"endpointsSubnetId": EXISTING_NETWORK["endpointsSubnetId"]}},
            "network.nodesSubnetId: required if endpointsSubnetId is set",
        ),
        (
            {"network": {**EXISTING_NETWORK, "addressSpace": "10.1.0.0/16"}},
            "network.addressSpace: must be absent if nodesSubnetId or endpointsSubnetId is set",
        ),
        (
            {"network": {"outbound": "user_defined_routing"}},
            "network.outbound: the platform's own network uses a NAT gateway; set nodesSubnetId too; "
            'it is "user_defined_routing"',
        ),
        (
            {"network": {"dnsZoneIds": {"privatelink.blob.core.windows.net": f"{ZONE}/other"}}},
            "network.dnsZoneIds.privatelink.blob.core.windows.net: is the id of another zone; "
            "it is " + f'"{ZONE}/other"'[:77] + "...",
        ),
        (
            {"workspace": {"computeClusters": [{"name": "cpu", "vmSize": "Standard_D4ds_v5"}] * 2}},
            'workspace.computeClusters[1].name: is the name of an earlier compute cluster; it is "cpu"',
        ),
        (
            {"workspace": {"computeSubnetId": f"{SUBNET}/jobs"}},
            "workspace.computeSubnetId: must be absent if managedNetwork is true",
        ),
    ],
)
def test_invalid_combination_is_one_line_with_path_and_rule(changes: dict[str, Any], line: str) -> None:
    if "nodesRange" in changes.get("network", {}) and "cluster" in changes:
        changes["network"] |= {"endpointsRange": "10.42.1.0/24", "runnersRange": "10.42.2.0/24"}
    assert refusal(**changes) == f"ai-platform:{line}"


def test_a_zone_that_is_not_in_use_is_refused_with_those_that_are() -> None:
    line = refusal(network={"dnsZoneIds": {"privatelink.sql.net": f"{ZONE}/privatelink.sql.net"}})
    assert line.startswith(
        "ai-platform:network.dnsZoneIds.privatelink.sql.net: the platform does not use this zone; it uses "
    )
    assert "privatelink.blob.core.windows.net" in line


METRICS = metrics_zone("westeurope")
PUBLIC = {"isolation": "public"}


@pytest.mark.parametrize(
    ("changes", "zone"),
    [
        ({"cluster": {"enabled": False}}, METRICS),
        ({"cluster": {"enabled": False}}, aks_zone("westeurope")),
        (PUBLIC, METRICS),
        (PUBLIC, aks_zone("westeurope")),
        (PUBLIC, Zone.MONITOR),
        ({**PUBLIC, "cluster": {"enabled": False}}, Zone.BLOB),
    ],
)
def test_zone_of_a_disabled_part_is_refused(changes: dict[str, Any], zone: str) -> None:
    network = {"allowedAddressRanges": OFFICE, "dnsZoneIds": {zone: f"{ZONE}/{zone}"}}
    assert "the platform does not use this zone" in refusal(network=network, **changes)


def test_a_public_platform_with_a_cluster_has_the_zones_of_what_stores_data() -> None:
    settings = load(config(**PUBLIC, network={"allowedAddressRanges": OFFICE}))
    assert settings.endpoint_zones == [
        Zone.BLOB,
        Zone.DFS,
        Zone.FILE,
        Zone.QUEUE,
        Zone.TABLE,
        Zone.VAULT,
        Zone.REGISTRY,
        Zone.ML_API,
        Zone.ML_NOTEBOOKS,
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"isolation": "public", "network": {"allowedAddressRanges": OFFICE}},
        {"isolation": "private", "network": {"allowedAddressRanges": OFFICE}},
        {"location": "westus", "zones": []},
        {"zones": [1, 2]},
        {"network": EXISTING_NETWORK},
        {"network": {**EXISTING_NETWORK, "outbound": "user_defined_routing"}},
        {
            "network": {"endpointsSubnetId": EXISTING_NETWORK["endpointsSubnetId"]},
            "cluster": {"enabled": False},
        },
        {"network": {"dnsZoneIds": {aks_zone("westeurope"): f"{ZONE}/{aks_zone('westeurope')}"}}},
        {
            "imports": imports(mode="unload"),
            "snowflake": snowflake(unload={"subnetIds": [f"{SUBNET}/snowflake"]}),
        },
        {
            "isolation": "public",
            "network": {
                **EXISTING_NETWORK,
                "allowedAddressRanges": OFFICE,
                "egressAddressRanges": ["192.0.2.7/32"],
            },
        },
        {"cluster": {"enabled": False, "podRange": "10.42.0.0/16"}},
        {"workspace": {"managedNetwork": False, "computeSubnetId": f"{SUBNET}/jobs"}},
    ],
)
def test_valid_combinations_load(changes: dict[str, Any]) -> None:
    assert load(config(**changes)).name == "globodev"


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {"a/b": "c"}},
        {"tags": {"owner": "x" * 257}},
        {"tags": {f"tag{number}": "x" for number in range(49)}},
        {"zones": ["4"]},
        {"alerts": {"emails": ["nobody"]}},
        {"cluster": {"maintenanceDay": "sunday"}},
        {"lake": {"immutableDays": 0}},
        {"workspace": {"computeClusters": [{"name": "1", "vmSize": "Standard_D4ds_v5"}]}},
        {"network": {"endpointsSubnetId": "endpoints"}},
    ],
)
def test_values_that_azure_rejects_are_one_line_with_the_setting(changes: dict[str, Any]) -> None:
    (path,) = changes
    line = refusal(**changes)
    assert line.startswith(f"ai-platform:{path}")
    assert "\n" not in line
