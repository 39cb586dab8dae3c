"""Each setting reaches the resource that it is about: what a person writes is what Azure is asked for."""

from typing import Any

import pytest

from stacks.settings.network import aks_zone
from tests.unit.stacks.declared_stacks import SCHEDULE, declare_platform
from tests.unit.stacks.stack_config import EXISTING_NETWORK, IMPORT, OFFICE, SUBNET, ZONE, snowflake

AKS = "azure-native:containerservice:ManagedCluster"
SCHEDULE_OF_UPGRADES = "maintenanceWindow.schedule.weekly.dayOfWeek"
POOL = "azure-native:containerservice:AgentPool"
MAINTENANCE = "azure-native:containerservice:MaintenanceConfiguration"
MLW = "azure-native:machinelearningservices:Workspace"
COMPUTE = "azure-native:machinelearningservices:Compute"
NETWORK = "azure-native:network:VirtualNetwork"
SPACE = "addressSpace.addressPrefixes.0"
NODES, ENDPOINTS, RUNNERS = (f"subnets.{index}.addressPrefix" for index in range(3))
LIFECYCLE = "azure-native:storage:ManagementPolicy"
COOL = "policy.rules.0.definition.actions.baseBlob.tierToCool.daysAfterModificationGreaterThan"
MANAGED = "managedNetwork.outboundRules"
CPU = {"name": "cpu", "vmSize": "Standard_F8s_v2", "maxNodes": 7, "idleMinutes": 20}
CPU_NODES = "properties.properties"
CPU_SCALE = f"{CPU_NODES}.scaleSettings"


