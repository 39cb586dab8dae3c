"""Each setting reaches the resource that it is about: what a person writes is what Azure is asked for."""

from collections.abc import Iterator
from typing import Any

import pytest

from stacks.settings.network import aks_zone
from stacks.settings.stack import Settings
from tests.unit.stacks.declared_stacks import SCHEDULE, declare_platform
from tests.unit.stacks.stack_config import EXISTING_NETWORK, IMPORT, OFFICE, SUBNET, ZONE, snowflake
from tools.settings_doc import rows

AKS = "azure-native:containerservice:ManagedCluster"
POOL = "azure-native:containerservice:AgentPool"
MAINTENANCE = "azure-native:containerservice:MaintenanceConfiguration"
MLW = "azure-native:machinelearningservices:Workspace"
COMPUTE = "azure-native:machinelearningservices:Compute"
NETWORK = "azure-native:network:VirtualNetwork"
NODES, ENDPOINTS, RUNNERS = (f"subnets.{index}.addressPrefix" for index in range(3))
IMMUTABILITY = "azure-native:storage:BlobContainerImmutabilityPolicy"
LIFECYCLE = "azure-native:storage:ManagementPolicy"
COOL = "policy.rules.0.definition.actions.baseBlob.tierToCool.daysAfterModificationGreaterThan"
MANAGED = "managedNetwork.outboundRules"
CPU = {"name": "cpu", "vmSize": "Standard_F8s_v2", "maxNodes": 7, "idleMinutes": 20}
CPU_NODES = "properties.properties"
CPU_SCALE = f"{CPU_NODES}.scaleSettings"


AKS_ZONE = aks_zone("westeurope")

#: Platforms of which each setting that a case names has another value than its default. One platform holds as
#: many settings as go together, so that few are rendered.
PLATFORMS: dict[str, dict[str, Any]] = {
    "own network": {
        "workspace": {
            "hbi": True,
            "firewallSku": "Basic",
            "outboundHosts": ["a.test"],
            "computeClusters": [CPU],
        },
        "snowflake": snowflake(account="xy.eu-west-1", stageHosts=["a.s3.amazonaws.com"]),
        "lake": {"coolAfterDays": 45, "immutableDays": 30},
        "logRetentionDays": "60",
        "imports": [
            {
                **IMPORT,
                "keepVersions": 9,
                "memoryMb": 800,
                "runOnCreate": False,
                "schedule": "5 4 * * 1",
                "timeZone": "Asia/Tokyo",
            }
        ],
        "zones": ["1", "2"],
        "cluster": {
            "kubernetesVersion": "1.34",
            "nodeSize": "Standard_E8ds_v5",
            "minNodes": 1,
            "maxNodes": 9,
            "systemNodeSize": "Standard_D8ds_v5",
            "minSystemNodes": 3,
            "maxSystemNodes": 6,
            "ephemeralOsDisk": False,
            "encryptionAtHost": False,
            "podRange": "10.100.0.0/16",
            "serviceRange": "10.101.0.0/16",
            "maintenanceDay": "Monday",
            "maintenanceHour": 5,
        },
        "network": {
            "nodesRange": "10.42.0.0/20",
            "endpointsRange": "10.42.64.0/24",
            "runnersRange": "10.42.128.0/24",
            "dnsZoneIds": {AKS_ZONE: f"{ZONE}/{AKS_ZONE}"},
        },
        "alerts": {"emails": ["ml@globo.example"], "monthlyBudget": 5000, "lateAfterMinutes": 90},
    },
    "existing network": {
        "workspace": {"managedNetwork": False, "computeSubnetId": f"{SUBNET}/jobs"},
        "network": {**EXISTING_NETWORK, "outbound": "user_defined_routing"},
        "imports": [{**IMPORT, "enabled": False}],
    },
    "existing network with public services": {
        "isolation": "public",
        "network": {
            **EXISTING_NETWORK,
            "allowedAddressRanges": OFFICE,
            "egressAddressRanges": ["198.51.100.7/32"],
        },
    },
    "other address space": {"network": {"addressSpace": "10.7.0.0/16"}},
}
OWN = "own network"

#: Settings whose effect `test_platform.py`, `test_security.py` and the tests of `settings/` show.
SHOWN_ELSEWHERE = {
    "name",
    "location",
    "importerImage",
    "importerRegistryId",
    "network.apiServerNetworkIds",
    "keep",
    "geoRedundant",
    "customerManagedKey",
    "tags",
    "endpoints",
    "cluster.enabled",
    "cluster.administrators",
    "workspace.dataScientists",
    "workspace.dataScientistsActAsWorkspaceIdentities",
    "workspace.cosmosDbPrincipal",
}


