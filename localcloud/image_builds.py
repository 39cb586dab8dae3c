"""The image builds that Azure ML refuses: what the builds of a workspace cannot reach."""

from fnmatch import fnmatch

from localcloud.arm import ArmStore, Document
from localcloud.providers.azure_behaviours import BUILD_HOSTS
from localcloud.providers.properties import at_path


def build_problem(environment: Document, workspace_id: str, store: ArmStore) -> str | None:
    """Return why Azure ML cannot build the image of an environment (its properties); None if it can.

    https://learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet#enable-azure-container-registry-acr
    """
    workspace = store.get(workspace_id)
    if "condaFile" not in environment or workspace is None:
        return None
    properties = workspace["properties"]
    compute = properties.get("imageBuildCompute")
    restricted = [
        str(properties[key])
        for key in ("storageAccount", "containerRegistry")
        if key in properties and _is_restricted(store.get(properties[key]))
    ]
    if restricted and compute is None:
        return (
            f"The image cannot be built: {restricted[0]} is behind a firewall, which serverless compute does"
            " not pass. Name a compute cluster as imageBuildCompute of the workspace."
        )
    if compute is not None and store.get(f"{workspace_id}/computes/{compute}") is None:
        return f"The image cannot be built: the workspace has no compute {compute} (imageBuildCompute)."
    return _unreachable_host(properties)


def _is_restricted(service: Document | None) -> bool:
    """Whether a storage account or a registry has a firewall."""
    if service is None:
        return False
    properties = service["properties"]
    return properties.get("publicNetworkAccess") == "Disabled" or "Deny" in at_path(
        properties, "networkRuleSet.defaultAction"
    )


def _unreachable_host(workspace: Document) -> str | None:
    """Return which host of packages the managed network does not allow."""
    network = workspace.get("managedNetwork") or {}
    if network.get("isolationMode") != "AllowOnlyApprovedOutbound":
        return None
    rules = network.get("outboundRules", {}).values()
    allowed = [str(rule["destination"]) for rule in rules if rule["type"] == "FQDN"]
    for host in BUILD_HOSTS:
        if not any(fnmatch(host, pattern) for pattern in allowed):
            return f"The image cannot be built: the managed network has no outbound rule for {host}."
    return None
