"""The Azure resource types that the local cloud offers: their ids in ARM, and their rules.

They are those that this program declares; another one needs an entry here.

Ids: the paths of https://learn.microsoft.com/rest/api/azure/, with the input names of the Pulumi SDK.
Names: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules.
"""

import re
from dataclasses import dataclass
from enum import Enum

_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"


class Naming(Enum):
    """How azure-native names a resource that the program gives no name."""

    RANDOM = "the Pulumi name and eight random characters"
    COPY = "the Pulumi name"
    UUID = "a random UUID"
    DEFAULT = "the only allowed name: default"


@dataclass(frozen=True)
class ArmType:
    """One resource type of Azure Resource Manager."""

    #: its id, with the names of inputs in braces; the last one is the resource's name
    path: str
    #: what the whole name must match
    name_rule: str = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"
    explicit_naming: Naming | None = None
    #: inputs whose change replaces the resource, in addition to those in the path and `location`
    immutable: tuple[str, ...] = ()
    #: names are unique in all of Azure
    globally_unique: bool = False
    #: a deleted resource keeps its name reserved for days
    soft_delete: bool = False
    #: the only location that is allowed
    location: str | None = None

    @property
    def parameters(self) -> list[str]:
        """The names in the path, outermost first."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def name_input(self) -> str:
        """The input that holds the resource's name."""
        return self.parameters[-1]

    @property
    def naming(self) -> Naming:
        """How the resource is named if the program gives it no name."""
        below_another = self.arm_type.count("/") > 1
        return self.explicit_naming or (Naming.COPY if below_another else Naming.RANDOM)

    @property
    def arm_type(self) -> str:
        """The type as ARM writes it: `Microsoft.Storage/storageAccounts/blobServices/containers`."""
        if self.path == _GROUP:
            return "Microsoft.Resources/resourceGroups"
        namespace, *rest = self.path.rsplit("/providers/", 1)[1].split("/")
        return "/".join([namespace, *rest[::2]])

    @property
    def parent(self) -> str:
        """The path of the resource that must exist first, without children that always exist (`default`)."""
        path = self.path
        while True:
            path = re.sub(r"(/providers/[^/{}]+)?/[^/{}]+/[^/]+$", "", path, count=1)
            if path.endswith("}"):
                return path


def _in_group(provider: str) -> str:
    return f"{_GROUP}/providers/Microsoft.{provider}"


def _on(scope: str, provider: str) -> str:
    return f"{{{scope}}}/providers/Microsoft.{provider}"


_STORAGE = _in_group("Storage/storageAccounts/{accountName}")
_VAULT = _in_group("KeyVault/vaults/{vaultName}")
_WORKSPACE = _in_group("MachineLearningServices/workspaces/{workspaceName}")
_CLUSTER = _in_group("ContainerService/managedClusters/{resourceName}")
_SCOPE = _in_group("Insights/privateLinkScopes/{scopeName}")
_ENDPOINT = _in_group("Network/privateEndpoints/{privateEndpointName}")
_ZONE = _in_group("Network/privateDnsZones/{privateZoneName}")
_IDENTITY = _in_group("ManagedIdentity/userAssignedIdentities/{resourceName}")
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

