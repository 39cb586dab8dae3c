"""The objects that a Kubernetes API server refuses."""

import re

import kubernetes_validate

from localcloud.providers.grpc_provider import Failure
from localcloud.providers.properties import UNKNOWN, Properties, has_unknown, join

#: The version of the schemas to validate against: one that AKS supports.
_KUBERNETES_VERSION = "1.34"

#: RFC 1123 subdomain, https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAME = re.compile(r"[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?")

_CLUSTER_SCOPED = {
    "APIService",
    "CSIDriver",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeSnapshotClass",
}

#: The fields of a kind whose change replaces an object, in addition to name, namespace and type. In Pulumi's
#: provider, ConfigMaps and Secrets are immutable by default
#: (https://www.pulumi.com/registry/packages/kubernetes/api-docs/provider/#enableconfigmapmutable_python)
_FIXED = {
    "ConfigMap": "data|binaryData|immutable",
    "Secret": "data|stringData|type|immutable",
    "Deployment": r"spec\.selector",
    "DaemonSet": r"spec\.selector",
    "StatefulSet": r"spec\.(selector|serviceName|volumeClaimTemplates|podManagementPolicy)",
    "Job": r"spec\.(selector|template|completions|completionMode)",
    "RoleBinding": "roleRef",
    "ClusterRoleBinding": "roleRef",
    "PersistentVolumeClaim": r"spec\.(accessModes|storageClassName|volumeName|selector|volumeMode)",
    "StorageClass": "provisioner|parameters|reclaimPolicy|volumeBindingMode",
}


def is_namespaced(kind: str) -> bool:
    """Whether objects of `kind` belong to a namespace; custom kinds do, unless they are named Cluster…."""
    return kind not in _CLUSTER_SCOPED and not kind.startswith("Cluster")


def fixed_paths(kind: str) -> re.Pattern[str]:
    """Return the property paths of `kind` whose change replaces the object."""
    fixed = r"apiVersion|kind|metadata\.(name|namespace)"
    if kind in _FIXED:
        fixed += "|" + _FIXED[kind]
    return re.compile(f"({fixed})([.\\[].*)?")


def check(body: Properties) -> list[Failure]:
    """Return the failures of an object: in its names, and for built-in kinds also against the schema."""
    failures = []
    for key in ("name", "namespace"):
        value = body["metadata"].get(key, UNKNOWN)
        if value != UNKNOWN and not _NAME.fullmatch(str(value)):
            path = f"metadata.{key}"
            reason = f"{path} {value!r} is not a name in Kubernetes: it must match {_NAME.pattern}"
            failures.append(Failure(path, reason))
    if failures or has_unknown(body):
        # an unknown value is a string, also where a number will be
        return failures
    try:
        kubernetes_validate.validate(body, _KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return []
    except kubernetes_validate.ValidationError as error:
        path = ""
        for step in error.path:
            path = f"{path}[{step}]" if isinstance(step, int) else join(path, step)
        return [Failure(path, _reason(body["kind"], path, error))]
    return []


def _reason(kind: str, path: str, error: kubernetes_validate.ValidationError) -> str:
    where = f"{path} of {kind}" if path else kind
    if error.validator == "type":
        # the message would contain the value, which may be a secret
        wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        return f"{where} must be of type {' or '.join(wanted)}"
    if kind == "Secret":
        return f"{where} does not have the form of a Secret"
    return f"{where}: {error.message.splitlines()[0]}"
