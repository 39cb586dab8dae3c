"""What a security reviewer asks of every resource, whatever the settings: rules that say what breaks them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pulumi.runtime import MockResourceArgs

from stacks.settings.network import Isolation
from stacks.settings.stack import Settings
from tests.unit.stacks.role_order import late_roles
from tools.declared import RESOURCES, SUBSCRIPTION, Declared

STORAGE = "azure-native:storage:StorageAccount"
VAULT = "azure-native:keyvault:Vault"
REGISTRY = "azure-native:containerregistry:Registry"
WORKSPACE = "azure-native:machinelearningservices:Workspace"
COMPUTE = "azure-native:machinelearningservices:Compute"
CLUSTER = "azure-native:containerservice:ManagedCluster"
LOGS = "azure-native:operationalinsights:Workspace"
INSIGHTS = "azure-native:applicationinsights:Component"
COLLECTION = "azure-native:monitor:DataCollectionEndpoint"
METRICS = "azure-native:monitor:AzureMonitorWorkspace"
MONITOR_SCOPE = "azure-native:monitor:PrivateLinkScope"

#: What a private endpoint leads to, and how many of its sub-resources have one.
REACHED_PRIVATELY = {STORAGE, VAULT, REGISTRY, WORKSPACE}
#: What has logs or metrics that Azure Monitor exports.
WATCHED = REACHED_PRIVATELY | {
    CLUSTER,
    LOGS,
    "azure-native:network:NetworkSecurityGroup",
    "azure-native:network:PublicIPAddress",
    "azure-native:network:VirtualNetwork",
}
HOLDS_DATA = {STORAGE, VAULT, REGISTRY, WORKSPACE, LOGS, "azure-native:storage:BlobContainer"}


@dataclass(frozen=True)
class Case:
    """A program that was declared, and the settings that it was declared with."""

    settings: Settings
    declared: Declared

    @property
    def is_private(self) -> bool:
        return self.settings.isolation is Isolation.PRIVATE

    def of(self, *types: str) -> list[MockResourceArgs]:
        return [resource for resource in self.declared.resources if resource.typ in types]


def violations(case: Case) -> list[str]:
    """Return a line for each resource that breaks a rule."""
    return [f"{rule.__name__}: {broken}" for rule in RULES for broken in rule(case)]


def public_endpoints_are_off_or_deny_all_but_the_allowed(case: Case) -> Iterator[str]:
    allowed = [] if case.is_private else list(map(str, case.settings.network.allowed_address_ranges))
    for resource in case.of(STORAGE, VAULT, REGISTRY):
        inputs = resource.inputs.get("properties", resource.inputs)
        rules = inputs.get("networkAcls") or inputs.get("networkRuleSet") or {}
        ranges = [rule.get("iPAddressOrRange") or rule.get("value") for rule in rules.get("ipRules", [])]
        is_open = inputs.get("publicNetworkAccess") != "Disabled"
        if rules.get("defaultAction") != "Deny" or ranges != allowed:
            yield f"{resource.name} lets in {ranges}, or all"
        # Azure ML checks that the endpoint of the key's vault is on: it denies every address
        for_services = resource.name.endswith("-cmk")
        if is_open and not ranges and not rules.get("virtualNetworkRules") and not for_services:
            yield f"{resource.name} is open without need"


def snowflake_reaches_the_lake_only_to_unload(case: Case) -> Iterator[str]:
    for resource in case.of(STORAGE):
        subnets = resource.inputs["networkRuleSet"].get("virtualNetworkRules", [])
        if subnets and not (case.settings.unloads and resource.name.endswith("lake")):
            yield resource.name


def other_endpoints_are_off_in_a_private_platform(case: Case) -> Iterator[str]:
    if not case.is_private:
        return
    for resource in case.of(WORKSPACE, METRICS):
        if resource.inputs.get("publicNetworkAccess") != "Disabled":
            yield resource.name
    for resource in case.of(LOGS, INSIGHTS):
        for way in ("publicNetworkAccessForIngestion", "publicNetworkAccessForQuery"):
            if resource.inputs.get(way) != "Disabled":
                yield f"{resource.name} {way}"
    for resource in case.of(COLLECTION):
        if resource.inputs.get("networkAcls") != {"publicNetworkAccess": "Disabled"}:
            yield resource.name


def private_services_have_an_endpoint_whose_name_resolves(case: Case) -> Iterator[str]:
    subnet_id = case.settings.network.endpoints_subnet_id or f"{RESOURCES}/globodev-network/subnets/endpoints"
    named = {
        group.inputs["privateEndpointName"] for group in case.of("azure-native:network:PrivateDnsZoneGroup")
    }
    services = {f"{RESOURCES}/{r.name}" for r in case.of(*REACHED_PRIVATELY, METRICS, MONITOR_SCOPE)}
    reached: set[str] = set()
    for endpoint in case.of("azure-native:network:PrivateEndpoint"):
        if endpoint.inputs["subnet"]["id"] != subnet_id or endpoint.name not in named:
            yield endpoint.name
        leads_to = {c["privateLinkServiceId"] for c in endpoint.inputs["privateLinkServiceConnections"]}
        if not leads_to <= services:
            yield f"{endpoint.name}: the type of its service is missing in REACHED_PRIVATELY"
        reached |= leads_to
    if case.is_private:
        yield from (r.name for r in case.of(*REACHED_PRIVATELY) if f"{RESOURCES}/{r.name}" not in reached)


def every_zone_is_used_by_an_endpoint(case: Case) -> Iterator[str]:
    used = {
        config["privateDnsZoneId"]
        for group in case.of("azure-native:network:PrivateDnsZoneGroup")
        for config in group.inputs["privateDnsZoneConfigs"]
    }
    used |= {cluster.inputs["apiServerAccessProfile"].get("privateDNSZone") for cluster in case.of(CLUSTER)}
    zones = case.of("azure-native:privatedns:PrivateZone")
    yield from (zone.name for zone in zones if f"{RESOURCES}/{zone.name}" not in used)


def no_key_or_password_opens_anything(case: Case) -> Iterator[str]:
    wanted: dict[str, dict[str, Any]] = {
        STORAGE: {"allowSharedKeyAccess": False, "allowBlobPublicAccess": False, "isLocalUserEnabled": False},
        REGISTRY: {"adminUserEnabled": False, "anonymousPullEnabled": False},
        WORKSPACE: {"systemDatastoresAuthMode": "Identity"},
        CLUSTER: {"disableLocalAccounts": True, "enableRBAC": True},
        "azure-native:machinelearningservices:Datastore": {},
    }
    for resource in case.of(*wanted):
        yield from _differences(resource, wanted[resource.typ])
    for vault in case.of(VAULT):
        properties = vault.inputs["properties"]
        if properties.get("enableRbacAuthorization") is not True or "accessPolicies" in properties:
            yield vault.name
    for logs in case.of(LOGS):
        if logs.inputs["features"].get("disableLocalAuth") is not True:
            yield logs.name
    for datastore in case.of("azure-native:machinelearningservices:Datastore"):
        if datastore.inputs["properties"]["credentials"] != {"credentialsType": "None"}:
            yield datastore.name


def traffic_is_encrypted(case: Case) -> Iterator[str]:
    for account in case.of(STORAGE):
        yield from _differences(account, {"enableHttpsTrafficOnly": True, "minimumTlsVersion": "TLS1_2"})


def data_is_encrypted_with_the_key_that_was_asked_for(case: Case) -> Iterator[str]:
    own = case.settings.customer_managed_key
    for account in case.of(STORAGE):
        source = account.inputs["encryption"]["keySource"]
        if source != ("Microsoft.Keyvault" if own else "Microsoft.Storage"):
            yield account.name
    for resource in case.of(REGISTRY, WORKSPACE):
        if bool(resource.inputs.get("encryption")) is not own:
            yield resource.name
    for cluster in case.of(CLUSTER):
        if ("diskEncryptionSetID" in cluster.inputs) is not own:
            yield cluster.name


def no_rotation_is_promised_to_nodes_that_cannot_follow_it(case: Case) -> Iterator[str]:
    pools = [pool for cluster in case.of(CLUSTER) for pool in cluster.inputs["agentPoolProfiles"]]
    pools += [pool.inputs for pool in case.of("azure-native:containerservice:AgentPool")]
    ephemeral = any(pool["osDiskType"] == "Ephemeral" for pool in pools)
    for disks in case.of("azure-native:compute:DiskEncryptionSet"):
        if disks.inputs["rotationToLatestKeyVersionEnabled"] is ephemeral:
            yield disks.name


def metadata_of_a_workspace_with_a_key_is_encrypted_by_the_service(case: Case) -> Iterator[str]:
    open_vaults = {
        f"{RESOURCES}/{vault.name}"
        for vault in case.of(VAULT)
        if vault.inputs["properties"]["publicNetworkAccess"] == "Enabled"
    }
    for workspace in case.of(WORKSPACE):
        encryption = workspace.inputs.get("encryption")
        if encryption and workspace.inputs.get("enableServiceSideCMKEncryption") is not True:
            yield workspace.name
        if encryption and encryption["keyVaultProperties"]["keyVaultArmId"] not in open_vaults:
            yield f"{workspace.name} cannot reach its key"


def jobs_get_out_to_approved_destinations_only(case: Case) -> Iterator[str]:
    if not case.settings.workspace.managed_network:
        return
    for workspace in case.of(WORKSPACE):
        network = workspace.inputs.get("managedNetwork") or {}
        if network.get("isolationMode") != "AllowOnlyApprovedOutbound":
            yield workspace.name
        storage = [r for r in network.get("outboundRules", {}).values() if r["type"] == "ServiceTag"]
        if storage and case.settings.unloads:
            yield f"{workspace.name} reaches all storage accounts without need"


def api_server_is_private_or_lets_few_in(case: Case) -> Iterator[str]:
    for cluster in case.of(CLUSTER):
        access = cluster.inputs["apiServerAccessProfile"]
        ranges = access.get("authorizedIPRanges")
        if access["enablePrivateCluster"] is not case.is_private or (not case.is_private and not ranges):
            yield cluster.name
        # AKS's own zone would be in the locked resource group of the nodes, where no peered network is linked
        if case.is_private and access.get("privateDNSZone") in (None, "system", "none"):
            yield f"{cluster.name} has a name that no other network resolves"
        if "0.0.0.0/0" in (ranges or []) or access.get("disableRunCommand") is not True:
            yield cluster.name


def nothing_comes_in_from_the_internet(case: Case) -> Iterator[str]:
    for group in case.of("azure-native:network:NetworkSecurityGroup"):
        for rule in group.inputs["securityRules"]:
            source = [rule.get("sourceAddressPrefix"), *rule.get("sourceAddressPrefixes", [])]
            is_open = {"*", "Internet", "0.0.0.0/0"} & set(source)
            if rule["direction"] == "Inbound" and rule["access"] == "Allow" and is_open:
                yield f"{group.name} {rule['name']}"
    for network in case.of("azure-native:network:VirtualNetwork"):
        for subnet in network.inputs["subnets"]:
            if "networkSecurityGroup" not in subnet or subnet["defaultOutboundAccess"] is not False:
                yield f"{network.name} {subnet['name']}"
    addresses = case.of("azure-native:network:PublicIPAddress")
    yield from (address.name for address in addresses if not address.name.endswith("egress-address"))


def everything_that_has_logs_sends_them(case: Case) -> Iterator[str]:
    settings = [setting.inputs for setting in case.of("azure-native:monitor:DiagnosticSetting")]
    watched = {s["resourceUri"] for s in settings if s.get("logs") or s.get("metrics")}
    for resource in case.of(*WATCHED):
        if f"{RESOURCES}/{resource.name}" not in watched:
            yield resource.name
    for account in case.of(STORAGE):
        for service in ("blob", "file", "queue", "table"):
            if f"{RESOURCES}/{account.name}/{service}Services/default" not in watched:
                yield f"{account.name} {service}"


def what_holds_data_is_kept_where_it_should_be(case: Case) -> Iterator[str]:
    keep = case.settings.keep
    locked = {lock.inputs["scope"] for lock in case.of("azure-native:authorization:ManagementLockByScope")}
    for resource in case.of(*HOLDS_DATA):
        if (resource.name in case.declared.protected) is not keep:
            yield f"{resource.name} protect"
        # a lock elsewhere would cover private endpoint connections, which a managed network changes
        is_lake = resource.name.endswith("lake")
        if (f"{RESOURCES}/{resource.name}" in locked) is not (keep and is_lake):
            yield f"{resource.name} lock"
    for vault in case.of(VAULT):
        properties, of_key = vault.inputs["properties"], vault.name.endswith("-cmk")
        if properties.get("enableSoftDelete") is not True:
            yield f"{vault.name} soft delete"
        if bool(properties.get("enablePurgeProtection")) is not (keep or of_key):
            yield f"{vault.name} purge protection"


def deleted_data_can_be_restored(case: Case) -> Iterator[str]:
    restorable = {
        service.inputs["accountName"]
        for service in case.of("azure-native:storage:BlobServiceProperties")
        if service.inputs["deleteRetentionPolicy"]["enabled"]
        and service.inputs["containerDeleteRetentionPolicy"]["enabled"]
    }
    yield from (account.name for account in case.of(STORAGE) if account.name not in restorable)


def nobody_is_granted_more_than_a_group(case: Case) -> Iterator[str]:
    for assignment in case.of("azure-native:authorization:RoleAssignment"):
        if assignment.inputs["scope"].rstrip("/") == SUBSCRIPTION:
            yield assignment.name


def people_have_every_role_that_their_jobs_can_act_with(case: Case) -> Iterator[str]:
    workspace = case.settings.workspace
    if workspace.data_scientists is None or workspace.data_scientists_act_as_workspace_identities:
        return
    roles: dict[str, set[tuple[str, str]]] = {}
    for assignment in case.of("azure-native:authorization:RoleAssignment"):
        role = (assignment.inputs["roleDefinitionId"].rsplit("/", 1)[1], assignment.inputs["scope"])
        roles.setdefault(assignment.inputs["principalId"], set()).add(role)
    for resource in case.of(WORKSPACE, COMPUTE):
        for identity_id in resource.inputs["identity"]["userAssignedIdentities"]:
            identity = identity_id.rsplit("/", 1)[1]
            gained = roles.get(f"principal-{identity}", set()) - roles.get(workspace.data_scientists, set())
            if gained:
                yield f"{resource.name}: its jobs can act as {identity}"


def roles_precede_the_users_of_their_identity(case: Case) -> Iterator[str]:
    yield from late_roles(case.declared)


def _differences(resource: MockResourceArgs, wanted: dict[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if resource.inputs.get(name) != value:
            yield f"{resource.name} {name}"


RULES: list[Callable[[Case], Iterator[str]]] = [
    public_endpoints_are_off_or_deny_all_but_the_allowed,
    snowflake_reaches_the_lake_only_to_unload,
    other_endpoints_are_off_in_a_private_platform,
    private_services_have_an_endpoint_whose_name_resolves,
    every_zone_is_used_by_an_endpoint,
    no_key_or_password_opens_anything,
    traffic_is_encrypted,
    data_is_encrypted_with_the_key_that_was_asked_for,
    no_rotation_is_promised_to_nodes_that_cannot_follow_it,
    metadata_of_a_workspace_with_a_key_is_encrypted_by_the_service,
    jobs_get_out_to_approved_destinations_only,
    api_server_is_private_or_lets_few_in,
    nothing_comes_in_from_the_internet,
    everything_that_has_logs_sends_them,
    what_holds_data_is_kept_where_it_should_be,
    deleted_data_can_be_restored,
    nobody_is_granted_more_than_a_group,
    people_have_every_role_that_their_jobs_can_act_with,
    roles_precede_the_users_of_their_identity,
]
