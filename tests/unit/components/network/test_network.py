"""The network: what may pass, how it gets out, and how the names of its private endpoints resolve."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pulumi
import pytest

from components.component import AzureArgs, PrivateLinkArgs
from components.network.network import Network, NetworkArgs
from components.network.private_dns import PrivateDns, PrivateDnsArgs
from components.network.private_link import Zone, add_private_endpoint
from tools.declared import RESOURCES, Declared, declare

AZURE = AzureArgs(resource_group="rg-test", location="westeurope", tags={"stack": "test"})
RANGES = {"nodes": "10.42.0.0/18", "endpoints": "10.42.64.0/18", "runners": "10.42.128.0/18"}
POD_RANGE = "10.244.0.0/16"

NODE, OTHER_NODE = "10.42.0.4", "10.42.1.9"
POD, OTHER_POD = "10.244.0.7", "10.244.5.6"
ENDPOINT, RUNNER = "10.42.64.4", "10.42.128.4"
PEERED, INTERNET = "10.99.0.4", "203.0.113.7"
CONNECTED = [ip_network("10.42.0.0/16"), ip_network("10.99.0.0/16")]
"""What the service tag `VirtualNetwork` means here: the network and one that is peered with it."""

SECURITY_GROUP = "azure-native:network:NetworkSecurityGroup"
VIRTUAL_NETWORK = "azure-native:network:VirtualNetwork"
ADDRESS = "azure-native:network:PublicIPAddress"
LINK = "azure-native:privatedns:VirtualNetworkLink"


def network_args(**changes: Any) -> NetworkArgs:
    ranges = {f"{subnet}_range": subnet_range for subnet, subnet_range in RANGES.items()}
    args = {
        "azure": AZURE,
        "log_analytics_id": f"{RESOURCES}/logs",
        "address_space": "10.42.0.0/16",
        **ranges,
        "pod_range": POD_RANGE,
        "zones": ["1", "2", "3"],
        **changes,
    }
    return NetworkArgs(**args)


def declare_network(**changes: Any) -> Declared:
    return declare(lambda: Network("network", network_args(**changes)))


def subnets(declared: Declared) -> dict[str, dict[str, Any]]:
    return {subnet["name"]: subnet for subnet in declared.one(VIRTUAL_NETWORK)["subnets"]}


def passes(declared: Declared, source: str, target: str, port: int, protocol: str = "Tcp") -> bool:
    """Say whether the security groups at both ends let a connection pass."""
    return _allowed(declared, "Outbound", source, source, target, port, protocol) and _allowed(
        declared, "Inbound", target, source, target, port, protocol
    )


def _allowed(declared: Declared, direction: str, end: str, *connection: Any) -> bool:
    ranges = {**{subnet: [own] for subnet, own in RANGES.items()}, "nodes": [RANGES["nodes"], POD_RANGE]}
    homes = [name for name, own in ranges.items() if any(_within(end, [one]) for one in own)]
    if not homes:
        return True
    group_id = subnets(declared)[homes[0]]["networkSecurityGroup"]["id"]
    rules = declared.one(SECURITY_GROUP, group_id.removeprefix(f"{RESOURCES}/"))["securityRules"]
    matching = [r for r in rules if r["direction"] == direction and _matches(r, *connection)]
    assert matching, f"left to Azure's own rules: {direction} at {end}, {connection}"
    return bool(min(matching, key=lambda rule: rule["priority"])["access"] == "Allow")


def _matches(rule: Mapping[str, Any], source: str, target: str, port: int, protocol: str) -> bool:
    ports = rule.get("destinationPortRanges") or [rule["destinationPortRange"]]
    return (
        _within(source, rule.get("sourceAddressPrefixes") or [rule["sourceAddressPrefix"]])
        and _within(target, rule.get("destinationAddressPrefixes") or [rule["destinationAddressPrefix"]])
        and rule["protocol"] in (protocol, "*")
        and ("*" in ports or str(port) in ports)
    )


def _within(address: str, prefixes: Sequence[str]) -> bool:
    meaning = {"*": [ip_network("0.0.0.0/0")], "VirtualNetwork": CONNECTED}
    return any(
        ip_address(address) in own
        for prefix in prefixes
        for own in meaning.get(prefix) or [ip_network(prefix)]
    )


@pytest.mark.parametrize(
    ("source", "target", "port", "protocol"),
    [
        (NODE, OTHER_NODE, 10250, "Tcp"),
        (NODE, POD, 8080, "Tcp"),
        (POD, OTHER_POD, 53, "Udp"),
        (NODE, ENDPOINT, 443, "Tcp"),
        (NODE, INTERNET, 443, "Tcp"),
        (NODE, INTERNET, 80, "Tcp"),
        (RUNNER, ENDPOINT, 443, "Tcp"),
        (RUNNER, INTERNET, 443, "Tcp"),
        (PEERED, ENDPOINT, 443, "Tcp"),
    ],
)
def test_what_the_platform_needs_passes(source: str, target: str, port: int, protocol: str) -> None:
    assert passes(declare_network(), source, target, port, protocol)


@pytest.mark.parametrize(
    ("source", "target", "port", "protocol"),
    [
        (INTERNET, NODE, 443, "Tcp"),
        (INTERNET, ENDPOINT, 443, "Tcp"),
        (INTERNET, RUNNER, 22, "Tcp"),
        (PEERED, NODE, 22, "Tcp"),
        (PEERED, RUNNER, 22, "Tcp"),
        (PEERED, ENDPOINT, 22, "Tcp"),
        (RUNNER, NODE, 10250, "Tcp"),
        (NODE, RUNNER, 443, "Tcp"),
        (RUNNER, ENDPOINT, 22, "Tcp"),
        (RUNNER, INTERNET, 22, "Tcp"),
        (NODE, INTERNET, 25, "Tcp"),
        (NODE, INTERNET, 443, "Udp"),
        (ENDPOINT, INTERNET, 443, "Tcp"),
        (ENDPOINT, NODE, 443, "Tcp"),
    ],
)
def test_all_else_is_denied(source: str, target: str, port: int, protocol: str) -> None:
    assert not passes(declare_network(), source, target, port, protocol)


def test_each_subnet_has_its_range_and_a_security_group_of_its_own() -> None:
    declared = declare_network()
    assert {name: subnet["addressPrefix"] for name, subnet in subnets(declared).items()} == RANGES
    assert {name: subnet["networkSecurityGroup"]["id"] for name, subnet in subnets(declared).items()} == {
        name: f"{RESOURCES}/network-{name}" for name in RANGES
    }
    assert declared.one(VIRTUAL_NETWORK)["addressSpace"] == {"addressPrefixes": ["10.42.0.0/16"]}


def test_only_nodes_and_runners_get_out_and_only_by_the_nat_gateway() -> None:
    declared = declare_network()
    ways_out = {name: subnet.get("natGateway") for name, subnet in subnets(declared).items()}
    gateway = {"id": f"{RESOURCES}/network-egress"}
    assert ways_out == {"nodes": gateway, "endpoints": None, "runners": gateway}
    assert {subnet["defaultOutboundAccess"] for subnet in subnets(declared).values()} == {False}
    assert declared.one("azure-native:network:NatGateway")["publicIpAddresses"] == [
        {"id": f"{RESOURCES}/network-egress-address"}
    ]


def test_security_group_counts_for_private_endpoints_but_not_for_the_api_servers() -> None:
    policies = {
        name: subnet["privateEndpointNetworkPolicies"] for name, subnet in subnets(declare_network()).items()
    }
    assert policies["endpoints"] == "NetworkSecurityGroupEnabled"
    assert policies["nodes"] == "Disabled"


@pytest.mark.parametrize("zones", [["1", "2", "3"], []])
def test_egress_address_is_in_all_zones_and_the_gateway_in_none(zones: list[str]) -> None:
    declared = declare_network(zones=zones)
    assert declared.one(ADDRESS).get("zones", []) == zones
    assert declared.one(ADDRESS)["sku"] == {"name": "Standard"}
    assert declared.one(ADDRESS)["publicIPAllocationMethod"] == "Static"
    assert "zones" not in declared.one("azure-native:network:NatGateway")


def test_everything_that_has_logs_or_metrics_to_export_sends_them() -> None:
    sent = {
        setting.inputs["resourceUri"].removeprefix(f"{RESOURCES}/"): (
            bool(setting.inputs["logs"]),
            bool(setting.inputs["metrics"]),
            setting.inputs["workspaceId"],
        )
        for setting in declare_network().all("azure-native:monitor:DiagnosticSetting")
    }
    logs = f"{RESOURCES}/logs"
    assert sent == {
        "network": (True, True, logs),
        "network-egress-address": (True, True, logs),
        "network-nodes": (True, False, logs),
        "network-endpoints": (True, False, logs),
        "network-runners": (True, False, logs),
    }


def test_outputs_are_the_ids_of_the_subnets_and_the_address_that_others_see() -> None:
    outputs: dict[str, str] = {}

    def program() -> pulumi.Output[None]:
        network = Network("network", network_args())
        return pulumi.Output.all(
            network=network.virtual_network_id,
            nodes=network.nodes_subnet_id,
            endpoints=network.endpoints_subnet_id,
            runners=network.runners_subnet_id,
            egress=network.egress_address,
        ).apply(outputs.update)

    declared = declare(program)
    assert outputs == {
        "network": f"{RESOURCES}/network",
        "egress": "203.0.113.7",
        **{name: f"{RESOURCES}/network/subnets/{name}" for name in subnets(declared)},
    }


ZONES = [Zone.BLOB, "privatelink.westeurope.azmk8s.io"]
HUB = "/subscriptions/hub/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub"


def make_zones() -> PrivateDns:
    return PrivateDns("dns", PrivateDnsArgs(azure=AZURE, virtual_network_id=HUB, zones=ZONES))


def test_each_zone_is_global_and_linked_to_the_given_network() -> None:
    declared = declare(make_zones)
    zones = declared.all("azure-native:privatedns:PrivateZone")
    assert {zone.inputs["privateZoneName"] for zone in zones} == set(ZONES)
    links = [link.inputs for link in declared.all(LINK)]
    assert {link["privateZoneName"] for link in links} == {zone.name for zone in zones}
    assert [link["virtualNetwork"] for link in links] == [{"id": HUB}] * len(ZONES)
    assert {resource.inputs["location"] for resource in declared.resources[1:]} == {"global"}


def test_link_registers_no_machines_and_leaves_names_of_others_to_public_dns() -> None:
    for link in declare(make_zones).all(LINK):
        assert link.inputs["registrationEnabled"] is False
        assert link.inputs["resolutionPolicy"] == "NxDomainRedirect"


def test_private_endpoint_waits_for_the_link_of_its_zone() -> None:
    def program() -> None:
        link = PrivateLinkArgs(subnet_id=f"{RESOURCES}/subnet", zone_ids=make_zones().zone_ids)
        owner = pulumi.ComponentResource("test:index:Owner", "owner")
        add_private_endpoint("lake-blob", f"{RESOURCES}/lake", "blob", link, AZURE, owner)

    declared = declare(program)
    (config,) = declared.one("azure-native:network:PrivateDnsZoneGroup")["privateDnsZoneConfigs"]
    assert config["privateDnsZoneId"] == f"{RESOURCES}/dns-{Zone.BLOB}"
    (group,) = [urn for urn in declared.dependencies if urn.endswith("::lake-blob-zones")]
    waits_for = {urn.rsplit("::", 1)[1] for urn in declared.dependencies[group]}
    assert f"dns-{Zone.BLOB}-link" in waits_for


@pytest.mark.parametrize("program", [declare_network, lambda: declare(make_zones)])
def test_children_are_named_after_their_component(program: Any) -> None:
    resources = program().resources
    assert [r.name for r in resources if not r.name.startswith(resources[0].name)] == []
