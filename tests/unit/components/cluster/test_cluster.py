"""The cluster against Pulumi's mocks: who reaches it, what may change it, and what watches it."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.cluster.cluster import AKS_SERVER_ID, Cluster, ClusterArgs, kubelogin_config
from components.component import PrivateLinkArgs
from components.identity.identity import Role
from tests.unit.components.nested_args import in_azure
from tools.declared import KUBECONFIG, RESOURCES, SUBSCRIPTION, Declared, declare

NETWORK = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet"
SUBNET = f"{NETWORK}/subnets/nodes"
ZONE = f"{RESOURCES}/hub/privatelink.westeurope.azmk8s.io"
ENCRYPTION = f"{RESOURCES}/disk-encryption"
LOGS = f"{RESOURCES}/logs"
SCOPE = f"{SUBSCRIPTION}/providers/microsoft.insights/privateLinkScopes/scope"
METRICS_ZONE = "privatelink.westeurope.prometheus.monitor.azure.com"
LINK = PrivateLinkArgs(subnet_id=f"{NETWORK}/subnets/endpoints", zone_ids={METRICS_ZONE: f"{NETWORK}/zone"})

CLUSTER = "azure-native:containerservice:ManagedCluster"
POOL = "azure-native:containerservice:AgentPool"
WINDOW = "azure-native:containerservice:MaintenanceConfiguration"
WAIT = "pulumi-python:dynamic/identity:RolesInEffect"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
RULE = "azure-native:monitor:DataCollectionRule"
ASSOCIATION = "azure-native:monitor:DataCollectionRuleAssociation"


class Made(Declared):
    """What was declared, and the options of each resource by its name."""

    def __init__(self, declared: Declared, options: Mapping[str, pulumi.ResourceOptions]) -> None:
        self.__dict__.update(declared.__dict__)
        self.options = options

    @property
    def cluster(self) -> dict[str, Any]:
        return self.one(CLUSTER)

    @property
    def system_pool(self) -> dict[str, Any]:
        (pool,) = self.cluster["agentPoolProfiles"]
        assert isinstance(pool, dict)
        return pool

    @property
    def user_pool(self) -> dict[str, Any]:
        return self.one(POOL, "aks-user")

    def roles(self, principal: str) -> set[tuple[str, str]]:
        """Return the roles of a principal, each with its scope."""
        return {
            (a.inputs["roleDefinitionId"].rsplit("/", 1)[1], a.inputs["scope"])
            for a in self.all(ASSIGNMENT)
            if a.inputs["principalId"] == principal
        }


def make(**changes: Any) -> Made:
    args: dict[str, Any] = {
        "resource_group": "rg-test",
        "location": "westeurope",
        "tags": {"stack": "test"},
        "registry_id": f"{RESOURCES}/registry",
        "log_analytics_id": LOGS,
        "subnet_id": SUBNET,
        "egress_address": "20.1.2.3",
        "node_size": "Standard_D4ds_v5",
        "min_nodes": 2,
        "max_nodes": 5,
        "administrators": "admins",
        **changes,
    }
    options: dict[str, pulumi.ResourceOptions] = {}

    def note(resource: pulumi.ResourceTransformationArgs) -> None:
        options[resource.name] = resource.opts

    def program() -> None:
        pulumi.runtime.register_stack_transformation(note)
        Cluster("aks", ClusterArgs(**in_azure(**args)))

    return Made(declare(program), options)


def test_cluster_is_opened_by_entra_id_alone() -> None:
    cluster = make().cluster
    assert cluster["disableLocalAccounts"] is True
    assert cluster["enableRBAC"] is True
    assert cluster["aadProfile"] == {"managed": True, "enableAzureRBAC": True}
    assert cluster["oidcIssuerProfile"] == {"enabled": True}
    assert cluster["securityProfile"]["workloadIdentity"] == {"enabled": True}


def test_private_api_server_has_no_public_address_and_no_public_name() -> None:
    made = make(private=True, private_dns_zone_id=ZONE, allowed_address_ranges=["20.0.0.0/24"])
    assert made.cluster["apiServerAccessProfile"] == {
        "enablePrivateCluster": True,
        "enablePrivateClusterPublicFQDN": False,
        "privateDNSZone": ZONE,
        "disableRunCommand": True,
    }


def test_private_api_server_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs private_dns_zone_id"):
        make(private=True)


def test_no_request_names_a_number_of_nodes_as_the_autoscaler_changes_it() -> None:
    made = make()
    assert ["count" in pool for pool in (made.system_pool, made.user_pool)] == [False, False]


def test_kubernetes_resources_are_bound_to_the_id_of_the_cluster_and_not_to_its_certificate() -> None:
    assert make().one("pulumi:providers:kubernetes")["clusterIdentifier"] == f"{RESOURCES}/aks"


@pytest.mark.parametrize(
    ("allowed", "egress", "ranges"),
    [
        (["20.0.0.0/24"], "20.1.2.3", ["20.0.0.0/24", "20.1.2.3/32"]),
        ([], "20.1.2.3", ["20.1.2.3/32"]),
        (["20.0.0.0/24"], None, ["20.0.0.0/24"]),
    ],
)
def test_public_api_server_is_reached_from_the_allowed_ranges_and_by_its_nodes(
    allowed: list[str], egress: str | None, ranges: list[str]
) -> None:
    assert make(allowed_address_ranges=allowed, egress_address=egress).cluster["apiServerAccessProfile"] == {
        "enablePrivateCluster": False,
        "authorizedIPRanges": ranges,
        "disableRunCommand": True,
    }


def test_public_api_server_is_never_open_to_the_world() -> None:
    with pytest.raises(ValueError, match="egress_address or allowed_address_ranges"):
        make(allowed_address_ranges=[], egress_address=None)


@pytest.mark.parametrize(
    ("routing", "outbound"), [(False, "userAssignedNATGateway"), (True, "userDefinedRouting")]
)
def test_nodes_get_out_by_the_subnet_and_not_by_a_load_balancer(routing: bool, outbound: str) -> None:
    assert make(user_defined_routing=routing).cluster["networkProfile"]["outboundType"] == outbound


def test_pods_have_addresses_of_their_own_that_cilium_guards() -> None:
    network = make(pod_range="10.64.0.0/16", service_range="10.65.0.0/20").cluster["networkProfile"]
    assert (network["networkPlugin"], network["networkPluginMode"]) == ("azure", "overlay")
    assert (network["networkDataplane"], network["networkPolicy"]) == ("cilium", "cilium")
    assert (network["podCidr"], network["serviceCidr"]) == ("10.64.0.0/16", "10.65.0.0/20")
    assert network["dnsServiceIP"] == "10.65.0.10"


def test_control_plane_may_join_the_subnet_and_hand_the_nodes_their_identity_and_nothing_else() -> None:
    assert make().roles("principal-aks-control-plane") == {
        (Role.MANAGED_IDENTITY_OPERATOR, f"{RESOURCES}/aks-nodes"),
        (Role.NETWORK_CONTRIBUTOR, SUBNET),
    }


def test_control_plane_may_link_a_zone_that_is_given_to_the_network() -> None:
    made = make(private=True, private_dns_zone_id=ZONE)
    assert made.cluster["apiServerAccessProfile"]["privateDNSZone"] == ZONE
    assert made.roles("principal-aks-control-plane") == {
        (Role.MANAGED_IDENTITY_OPERATOR, f"{RESOURCES}/aks-nodes"),
        (Role.NETWORK_CONTRIBUTOR, NETWORK),
        (Role.PRIVATE_DNS_ZONE_CONTRIBUTOR, ZONE),
    }


def test_disks_are_encrypted_with_a_given_key_that_the_control_plane_may_see() -> None:
    assert "diskEncryptionSetID" not in make().cluster
    made = make(disk_encryption_set_id=ENCRYPTION)
    assert made.cluster["diskEncryptionSetID"] == ENCRYPTION
    assert (Role.READER, ENCRYPTION) in made.roles("principal-aks-control-plane")


def test_roles_of_the_control_plane_are_there_before_the_cluster() -> None:
    made = make(private=True, private_dns_zone_id=ZONE, disk_encryption_set_id=ENCRYPTION)
    roles = {a.name for a in made.all(ASSIGNMENT) if a.inputs["principalId"] == "principal-aks-control-plane"}
    before = made.options["aks"].depends_on
    assert isinstance(before, list)
    assert {resource._name for resource in before} == {"aks-control-plane-roles", "aks-nodes-roles"}
    waited_for = made.one(WAIT, "aks-control-plane-roles")["roles"]
    assert {role["id"] for role in waited_for} == {f"{RESOURCES}/{name}" for name in roles}
    assert len(roles) == 4


def test_nodes_get_only_the_role_to_pull_images() -> None:
    assert make().roles("principal-aks-nodes") == {(Role.ACR_PULL, f"{RESOURCES}/registry")}


def test_the_administrators_may_do_everything_on_the_cluster() -> None:
    made = make()
    assert made.roles("admins") == {(Role.AKS_RBAC_CLUSTER_ADMIN, f"{RESOURCES}/aks")}
    # another group takes the place of this one
    assert made.options["aks-administrators"].ignore_changes is None


def test_without_administrators_the_first_deployer_stays_administrator() -> None:
    made = make(administrators=None)
    assert made.roles("o") == {(Role.AKS_RBAC_CLUSTER_ADMIN, f"{RESOURCES}/aks")}
    assert made.options["aks-administrators"].ignore_changes == ["principalId", "roleAssignmentName"]


def test_system_nodes_run_the_cluster_and_user_nodes_all_else() -> None:
    made = make()
    assert (made.system_pool["mode"], made.user_pool["mode"]) == ("System", "User")
    assert made.system_pool["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"]
    assert "nodeTaints" not in made.user_pool
    assert made.user_pool["resourceName"] == "aks"


def test_pools_scale_between_their_bounds_and_the_autoscaler_counts() -> None:
    made = make(min_nodes=0, max_nodes=9, min_system_nodes=3, max_system_nodes=4)
    for pool, bounds in ((made.system_pool, (3, 4)), (made.user_pool, (0, 9))):
        assert pool["enableAutoScaling"] is True
        assert (pool["minCount"], pool["maxCount"]) == bounds
    assert "agentPoolProfiles[*].count" in (made.options["aks"].ignore_changes or [])
    assert "count" in (made.options["aks-user"].ignore_changes or [])


@pytest.mark.parametrize("pool", ["system_pool", "user_pool"])
def test_node_arguments_apply_to_both_pools(pool: str) -> None:
    default = getattr(make(zones=["1", "2", "3"]), pool)
    assert default["vnetSubnetID"] == SUBNET
    assert default["availabilityZones"] == ["1", "2", "3"]
    assert default["osDiskType"] == "Ephemeral"
    assert default["enableEncryptionAtHost"] is True
    assert default["enableNodePublicIP"] is False
    assert default["maxPods"] >= 50  # as checkov's CKV_AZURE_168 wants
    changed = getattr(make(zones=[], ephemeral_os_disk=False, encryption_at_host=False), pool)
    assert "availabilityZones" not in changed
    assert changed["osDiskType"] == "Managed"
    assert changed["enableEncryptionAtHost"] is False


@pytest.mark.parametrize(
    "changes",
    [
        {"node_size": "Standard_D8ds_v5"},
        {"zones": ["1"]},
        {"ephemeral_os_disk": False},
        {"encryption_at_host": False},
        {"subnet_id": f"{NETWORK}/subnets/others"},
    ],
    ids=str,
)
def test_user_pool_of_other_nodes_has_another_name_and_so_is_made_before_the_old_one_goes(
    changes: dict[str, Any],
) -> None:
    name = make().user_pool["agentPoolName"]
    assert make(**changes).user_pool["agentPoolName"] != name
    assert re.fullmatch(r"user[0-9a-f]{8}", name)


def test_user_pool_keeps_its_name_where_aks_changes_it_in_place() -> None:
    changed = make(min_nodes=1, max_nodes=9, kubernetes_version="1.34")
    assert changed.user_pool["agentPoolName"] == make().user_pool["agentPoolName"]


def test_what_aks_refuses_to_change_makes_a_new_cluster() -> None:
    assert set(make().options["aks"].replace_on_changes or []) == {
        "apiServerAccessProfile.enablePrivateCluster",
        "apiServerAccessProfile.privateDNSZone",
        "agentPoolProfiles[*].availabilityZones",
        "agentPoolProfiles[*].enableEncryptionAtHost",
        "agentPoolProfiles[*].maxPods",
        "agentPoolProfiles[*].osDiskType",
        "agentPoolProfiles[*].vmSize",
        "agentPoolProfiles[*].vnetSubnetID",
    }


def test_paths_that_replace_are_paths_of_the_cluster() -> None:
    # a path that is written wrong replaces nothing, and nobody says so
    made = make(private=True, private_dns_zone_id=ZONE, zones=["1"])
    for path in made.options["aks"].replace_on_changes or []:
        value: Any = made.cluster
        for step in path.replace("[*]", ".0").split("."):
            value = value[int(step)] if step.isdigit() else value[step]
        assert value is not None, path


@pytest.mark.parametrize(
    ("version", "channel", "service_changes"),
    [
        (None, "stable", {"kubernetesVersion", "agentPoolProfiles[*].orchestratorVersion"}),
        ("1.34", "patch", set[str]()),
    ],
)
def test_kubernetes_is_upgraded_within_the_wanted_version(
    version: str | None, channel: str, service_changes: set[str]
) -> None:
    made = make(kubernetes_version=version)
    assert made.cluster.get("kubernetesVersion") == version
    assert made.system_pool.get("orchestratorVersion") == version
    assert made.user_pool.get("orchestratorVersion") == version
    assert made.cluster["autoUpgradeProfile"] == {
        "upgradeChannel": channel,
        "nodeOSUpgradeChannel": "NodeImage",
    }
    ignored = set(made.options["aks"].ignore_changes or [])
    assert ignored - {"agentPoolProfiles[*].count"} == service_changes
    assert ("orchestratorVersion" in (made.options["aks-user"].ignore_changes or [])) == (version is None)


def test_upgrades_keep_to_the_maintenance_window() -> None:
    made = make(maintenance_day="Saturday", maintenance_hour=4)
    windows = {w.inputs["configName"]: w.inputs["maintenanceWindow"] for w in made.all(WINDOW)}
    assert set(windows) == {"aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"}
    for window in windows.values():
        assert window["schedule"] == {"weekly": {"dayOfWeek": "Saturday", "intervalWeeks": 1}}
        assert (window["startTime"], window["utcOffset"]) == ("04:00", "+00:00")
        assert window["durationHours"] == 4


def test_cluster_is_guarded_and_cleaned() -> None:
    cluster = make().cluster
    assert cluster["sku"] == {"name": "Base", "tier": "Standard"}
    assert cluster["nodeResourceGroupProfile"] == {"restrictionLevel": "ReadOnly"}
    assert cluster["addonProfiles"]["azurepolicy"]["enabled"] is True
    assert cluster["addonProfiles"]["kubeDashboard"] == {"enabled": False}
    assert cluster["securityProfile"]["imageCleaner"] == {"enabled": True, "intervalHours": 168}
    assert cluster["securityProfile"]["defender"] == {
        "logAnalyticsWorkspaceResourceId": LOGS,
        "securityMonitoring": {"enabled": True},
    }


def test_control_plane_logs_changes_and_sign_ins_but_not_every_read() -> None:
    setting = make().one("azure-native:monitor:DiagnosticSetting")
    assert setting["resourceUri"] == f"{RESOURCES}/aks"
    categories = {log["category"] for log in setting["logs"]}
    assert {"guard", "kube-apiserver", "kube-audit-admin"} <= categories
    assert "kube-audit" not in categories
    assert [metric["category"] for metric in setting["metrics"]] == ["AllMetrics"]


def test_metrics_go_to_a_workspace_of_their_own() -> None:
    made = make()
    assert made.cluster["azureMonitorProfile"] == {"metrics": {"enabled": True}}
    rule = made.one(RULE, "aks-monitoring-metrics-rule")
    (workspace,) = rule["destinations"]["monitoringAccounts"]
    assert workspace["accountResourceId"] == f"{RESOURCES}/aks-monitoring-metrics"
    assert rule["dataCollectionEndpointId"] == f"{RESOURCES}/aks-monitoring-endpoint"
    (forwarder,) = rule["dataSources"]["prometheusForwarder"]
    (flow,) = rule["dataFlows"]
    assert flow == {"streams": forwarder["streams"], "destinations": [workspace["name"]]}


def test_logs_of_containers_go_to_log_analytics_without_a_key() -> None:
    made = make()
    assert made.cluster["addonProfiles"]["omsagent"] == {
        "enabled": True,
        "config": {"logAnalyticsWorkspaceResourceID": LOGS, "useAADAuth": "true"},
    }
    rule = made.one(RULE, "aks-monitoring-logs-rule")
    (workspace,) = rule["destinations"]["logAnalytics"]
    assert workspace["workspaceResourceId"] == LOGS
    (extension,) = rule["dataSources"]["extensions"]
    (flow,) = rule["dataFlows"]
    assert flow == {"streams": extension["streams"], "destinations": [workspace["name"]]}
    assert {"Microsoft-ContainerLogV2", "Microsoft-KubeNodeInventory"} <= set(flow["streams"])


def test_agents_find_their_rules() -> None:
    made = make()
    rules = {
        a.inputs["associationName"]: a.inputs["dataCollectionRuleId"]
        for a in made.all(ASSOCIATION)
        if a.inputs["resourceUri"] == f"{RESOURCES}/aks"
    }
    assert rules == {
        "ContainerInsightsMetricsExtension": f"{RESOURCES}/aks-monitoring-metrics-rule",
        "ContainerInsightsExtension": f"{RESOURCES}/aks-monitoring-logs-rule",
    }


def public_access(made: Made) -> tuple[str, str]:
    """Return whether what is collected, and whether metrics to query, have a public endpoint."""
    endpoint = made.one("azure-native:monitor:DataCollectionEndpoint")
    workspace = made.one("azure-native:monitor:AzureMonitorWorkspace")
    return endpoint["networkAcls"]["publicNetworkAccess"], workspace["publicNetworkAccess"]


def test_what_is_collected_stays_in_the_network_where_there_is_a_scope() -> None:
    assert public_access(make()) == ("Enabled", "Enabled")
    made = make(private_link_scope_id=SCOPE)
    assert public_access(made) == ("Disabled", "Enabled")
    scoped = made.one("azure-native:monitor:PrivateLinkScopedResource")
    assert scoped["scopeName"] == "scope"
    assert scoped["linkedResourceId"] == f"{RESOURCES}/aks-monitoring-endpoint"
    association = made.one(ASSOCIATION, "aks-monitoring-endpoint-of-cluster")
    assert association["associationName"] == "configurationAccessEndpoint"
    assert association["dataCollectionEndpointId"] == f"{RESOURCES}/aks-monitoring-endpoint"


def test_metrics_are_queried_inside_the_network_where_there_is_a_link() -> None:
    made = make(private_link=LINK)
    assert public_access(made) == ("Enabled", "Disabled")
    endpoint = made.one("azure-native:network:PrivateEndpoint")
    (connection,) = endpoint["privateLinkServiceConnections"]
    assert connection["groupIds"] == ["prometheusMetrics"]
    assert connection["privateLinkServiceId"] == f"{RESOURCES}/aks-monitoring-metrics"
    (zone,) = made.one("azure-native:network:PrivateDnsZoneGroup")["privateDnsZoneConfigs"]
    assert zone["privateDnsZoneId"] == f"{NETWORK}/zone"


def test_link_without_the_zone_of_the_metrics_is_refused() -> None:
    other = PrivateLinkArgs(subnet_id=SUBNET, zone_ids={"privatelink.azurecr.io": ZONE})
    with pytest.raises(ValueError, match=r"privatelink\.<region>\.prometheus\.monitor\.azure\.com"):
        make(private_link=other)


def test_kubeconfig_signs_in_with_kubelogin_and_holds_no_credential() -> None:
    config = json.loads(kubelogin_config(base64.b64encode(json.dumps(KUBECONFIG).encode()).decode()))
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "kubelogin"
    assert user["user"]["exec"]["args"] == ["get-token", "--login", "azurecli", "--server-id", AKS_SERVER_ID]
    assert config["clusters"] == KUBECONFIG["clusters"]
    assert config["current-context"] == "aks"


def test_what_runs_on_the_cluster_waits_for_its_administrators_and_its_nodes() -> None:
    made = make()
    assert "kubelogin" in made.one("pulumi:providers:kubernetes")["kubeconfig"]
    before = made.options["aks-kubernetes"].depends_on
    assert isinstance(before, list)
    assert {resource._name for resource in before} == {"aks-administrators-roles", "aks-user"}
    wait = made.one(WAIT, "aks-administrators-roles")
    assert [role["id"] for role in wait["roles"]] == [f"{RESOURCES}/aks-administrators"]
    assert "kubelogin" in wait["kubeconfig"]


def test_children_are_named_after_the_cluster() -> None:
    made = make(private_link=LINK, private_link_scope_id=SCOPE)
    assert {r.name for r in made.resources if not r.name.startswith("aks")} == set()