#: The types by Pulumi token, without `azure-native:` and the API version.
TYPES: dict[str, ArmType] = {
    "resources:ResourceGroup": ArmType(_GROUP, name_rule=r"[\w.()-]{0,89}[\w()-]", immutable=("managedBy",)),
    # Monitoring
    "operationalinsights:Workspace": ArmType(
        _in_group("OperationalInsights/workspaces/{workspaceName}"),
        name_rule=r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    ),
    "operationalinsights:Table": ArmType(
        _in_group("OperationalInsights/workspaces/{workspaceName}/tables/{tableName}"),
        name_rule=r"[A-Za-z][A-Za-z0-9_]{2,43}_CL",
    ),
    "applicationinsights:Component": ArmType(
        _in_group("Insights/components/{resourceName}"), name_rule=r"[^%&\\?/]{0,259}[^%&\\?/. ]"
    ),
    "applicationinsights:Workbook": ArmType(
        _in_group("Insights/workbooks/{resourceName}"), name_rule=_UUID, explicit_naming=Naming.UUID
    ),
    "monitor:DiagnosticSetting": ArmType(
        _on("resourceUri", "Insights/diagnosticSettings/{name}"), name_rule=r"[^*<>%&:\\?+/]{1,260}"
    ),
    "monitor:ActionGroup": ArmType(
        _in_group("Insights/actionGroups/{actionGroupName}"), name_rule=r"[^/]{1,259}[^/ .]"
    ),
    "monitor:MetricAlert": ArmType(
        _in_group("Insights/metricAlerts/{ruleName}"),
        name_rule=r"[^*#&+:<>?@%{}\\/]{1,260}",
        location="global",
    ),
    "monitor:ScheduledQueryRule": ArmType(
        _in_group("Insights/scheduledQueryRules/{ruleName}"), name_rule=r"[^*#&+:<>?@%{}\\/]{1,260}"
    ),
    "monitor:PrivateLinkScope": ArmType(_SCOPE, location="global"),
    "monitor:PrivateLinkScopedResource": ArmType(
        _SCOPE + "/scopedResources/{name}", immutable=("linkedResourceId",)
    ),
    "monitor:DataCollectionEndpoint": ArmType(
        _in_group("Insights/dataCollectionEndpoints/{dataCollectionEndpointName}"),
        name_rule=r"[A-Za-z0-9][A-Za-z0-9-]{1,42}[A-Za-z0-9]",
    ),
    "monitor:DataCollectionRule": ArmType(
        _in_group("Insights/dataCollectionRules/{dataCollectionRuleName}"),
        name_rule=r"[A-Za-z0-9][A-Za-z0-9-]{1,62}[A-Za-z0-9]",
        immutable=("kind",),
    ),
    "monitor:DataCollectionRuleAssociation": ArmType(
        _on("resourceUri", "Insights/dataCollectionRuleAssociations/{associationName}")
    ),
    "monitor:AzureMonitorWorkspace": ArmType(
        _in_group("Monitor/accounts/{azureMonitorWorkspaceName}"), name_rule=r"(?!-)[A-Za-z0-9-]{3,43}[^-]"
    ),
    "consumption:Budget": ArmType(_on("scope", "Consumption/budgets/{budgetName}"), name_rule=r"[\w-]{1,63}"),
    # Identity and access
    "managedidentity:UserAssignedIdentity": ArmType(_IDENTITY, name_rule=r"[A-Za-z0-9][\w-]{2,127}"),
    "managedidentity:FederatedIdentityCredential": ArmType(
        _IDENTITY + "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
        name_rule=r"[A-Za-z0-9][\w-]{2,119}",
    ),
    "authorization:RoleAssignment": ArmType(
        _on("scope", "Authorization/roleAssignments/{roleAssignmentName}"),
        name_rule=_UUID,
        explicit_naming=Naming.UUID,
        immutable=("principalId", "roleDefinitionId", "principalType", "delegatedManagedIdentityResourceId"),
    ),
    "authorization:RoleDefinition": ArmType(
        _on("scope", "Authorization/roleDefinitions/{roleDefinitionId}"),
        name_rule=_UUID,
        explicit_naming=Naming.UUID,
    ),
    "authorization:ManagementLockByScope": ArmType(
        _on("scope", "Authorization/locks/{lockName}"), explicit_naming=Naming.COPY
    ),
    # Key Vault and encryption
    "keyvault:Vault": ArmType(
        _VAULT,
        name_rule=r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
        globally_unique=True,
        soft_delete=True,
        immutable=("properties.tenantId",),
    ),
    "compute:DiskEncryptionSet": ArmType(_in_group("Compute/diskEncryptionSets/{diskEncryptionSetName}")),
    "keyvault:Key": ArmType(_VAULT + "/keys/{keyName}", name_rule=r"[A-Za-z0-9-]{1,127}"),
    # Storage and registry
    "storage:StorageAccount": ArmType(
        _STORAGE,
        name_rule=r"[a-z0-9]{3,24}",
        globally_unique=True,
        immutable=(
            "isHnsEnabled",
            "enableNfsV3",
            "dnsEndpointType",
            "encryption.requireInfrastructureEncryption",
        ),
    ),
    "storage:BlobContainer": ArmType(
        _STORAGE + "/blobServices/default/containers/{containerName}",
        name_rule=r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$web|\$root|\$logs",
        immutable=("defaultEncryptionScope", "denyEncryptionScopeOverride"),
    ),
    "storage:BlobServiceProperties": ArmType(
        _STORAGE + "/blobServices/{blobServicesName}", name_rule="default", explicit_naming=Naming.DEFAULT
    ),
    "storage:BlobContainerImmutabilityPolicy": ArmType(
        _STORAGE
        + "/blobServices/default/containers/{containerName}/immutabilityPolicies/{immutabilityPolicyName}",
        name_rule="default",
        explicit_naming=Naming.DEFAULT,
    ),
    "storage:ManagementPolicy": ArmType(
        _STORAGE + "/managementPolicies/{managementPolicyName}",
        name_rule="default",
        explicit_naming=Naming.DEFAULT,
    ),
    "containerregistry:Registry": ArmType(
        _in_group("ContainerRegistry/registries/{registryName}"),
        name_rule=r"[A-Za-z0-9]{5,50}",
        globally_unique=True,
    ),
    # Machine learning
    "machinelearningservices:Workspace": ArmType(
        _WORKSPACE,
        name_rule=r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}",
        soft_delete=True,
        immutable=("storageAccount", "keyVault", "hbiWorkspace", "encryption", "kind"),
    ),
    "machinelearningservices:Datastore": ArmType(
        _WORKSPACE + "/datastores/{name}",
        name_rule=r"[a-z0-9_]{1,255}",
        immutable=("properties.datastoreType",),
    ),
    "machinelearningservices:Compute": ArmType(
        _WORKSPACE + "/computes/{computeName}", name_rule=r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]"
    ),
    # Kubernetes
    "containerservice:ManagedCluster": ArmType(
        _CLUSTER,
        name_rule=r"[A-Za-z0-9]([\w-]{0,61}[A-Za-z0-9])?",
        immutable=(
            "dnsPrefix",
            "fqdnSubdomain",
            "nodeResourceGroup",
            "diskEncryptionSetID",
            "apiServerAccessProfile.enablePrivateCluster",
            "apiServerAccessProfile.privateDNSZone",
            "networkProfile.networkPlugin",
            "networkProfile.podCidr",
            "networkProfile.serviceCidr",
            "networkProfile.dnsServiceIP",
        ),
    ),
    "containerservice:AgentPool": ArmType(
        _CLUSTER + "/agentPools/{agentPoolName}",
        name_rule=r"[a-z][a-z0-9]{0,11}",
        immutable=(
            "osType",
            "vmSize",
            "availabilityZones",
            "enableEncryptionAtHost",
            "maxPods",
            "osDiskType",
            "vnetSubnetID",
        ),
    ),
    "containerservice:MaintenanceConfiguration": ArmType(
        _CLUSTER + "/maintenanceConfigurations/{configName}"
    ),
    # Network
    "network:VirtualNetwork": ArmType(_in_group("Network/virtualNetworks/{virtualNetworkName}")),
    "network:NetworkSecurityGroup": ArmType(
        _in_group("Network/networkSecurityGroups/{networkSecurityGroupName}")
    ),
    "network:NatGateway": ArmType(
        _in_group("Network/natGateways/{natGatewayName}"), immutable=("sku", "zones")
    ),
    "network:PublicIPAddress": ArmType(
        _in_group("Network/publicIPAddresses/{publicIpAddressName}"),
        immutable=("sku", "zones", "publicIPAddressVersion"),
    ),
    "network:PrivateEndpoint": ArmType(
        _ENDPOINT, immutable=("subnet", "privateLinkServiceConnections", "customNetworkInterfaceName")
    ),
    "network:PrivateDnsZoneGroup": ArmType(_ENDPOINT + "/privateDnsZoneGroups/{privateDnsZoneGroupName}"),
    "privatedns:PrivateZone": ArmType(
        _ZONE, name_rule=r"[\w-]{1,63}(\.[\w-]{1,63}){1,33}", location="global"
    ),
    "privatedns:VirtualNetworkLink": ArmType(
        _ZONE + "/virtualNetworkLinks/{virtualNetworkLinkName}",
        immutable=("virtualNetwork",),
        location="global",
    ),
}


def find(token: str) -> ArmType | None:
    """Return the type of a Pulumi token such as `azure-native:storage/v20240101:BlobContainer`."""
    return TYPES.get(short_token(token))


def short_token(token: str) -> str:
    """Return `module:Resource` of a Pulumi token, without the package and the API version."""
    _, module, name = token.split(":")
    return f"{module.split('/')[0]}:{name}"


def soft_deleted_types() -> dict[str, ArmType]:
    """Return the types whose deleted resources keep their names reserved, by ARM type."""
    return {arm_type.arm_type: arm_type for arm_type in TYPES.values() if arm_type.soft_delete}
