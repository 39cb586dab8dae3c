"""What Azure's services refuse and add beyond the form of a request, as tables.

docs/local.md lists each behaviour with its source. `azure_rules` reads the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_WORKSPACES = "Microsoft.MachineLearningServices/workspaces"
_CLUSTERS = "Microsoft.ContainerService/managedClusters"
_KEY_OF_WORKSPACE = "encryption.keyVaultProperties.keyVaultArmId"


@dataclass(frozen=True)
class Requirement:
    """What a service asks of another resource that a request refers to."""

    #: the type of the request's resource
    of: str
    #: where its properties have the other resource's id: a dotted path
    reference: str
    #: what is asked of the other resource: its name, or a dotted path in its properties
    wanted: str
    #: the accepted values; `{location}` in a text is the request's location
    values: tuple[object, ...]
    #: the error, in Azure's words
    error: str
    #: a property of the request without which nothing is asked
    only_with: str | None = None


REQUIREMENTS = (
    # https://learn.microsoft.com/azure/virtual-machines/disk-encryption#restrictions
    Requirement(
        "Microsoft.Compute/diskEncryptionSets",
        "activeKey.sourceVault.id",
        "enablePurgeProtection",
        (True,),
        "the vault of the key must have purge protection (400 KeyVaultNotPurgeProtected)",
    ),
    # https://learn.microsoft.com/azure/machine-learning/concept-customer-managed-keys#prerequisites
    Requirement(
        _WORKSPACES,
        _KEY_OF_WORKSPACE,
        "enablePurgeProtection",
        (True,),
        "the vault of the key must have purge protection (400 BadRequest)",
    ),
    # https://learn.microsoft.com/azure/machine-learning/concept-customer-managed-keys#preview-service-side-encryption-of-metadata
    Requirement(
        _WORKSPACES,
        _KEY_OF_WORKSPACE,
        "publicNetworkAccess",
        ("Enabled", "enabled", None),
        "service-side encryption needs a vault whose public network access is on (400 BadRequest)",
        only_with="enableServiceSideCMKEncryption",
    ),
    # https://learn.microsoft.com/azure/aks/private-clusters#configuration-options-for-private-dns
    Requirement(
        _CLUSTERS,
        "apiServerAccessProfile.privateDNSZone",
        "name",
        ("privatelink.{location}.azmk8s.io",),
        "the private DNS zone must be privatelink.<region>.azmk8s.io (400 CustomPrivateDNSZoneInvalid)",
    ),
)


#: The types of which Azure makes only one at a time in another resource: the path of that resource's id. A
#: second request at the same time fails. Private endpoints: https://github.com/hashicorp/terraform-provider-azurerm/pull/16315
ONE_AT_A_TIME: Mapping[str, str] = {"Microsoft.Network/privateEndpoints": "subnet.id"}

#: Seconds that making such a resource takes here, so that requests of one moment overlap.
ONE_AT_A_TIME_SECONDS = 0.05

#: The types whose update must carry the latest eTag
#: (https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update,
#: https://github.com/MicrosoftDocs/azure-docs/issues/34023).
WITH_ETAG = {"Microsoft.Consumption/budgets"}

#: The types whose deletion changes other resources, which a lock there refuses: the path of their ids
#: (https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources).
CHANGED_BY_DELETION: Mapping[str, str] = {
    "Microsoft.Network/privateEndpoints": "privateLinkServiceConnections.privateLinkServiceId",
}

#: The hosts that the build of an environment from conda-forge and PyPI downloads from
#: (https://learn.microsoft.com/azure/machine-learning/how-to-access-azureml-behind-firewall).
BUILD_HOSTS = ("conda.anaconda.org", "pypi.org", "files.pythonhosted.org")
