"""What Azure's services do by themselves: resources that they make, values that they keep."""

import uuid
from collections.abc import Iterator

from localcloud.arm import Document
from localcloud.providers.azure_behaviours import WITH_ETAG
from localcloud.providers.grpc_provider import ProviderError
from localcloud.providers.properties import Properties


def service_made(body: Document) -> Iterator[Document]:
    """Yield the resources that a service makes beside the one that was asked for."""
    match body["type"]:
        case "Microsoft.Network/virtualNetworks":
            for subnet in body["properties"]["subnets"]:
                properties = {key: value for key, value in subnet.items() if key not in ("id", "name")}
                yield _document(subnet["id"], f"{body['type']}/subnets", properties)
        case "Microsoft.MachineLearningServices/workspaces":
            # https://learn.microsoft.com/azure/machine-learning/concept-data#datastore
            account_id = body["properties"].get("storageAccount")
            names = (
                ("azureml", f"azureml-blobstore-{body['properties']['workspaceId']}") if account_id else ()
            )
            for name in names:
                container_id = f"{account_id}/blobServices/default/containers/{name}"
                yield _document(container_id, "Microsoft.Storage/storageAccounts/blobServices/containers", {})


def _document(arm_id: str, arm_type: str, properties: Properties) -> Document:
    return {"id": arm_id, "name": arm_id.rsplit("/", 1)[1], "type": arm_type, "properties": properties}


def with_kept_values(body: Document, stored: Document | None) -> Document:
    """Return `body` with what the service sets or keeps: a new eTag, and the nodes of autoscaled pools."""
    if body["type"] in WITH_ETAG:
        body = body | {"eTag": f'"{uuid.uuid4().hex}"'}
    match body["type"]:
        case "Microsoft.ContainerService/managedClusters/agentPools":
            return body | {"properties": _counted(body["properties"], stored and stored["properties"])}
        case "Microsoft.ContainerService/managedClusters":
            pools = stored["properties"].get("agentPoolProfiles", []) if stored else []
            before = {pool.get("name"): pool for pool in pools}
            counted = [
                _counted(pool, before.get(pool.get("name")))
                for pool in body["properties"].get("agentPoolProfiles", [])
            ]
            return body | {
                "properties": body["properties"] | ({"agentPoolProfiles": counted} if counted else {})
            }
        case _:
            return body


def _counted(pool: Properties, before: Properties | None) -> Properties:
    """Return an autoscaled pool with its number of nodes, which a request must not change.

    https://github.com/Azure/AKS/issues/1248, https://github.com/Azure/AKS/issues/1627
    """
    if not pool.get("enableAutoScaling"):
        return pool
    least = pool.get("minCount", 1)
    now = before.get("count", least) if before else least
    if before and pool.get("count", now) != now:
        raise ProviderError(
            f"the pool {pool.get('name', '')} has {now} nodes: a request cannot scale it to {pool['count']}"
            " manually while the cluster autoscaler is on (400 BadRequest); omit count"
        )
    return {"count": now} | pool