@pytest.mark.parametrize(
    ("changes", "type_", "path", "value"),
    [
        ({"workspace": {"hbi": True}}, MLW, "hbiWorkspace", True),
        (
            {"workspace": {"managedNetwork": False, "computeSubnetId": f"{SUBNET}/jobs"}},
            MLW,
            "serverlessComputeSettings.serverlessComputeCustomSubnet",
            f"{SUBNET}/jobs",
        ),
        ({"workspace": {"outboundHosts": ["a.test"]}}, MLW, f"{MANAGED}.a-test.destination", "a.test"),
        (
            {"snowflake": snowflake(account="xy.eu-west-1", stageHosts=["a.s3.amazonaws.com"])},
            MLW,
            f"{MANAGED}.a-s3-amazonaws-com.destination",
            "a.s3.amazonaws.com",
        ),
        (
            {"workspace": {"computeClusters": [CPU]}},
            COMPUTE,
            "properties.properties.vmSize",
            "Standard_F8s_v2",
        ),
        ({"workspace": {"computeClusters": [CPU]}}, COMPUTE, f"{CPU_SCALE}.maxNodeCount", 7),
        ({"workspace": {"computeClusters": [CPU]}}, COMPUTE, "computeName", "cpu"),
        ({"lake": {"coolAfterDays": 45}}, LIFECYCLE, COOL, 45),
        (
            {"lake": {"immutableDays": 30}},
            "azure-native:storage:BlobContainerImmutabilityPolicy",
            "immutabilityPeriodSinceCreationInDays",
            30,
        ),
        ({"logRetentionDays": "60"}, "azure-native:operationalinsights:Workspace", "retentionInDays", 60),
        ({"imports": [{**IMPORT, "keepVersions": 9}]}, SCHEDULE, "spec.keep_versions", 9),
        ({"imports": [{**IMPORT, "memoryMb": 800}]}, SCHEDULE, "spec.memory_mb", 800),
        ({"imports": [{**IMPORT, "runOnCreate": False}]}, SCHEDULE, "run_on_create", False),
        ({"imports": [{**IMPORT, "enabled": False}]}, SCHEDULE, "enabled", False),
        ({"imports": [{**IMPORT, "schedule": "5 4 * * 1"}]}, SCHEDULE, "cron", "5 4 * * 1"),
        ({"imports": [{**IMPORT, "timeZone": "Asia/Tokyo"}]}, SCHEDULE, "time_zone", "Tokyo Standard Time"),
        ({"cluster": {"kubernetesVersion": "1.34"}}, AKS, "kubernetesVersion", "1.34"),
        (
            {"cluster": {"systemNodeSize": "Standard_D8ds_v5"}},
            AKS,
            "agentPoolProfiles.0.vmSize",
            "Standard_D8ds_v5",
        ),
        ({"cluster": {"minSystemNodes": 3}}, AKS, "agentPoolProfiles.0.minCount", 3),
        ({"cluster": {"maxSystemNodes": 6}}, AKS, "agentPoolProfiles.0.maxCount", 6),
        ({"cluster": {"nodeSize": "Standard_E8ds_v5"}}, POOL, "vmSize", "Standard_E8ds_v5"),
        ({"cluster": {"minNodes": 1}}, POOL, "minCount", 1),
        ({"cluster": {"maxNodes": 9}}, POOL, "maxCount", 9),
        ({"cluster": {"ephemeralOsDisk": False}}, POOL, "osDiskType", "Managed"),
        ({"cluster": {"encryptionAtHost": False}}, POOL, "enableEncryptionAtHost", False),
        ({"zones": ["1", "2"]}, POOL, "availabilityZones", ["1", "2"]),
        ({"cluster": {"podRange": "10.100.0.0/16"}}, AKS, "networkProfile.podCidr", "10.100.0.0/16"),
        ({"cluster": {"serviceRange": "10.101.0.0/16"}}, AKS, "networkProfile.serviceCidr", "10.101.0.0/16"),
        (
            {"cluster": {"maintenanceDay": "Monday"}},
            MAINTENANCE,
            "maintenanceWindow.schedule.weekly.dayOfWeek",
            "Monday",
        ),
        ({"cluster": {"maintenanceHour": 5}}, MAINTENANCE, "maintenanceWindow.startTime", "05:00"),
        (
            {"network": {**EXISTING_NETWORK, "outbound": "user_defined_routing"}},
            AKS,
            "networkProfile.outboundType",
            "userDefinedRouting",
        ),
        (
            {"network": {"dnsZoneIds": {aks_zone("westeurope"): f"{ZONE}/{aks_zone('westeurope')}"}}},
            AKS,
            "apiServerAccessProfile.privateDNSZone",
            f"{ZONE}/{aks_zone('westeurope')}",
        ),
        (
            {
                "isolation": "public",
                "network": {
                    **EXISTING_NETWORK,
                    "allowedAddressRanges": OFFICE,
                    "egressAddressRanges": ["198.51.100.7/32"],
                },
            },
            AKS,
            "apiServerAccessProfile.authorizedIPRanges",
            [*OFFICE, "198.51.100.7/32"],
        ),
        (
            {"network": {"addressSpace": "10.7.0.0/16"}},
            NETWORK,
            "addressSpace.addressPrefixes.0",
            "10.7.0.0/16",
        ),
        ({"network": {"nodesRange": "10.42.0.0/20"}}, NETWORK, NODES, "10.42.0.0/20"),
        (
            {"network": {"endpointsRange": "10.42.64.0/24"}},
            NETWORK,
            ENDPOINTS,
            "10.42.64.0/24",
        ),
        (
            {"network": {"runnersRange": "10.42.128.0/24"}},
            NETWORK,
            RUNNERS,
            "10.42.128.0/24",
        ),
        (
            {"alerts": {"emails": ["ml@globo.example"]}},
            "azure-native:monitor:ActionGroup",
            "emailReceivers.0.emailAddress",
            "ml@globo.example",
        ),
        ({"alerts": {"monthlyBudget": 5000}}, "azure-native:consumption:Budget", "amount", 5000),
    ],
)
def test_each_setting_reaches_its_resource(
    changes: dict[str, Any], type_: str, path: str, value: Any
) -> None:
    found: Any = declare_platform(**changes).all(type_)[0].inputs
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    assert found == value


def test_how_late_an_import_is_late_reaches_its_alert() -> None:
    rules = declare_platform(alerts={"lateAfterMinutes": 90}).all("azure-native:monitor:ScheduledQueryRule")
    (late,) = [rule.inputs for rule in rules if rule.inputs["displayName"].endswith("is late")]
    assert "ago(90m)" in late["criteria"]["allOf"][0]["query"]