def declared_in(settings: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each declared setting, as docs/settings.md writes it."""
    match settings:
        case dict():
            for name, value in settings.items():
                yield path + name
                yield from declared_in(value, f"{path}{name}.")
        case [dict() as first, *_]:
            items = f"{path[:-1]}[]"
            yield items
            yield from declared_in(first, f"{items}.")


def test_every_setting_is_declared_in_a_platform_above_or_shown_elsewhere() -> None:
    sections_with_own_tests = ("snowflake.", "imports[]", "existing")
    documented = [row.split("`")[1] for row in rows(Settings, "")]
    shown = SHOWN_ELSEWHERE.union(*map(declared_in, PLATFORMS.values()))
    missing = [path for path in documented if path not in shown]
    assert [path for path in missing if not path.startswith(sections_with_own_tests)] == []


@pytest.mark.parametrize(
    ("platform", "type_", "path", "value"),
    [
        (OWN, MLW, "hbiWorkspace", True),
        (OWN, MLW, "managedNetwork.firewallSku", "Basic"),
        (OWN, MLW, f"{MANAGED}.a-test.destination", "a.test"),
        (OWN, MLW, f"{MANAGED}.a-s3-amazonaws-com.destination", "a.s3.amazonaws.com"),
        (OWN, COMPUTE, f"{CPU_NODES}.vmSize", "Standard_F8s_v2"),
        (OWN, COMPUTE, f"{CPU_SCALE}.maxNodeCount", 7),
        (OWN, COMPUTE, "computeName", "cpu"),
        (OWN, LIFECYCLE, COOL, 45),
        (OWN, IMMUTABILITY, "immutabilityPeriodSinceCreationInDays", 30),
        (OWN, "azure-native:operationalinsights:Workspace", "retentionInDays", 60),
        (OWN, SCHEDULE, "spec.keep_versions", 9),
        (OWN, SCHEDULE, "spec.memory_mb", 800),
        (OWN, SCHEDULE, "run_on_create", False),
        (OWN, SCHEDULE, "cron", "5 4 * * 1"),
        (OWN, SCHEDULE, "tags.late_after_minutes", "90"),
        (OWN, SCHEDULE, "time_zone", "Tokyo Standard Time"),
        (OWN, AKS, "kubernetesVersion", "1.34"),
        (OWN, AKS, "agentPoolProfiles.0.vmSize", "Standard_D8ds_v5"),
        (OWN, AKS, "agentPoolProfiles.0.minCount", 3),
        (OWN, AKS, "agentPoolProfiles.0.maxCount", 6),
        (OWN, POOL, "vmSize", "Standard_E8ds_v5"),
        (OWN, POOL, "minCount", 1),
        (OWN, POOL, "maxCount", 9),
        (OWN, POOL, "osDiskType", "Managed"),
        (OWN, POOL, "enableEncryptionAtHost", False),
        (OWN, POOL, "availabilityZones", ["1", "2"]),
        (OWN, AKS, "networkProfile.podCidr", "10.100.0.0/16"),
        (OWN, AKS, "networkProfile.serviceCidr", "10.101.0.0/16"),
        (OWN, MAINTENANCE, "maintenanceWindow.schedule.weekly.dayOfWeek", "Monday"),
        (OWN, MAINTENANCE, "maintenanceWindow.startTime", "05:00"),
        (OWN, AKS, "apiServerAccessProfile.privateDNSZone", f"{ZONE}/{AKS_ZONE}"),
        (OWN, NETWORK, NODES, "10.42.0.0/20"),
        (OWN, NETWORK, ENDPOINTS, "10.42.64.0/24"),
        (OWN, NETWORK, RUNNERS, "10.42.128.0/24"),
        (OWN, "azure-native:monitor:ActionGroup", "emailReceivers.0.emailAddress", "ml@globo.example"),
        (OWN, "azure-native:consumption:Budget", "amount", 5000),
        (
            "existing network",
            MLW,
            "serverlessComputeSettings.serverlessComputeCustomSubnet",
            f"{SUBNET}/jobs",
        ),
        ("existing network", SCHEDULE, "enabled", False),
        ("existing network", AKS, "networkProfile.outboundType", "userDefinedRouting"),
        (
            "existing network with public services",
            AKS,
            "apiServerAccessProfile.authorizedIPRanges",
            [*OFFICE, "198.51.100.7/32"],
        ),
        ("other address space", NETWORK, "addressSpace.addressPrefixes.0", "10.7.0.0/16"),
    ],
)
def test_each_setting_reaches_its_resource(platform: str, type_: str, path: str, value: Any) -> None:
    found: Any = declare_platform(**PLATFORMS[platform]).all(type_)[0].inputs
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    assert found == value


def test_minutes_until_an_import_is_late_reach_its_alert() -> None:
    rules = declare_platform(**PLATFORMS[OWN]).all("azure-native:monitor:ScheduledQueryRule")
    (late,) = [rule.inputs for rule in rules if rule.inputs["displayName"].endswith("is late")]
    assert "ago(90m)" in late["criteria"]["allOf"][0]["query"]
