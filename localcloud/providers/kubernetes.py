"""The local cloud's Kubernetes provider: it stores objects and releases, and runs no container."""

import hashlib
import importlib.metadata
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import yaml

from localcloud.arm import ArmStore
from localcloud.home import Home
from localcloud.providers import helm, kubernetes_rules
from localcloud.providers.grpc_provider import (
    AlreadyExistsError,
    Failure,
    Provider,
    ProviderError,
    Replacement,
    Resource,
)
from localcloud.providers.kubernetes_objects import ObjectFiles
from localcloud.providers.properties import UNKNOWN, Properties, overlay
from localcloud.roles import Roles

#: The annotation with which the real provider marks a name that it has generated.
_AUTONAMED = "pulumi.com/autonamed"

_CLUSTER = "Microsoft.ContainerService/managedClusters"
_ADMINISTRATOR = "Azure Kubernetes Service RBAC Cluster Admin"

_KUBECONFIG_KEYS = ("clusters", "contexts", "users", "current-context")


class Kubernetes(Provider):
    """Objects of any kind, and Helm releases (`helm.sh/v3:Release`)."""

    name = "kubernetes"
    version = importlib.metadata.version("pulumi_kubernetes")

    def __init__(self, home: Home) -> None:
        self._files = ObjectFiles(home)
        self._store = ArmStore(home.arm_db)
        self._roles = Roles(home, self._store)

    def check_config(self, config: Properties) -> list[Failure]:
        """Return why the kubeconfig, or the file with its path, is not valid."""
        given = config.get("kubeconfig", UNKNOWN)
        if given == UNKNOWN:
            return []
        try:
            text = Path(given).read_text(encoding="utf-8") if _is_path(given) else given
            parsed = yaml.safe_load(text)
        except (OSError, yaml.YAMLError):
            return [Failure("kubeconfig", "kubeconfig is neither YAML nor JSON, nor the path of such a file")]
        missing = [key for key in _KUBECONFIG_KEYS if not isinstance(parsed, dict) or not parsed.get(key)]
        if missing:
            return [Failure("kubeconfig", f"kubeconfig has no {', '.join(missing)}")]
        return []

    def check(
        self, resource: Resource, news: Properties, olds: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Return the inputs with name and namespace, and what the API server or Helm would refuse in them."""
        suffix = hashlib.sha256(seed).hexdigest()[:8]
        namespace = resource.config.get("namespace", "default")
        if helm.is_release(resource):
            return helm.check(resource, news, olds, suffix, namespace)
        inputs = _with_kind(resource, news)
        metadata = inputs.get("metadata", {})
        if metadata == UNKNOWN:
            return inputs, []
        if "name" not in metadata and "generateName" not in metadata:
            old = olds.get("metadata", {})
            autonamed = {"annotations": {_AUTONAMED: "true"}, "name": f"{resource.name}-{suffix}"}
            if old.get("annotations", {}).get(_AUTONAMED) == "true":
                autonamed["name"] = old["name"]
            metadata = overlay(metadata, autonamed)
        if kubernetes_rules.is_namespaced(inputs["kind"]) and "namespace" not in metadata:
            metadata = metadata | {"namespace": namespace}
        inputs = inputs | {"metadata": metadata}
        return inputs, kubernetes_rules.check(inputs)

    def replacement(self, resource: Resource, olds: Properties) -> Replacement:
        """Return that changes of identity, and of fields that the API server holds fixed, replace it."""
        if helm.is_release(resource):
            return Replacement(re.compile("name|namespace"), delete_first=True)
        annotations = olds.get("metadata", {}).get("annotations", {})
        return Replacement(
            kubernetes_rules.fixed_paths(olds.get("kind", "")),
            delete_first=annotations.get(_AUTONAMED) != "true",
        )

    def preview(self, resource: Resource, inputs: Properties) -> Properties:
        """Return the inputs as outputs; uid and status are unknown."""
        if helm.is_release(resource):
            return helm.preview(inputs)
        if inputs["metadata"] == UNKNOWN:
            return inputs
        added = {"metadata": {"uid": UNKNOWN, "creationTimestamp": UNKNOWN}, "status": UNKNOWN}
        return overlay(added, inputs)

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Store the object, which must not exist yet; its namespace must."""
        self._check_administrator(resource)
        if helm.is_release(resource):
            return helm.create(self._files, inputs)
        kind, name, namespace = _identity(inputs)
        resource_id = f"{namespace}/{name}" if namespace else name
        if namespace and not self._files.has_namespace(namespace):
            raise ProviderError(
                f'{kind} {resource_id}: namespaces "{namespace}" not found; create the namespace first'
            )
        if self._files.get(namespace, kind, name) is not None:
            raise AlreadyExistsError(
                resource_id, f"{kind} {resource_id} already exists; choose another name, or delete it"
            )
        created = {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        body = overlay({"metadata": created}, inputs)
        self._files.put(namespace, body)
        return resource_id, body

    def _check_administrator(self, resource: Resource) -> None:
        """Refuse an object on a cluster of the local Azure that has no administrator yet."""
        kubeconfig = str(resource.config.get("kubeconfig", ""))
        for cluster in self._store.descendants(""):
            if cluster.get("type") != _CLUSTER or cluster["properties"]["fqdn"] not in kubeconfig:
                continue
            if why := self._roles.why_lacking(None, _ADMINISTRATOR, cluster["id"]):
                raise ProviderError(
                    f"{resource.name} is forbidden (403): the deployer needs the role {_ADMINISTRATOR} on "
                    f"{cluster['name']}: {why}"
                )

    def read(
        self, resource: Resource, resource_id: str, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """Return the object as stored; its inputs are all that the server has not added."""
        if helm.is_release(resource):
            return helm.read(self._files, resource_id, inputs)
        kind = _with_kind(resource, inputs)["kind"]
        namespace, _, name = resource_id.rpartition("/")
        body = self._files.get(namespace, kind, name)
        if body is None:
            return None
        metadata = {key: v for key, v in body["metadata"].items() if key not in ("uid", "creationTimestamp")}
        return body, {key: v for key, v in body.items() if key != "status"} | {"metadata": metadata}

    def update(self, resource: Resource, resource_id: str, inputs: Properties) -> Properties:
        """Replace the stored object; it keeps its uid and creation time."""
        if helm.is_release(resource):
            return helm.update(self._files, resource_id, inputs)
        kind, name, namespace = _identity(inputs)
        old = self._files.get(namespace, kind, name)
        if old is None:
            raise ProviderError(f"{kind} {resource_id} no longer exists in the cluster: run `pulumi refresh`")
        kept = {key: old["metadata"][key] for key in ("uid", "creationTimestamp")}
        body = overlay({"metadata": kept}, inputs)
        self._files.put(namespace, body)
        return body

    def delete(self, resource: Resource, resource_id: str) -> None:
        """Delete the object; with a namespace, also the objects in it."""
        namespace, _, name = resource_id.rpartition("/")
        if helm.is_release(resource):
            self._files.delete_release(name)
        else:
            self._files.delete(namespace, _with_kind(resource, {})["kind"], name)


def _is_path(kubeconfig: str) -> bool:
    return "\n" not in kubeconfig and not kubeconfig.lstrip().startswith("{")


def _with_kind(resource: Resource, inputs: Properties) -> Properties:
    """Return the inputs with apiVersion and kind from the type, such as `kubernetes:apps/v1:Deployment`."""
    _, api_version, kind = resource.type.split(":")
    return {"apiVersion": api_version.removeprefix("core/"), "kind": kind} | inputs


def _identity(body: Properties) -> tuple[str, str, str]:
    metadata = body["metadata"]
    return body["kind"], metadata["name"], metadata.get("namespace", "")
