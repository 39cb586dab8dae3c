"""What jobs may reach from a workspace's managed network, and which hosts of Snowflake they need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from components.component import Args

#: The service tag of all storage accounts in Azure
#: (https://learn.microsoft.com/azure/virtual-network/service-tags-overview#available-service-tags).
STORAGE_TAG = "Storage"

#: The hosts of conda-forge's packages and of PyPI's: what the build of a Python environment downloads, apart
#: from its base image, which a managed network always allows
#: (https://learn.microsoft.com/azure/machine-learning/how-to-access-azureml-behind-firewall#recommended-configuration-for-training-and-deploying-models,
#: https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#list-of-required-rules).
PACKAGE_HOSTS = ("conda.anaconda.org", "pypi.org", "files.pythonhosted.org")

_AZURE_STORAGE = ".core.windows.net"

#: The region of an account locator without a region
#: (https://docs.snowflake.com/en/user-guide/admin-account-identifier#non-vps-account-locator-formats-by-cloud-platform-and-region).
_FIRST_REGION = "us-west-2"

OutboundRule = ml.FqdnOutboundRuleArgs | ml.PrivateEndpointOutboundRuleArgs | ml.ServiceTagOutboundRuleArgs


@dataclass(kw_only=True)
class OutboundServiceArgs(Args):
    """A service that jobs reach through a private endpoint of the managed network."""

    resource_id: pulumi.Input[str]
    group: str
    """The sub-resource that is reached, such as `blob`."""
    elsewhere: bool = False
    """Whether the service is in another resource group than the workspace."""


def managed_network(
    hosts: Sequence[str],
    service_tags: Sequence[str],
    services: Mapping[str, OutboundServiceArgs],
    firewall_sku: pulumi.Input[str],
) -> ml.ManagedNetworkSettingsArgs:
    """Return a managed network from which jobs reach only the given destinations and those of Azure ML.

    Hosts are reached on ports 80 and 443 through a firewall, service tags on port 443
    (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network).
    The rules are part of the workspace instead of resources of their own. Rules made in parallel delete each
    other (https://github.com/Azure/terraform-provider-azapi/issues/453), rules made in turn take minutes each
    (https://github.com/Azure/terraform-provider-azapi/issues/720), and an update of the workspace that does
    not name them may drop them. Azure adds rules of its own and refuses them in an update
    (https://github.com/Azure/azure-sdk-for-python/pull/32643).
    """
    return ml.ManagedNetworkSettingsArgs(
        isolation_mode=ml.IsolationMode.ALLOW_ONLY_APPROVED_OUTBOUND,
        firewall_sku=firewall_sku,
        outbound_rules=_outbound_rules(hosts, service_tags, services),
    )


def changes_of_the_service(
    hosts: Sequence[str], service_tags: Sequence[str], services: Mapping[str, OutboundServiceArgs]
) -> list[str]:
    """Return the properties of a managed network that Azure changes as the network comes up.

    Each rule is named: a wildcard would also mean the rules that Azure makes of its own, which no program
    declares.
    """
    rules = _outbound_rules(hosts, service_tags, services)
    return [
        "managedNetwork.status",
        *(f'managedNetwork.outboundRules["{name}"].status' for name in rules),
    ]


def _outbound_rules(
    hosts: Sequence[str], service_tags: Sequence[str], services: Mapping[str, OutboundServiceArgs]
) -> dict[str, OutboundRule]:
    endpoints = {
        name: ml.PrivateEndpointOutboundRuleArgs(
            type=ml.RuleType.PRIVATE_ENDPOINT,
            category=ml.RuleCategory.USER_DEFINED,
            destination=ml.PrivateEndpointDestinationArgs(
                service_resource_id=service.resource_id, subresource_target=service.group
            ),
        )
        for name, service in services.items()
    }
    names = {
        host.replace("*", "any").replace(".", "-"): ml.FqdnOutboundRuleArgs(
            type=ml.RuleType.FQDN, category=ml.RuleCategory.USER_DEFINED, destination=host
        )
        for host in hosts
    }
    tags = {
        f"tag-{tag.lower().replace('.', '-')}": ml.ServiceTagOutboundRuleArgs(
            type=ml.RuleType.SERVICE_TAG,
            category=ml.RuleCategory.USER_DEFINED,
            destination=ml.ServiceTagDestinationArgs(service_tag=tag, protocol="TCP", port_ranges="443"),
        )
        for tag in service_tags
    }
    return {**endpoints, **names, **tags}


def snowflake_hosts(account: str, host: str | None, stage_hosts: Sequence[str]) -> list[str]:
    """Return the hosts that a client of a Snowflake account needs: the account, OCSP and its stages.

    Large results are read from the account's stage. `stage_hosts` are the hosts of type STAGE that Snowflake
    lists (https://docs.snowflake.com/en/sql-reference/functions/system_allowlist).
    Without them, the hosts follow from the account's cloud: a wildcard for every bucket of the region on AWS,
    and the one host of all buckets on Google Cloud. A compromised job could then send data to a bucket of
    another company; on AWS, `stage_hosts` prevents that. Stages on Azure are storage accounts: see
    `snowflake_service_tags`. A managed network has no private endpoint to Snowflake, so Snowflake's private
    link does not apply
    (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#private-endpoints).
    """
    account_host = host or f"{account}.snowflakecomputing.com"
    # the connector asks a cache of OCSP answers, which has the same name for all accounts but in China
    ocsp = f"ocsp.snowflakecomputing.{'cn' if account_host.endswith('.cn') else 'com'}"
    stages = stage_hosts or _derived_stage_hosts(account)
    hosts = dict.fromkeys(item.lower() for item in (account_host, ocsp, *stages))
    return [item for item in hosts if not item.endswith(_AZURE_STORAGE)]


def snowflake_service_tags(account: str, stage_hosts: Sequence[str]) -> list[str]:
    """Return the service tags that reach the stages of a Snowflake account: `Storage`, or an empty list.

    A managed network with approved outbound accepts no host rule for a storage account
    (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#limitations), and a private
    endpoint only to an account of the same tenant. What remains is the tag of all storage accounts. It
    includes those of other tenants: a compromised job could send data there. A region's tag would not help,
    because anyone can create an account in that region. If every import is an `unload`, no job reads a stage
    and the tag is left out.
    """
    stages = stage_hosts or _derived_stage_hosts(account)
    return [STORAGE_TAG] if any(item.lower().endswith(_AZURE_STORAGE) for item in stages) else []


def _derived_stage_hosts(account: str) -> list[str]:
    """Return the hosts of all stages in the account's cloud and region.

    An account locator names both, except on AWS. The name of an organisation's account (`myorg-myaccount`)
    names neither: it is assumed to be on Azure, like the platform
    (https://docs.snowflake.com/en/user-guide/admin-account-identifier).
    """
    name, *place = account.lower().split(".")
    match place:
        case [_, "azure"]:
            return [f"*.blob{_AZURE_STORAGE}"]
        case [_, "gcp"]:
            return ["storage.googleapis.com"]
        case [region] | [region, "aws"]:
            return [f"*.s3.{region}.amazonaws.com"]
        case _ if "-" in name:
            return [f"*.blob{_AZURE_STORAGE}"]
        case _:
            return [f"*.s3.{_FIRST_REGION}.amazonaws.com"]
