"""Helm releases: they are stored, and no chart is installed."""

from localcloud.providers import sdk_schema
from localcloud.providers.grpc_provider import AlreadyExistsError, Failure, ProviderError, Resource
from localcloud.providers.kubernetes_objects import ObjectFiles
from localcloud.providers.properties import UNKNOWN, Properties

_TYPE = "kubernetes:helm.sh/v3:Release"
_MAX_NAME = 53  # `helm install` refuses longer names

#: The status of a release whose installation was killed: Helm changes such a release no more
#: (https://github.com/pulumi/pulumi-kubernetes/issues/2054).
_PENDING = "pending-install"


def is_release(resource: Resource) -> bool:
    """Whether the resource is a Helm release."""
    return resource.type == _TYPE


def check(
    resource: Resource, news: Properties, olds: Properties, suffix: str, namespace: str
) -> tuple[Properties, list[Failure]]:
    """Return the inputs with a name and a namespace, and their failures; the version must be pinned."""
    schema = sdk_schema.resource_schema("pulumi_kubernetes", "helm.v3", "Release")
    failures = sdk_schema.check(news, schema.inputs)
    name = news["name"] if "name" in news else olds.get("name", f"{resource.name}-{suffix}")
    inputs = news | {"name": name, "namespace": news.get("namespace", namespace)}
    if "version" not in news:
        failures.append(Failure("version", "missing required property version: pin the chart's version"))
    if name != UNKNOWN and len(name) > _MAX_NAME:
        failures.append(Failure("name", f"name {name!r} is longer than Helm's {_MAX_NAME} characters"))
    return inputs, failures


def preview(inputs: Properties) -> Properties:
    """Return the inputs as outputs; the status is unknown."""
    return inputs | {"status": UNKNOWN, "resourceNames": UNKNOWN}


def create(files: ObjectFiles, inputs: Properties) -> tuple[str, Properties]:
    """Store the release; its name must be free, its namespace must exist or have createNamespace."""
    name, namespace = inputs["name"], inputs["namespace"]
    if files.get_release(name) is not None:
        raise AlreadyExistsError(
            f"{namespace}/{name}",
            f"release {name}: cannot re-use a name that is still in use; choose another name",
        )
    if not files.has_namespace(namespace) and not inputs.get("createNamespace"):
        raise ProviderError(
            f'release {name}: namespaces "{namespace}" not found; create it first, or set createNamespace'
        )
    return f"{namespace}/{name}", _install(files, inputs, revision=1)


def read(files: ObjectFiles, resource_id: str, inputs: Properties) -> tuple[Properties, Properties] | None:
    """Return the release as stored."""
    release = files.get_release(resource_id.rpartition("/")[2])
    if release is None:
        return None
    shown = {key: release[key] for key in ("chart", "version", "values") if key in inputs}
    current = inputs | shown
    return current | {"status": _status(release)}, current


def update(files: ObjectFiles, resource_id: str, inputs: Properties) -> Properties:
    """Store the release with its next revision."""
    release = files.get_release(inputs["name"])
    if release is None:
        raise ProviderError(f"release {resource_id} no longer exists in the cluster: run `pulumi refresh`")
    if release.get("status") == _PENDING:
        raise ProviderError(
            f"release {resource_id}: another operation (install/upgrade/rollback) is in progress; run `helm"
            f" uninstall {release['name']} --namespace {release['namespace']}`, then `pulumi up --refresh`"
        )
    return _install(files, inputs, revision=release["revision"] + 1)


def _install(files: ObjectFiles, inputs: Properties, revision: int) -> Properties:
    release = {
        "name": inputs["name"],
        "namespace": inputs["namespace"],
        "createNamespace": inputs.get("createNamespace", False),
        "chart": inputs["chart"],
        "version": inputs["version"],
        "repo": inputs.get("repositoryOpts", {}).get("repo"),
        "values": inputs.get("values", {}),
        "revision": revision,
    }
    if revision == 1:
        files.put_release(release | {"status": _PENDING})
    files.put_release(release)
    return inputs | {"status": _status(release)}


def _status(release: Properties) -> Properties:
    shown = {key: release[key] for key in ("name", "namespace", "chart", "version", "revision")}
    return {"status": release.get("status", "deployed")} | shown
