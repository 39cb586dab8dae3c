"""The local cloud's azure-native provider: it keeps Azure's resources in the ArmStore."""

import hashlib
import importlib.metadata
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from localcloud.arm import ArmStore, Document
from localcloud.home import SUBSCRIPTION_ID, Home
from localcloud.providers import azure_functions, sdk_schema
from localcloud.providers.azure_body import (
    RANDOM_NAME,
    current_inputs,
    path_inputs,
    resolve,
    same_location,
    to_body,
    to_outputs,
)
from localcloud.providers.azure_outputs import Addresses, LocalAddresses, add_service_outputs
from localcloud.providers.azure_roles import AzureRoles
from localcloud.providers.azure_rules import AzureRules
from localcloud.providers.azure_services import service_made, with_kept_values
from localcloud.providers.azure_types import TYPES, ArmType, Naming, find, short_token
from localcloud.providers.blob_containers import BlobContainers
from localcloud.providers.grpc_provider import Failure, Provider, ProviderError, Replacement, Resource
from localcloud.providers.properties import UNKNOWN, Properties
from localcloud.providers.sdk_schema import ResourceSchema

_CONTAINER_ID = re.compile(
    r".*/storageAccounts/([^/]+)/blobServices/default/containers/([^/]+)", re.IGNORECASE
)


class AzureNative(Provider):
    """Resources of `azure_types.TYPES`; it refuses what Azure would refuse."""

    name = "azure-native"
    version = importlib.metadata.version("pulumi_azure_native")

    def __init__(self, home: Home, addresses: Addresses | None = None) -> None:
        self._addresses = addresses or LocalAddresses(home)
        self._store = ArmStore(home.arm_db)
        self._rules = AzureRules(self._store, home.unregistered)
        self._roles = AzureRoles(home, self._store)
        self._containers = BlobContainers(home)
        # one request at a time, so that two resources cannot take the same name
        self._lock = threading.Lock()

    def check(
        self, resource: Resource, news: Properties, olds: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Return the inputs with default name and location, and the properties that Azure would refuse."""
        arm_type = find(resource.type)
        if arm_type is None:
            reason = f"the local cloud has no {resource.type}: add it to localcloud/providers/azure_types.py"
            return news, [Failure("", reason)]
        schema = _schema(resource.type)
        failures = sdk_schema.check(news, schema.inputs)
        if failures:
            return news, failures
        inputs = self._with_name(arm_type, resource, news, olds, seed)
        inputs = self._with_location(arm_type, schema, resource, inputs)
        return inputs, list(_broken_name_rules(arm_type, inputs))

    def _with_name(
        self, arm_type: ArmType, resource: Resource, news: Properties, olds: Properties, seed: bytes
    ) -> Properties:
        key = arm_type.name_input
        if key in news:
            return news
        if key in olds:
            return news | {name: olds[name] for name in (key, RANDOM_NAME) if name in olds}
        digest = hashlib.sha256(seed).digest()
        match arm_type.naming:
            case Naming.RANDOM:
                return news | {key: resource.name + digest[:4].hex(), RANDOM_NAME: True}
            case Naming.UUID:
                return news | {key: str(uuid.UUID(bytes=digest[:16], version=4)), RANDOM_NAME: True}
            case Naming.COPY:
                return news | {key: resource.name}
            case Naming.DEFAULT:
                return news | {key: "default"}

    def _with_location(
        self, arm_type: ArmType, schema: ResourceSchema, resource: Resource, inputs: Properties
    ) -> Properties:
        """Return the inputs with a location: their own, the provider's, or the resource group's."""
        if "location" in inputs or "location" not in schema.inputs:
            return inputs
        if "location" in resource.config:
            return inputs | {"location": resource.config["location"]}
        group = inputs.get("resourceGroupName")
        if arm_type.name_input == "resourceGroupName" or group is None:
            return inputs
        if group == UNKNOWN:
            return inputs | {"location": UNKNOWN}
        found = self._store.get(f"/subscriptions/{_subscription(resource)}/resourceGroups/{group}")
        return inputs | {"location": found["location"]} if found else inputs

    def replacement(self, resource: Resource, olds: Properties) -> Replacement:
        """Return that changes of name, parents, location and the type's `immutable` inputs replace it."""
        arm_type = _arm_type(resource)
        fixed = [*arm_type.parameters, "location", *arm_type.immutable]
        paths = re.compile(f"({'|'.join(map(re.escape, fixed))})([.\\[].*)?")
        return Replacement(paths, delete_first=not olds.get(RANDOM_NAME), normalise=_comparable)

    def preview(self, resource: Resource, inputs: Properties) -> Properties:
        """Return the inputs as outputs; all other outputs are unknown."""
        return sdk_schema.preview(inputs, _schema(resource.type).outputs)

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource; a ProviderError if Azure would refuse it."""
        arm_type = _arm_type(resource)
        subscription = _subscription(resource)
        arm_id = resolve(arm_type.path, inputs, subscription)
        with self._rules.alone(arm_type, inputs), self._lock:
            self._rules.check_registered(arm_type, arm_id)
            self._rules.check_parent(resolve(arm_type.parent, inputs, subscription), arm_id)
            self._rules.check_name(arm_type, arm_id)
            self._rules.check_references(inputs, subscription, arm_id)
            body = self._body(arm_type, arm_id, inputs)
            self._roles.date(body, None, self.now())
            self._rules.check_role_assignment(body)
            self._rules.check_requirements(body)
            self._roles.check_definition(body)
            self._roles.check(body)
            if container := _CONTAINER_ID.fullmatch(arm_id):
                self._containers.create(container[1], container[2])
            self._put(body)
        return arm_id, _outputs(resource, body)

    def now(self) -> datetime:
        """Return the time of a request."""
        return datetime.now(UTC)

    def keep(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Store the resource, whether or not Azure would refuse it, and return its id and outputs."""
        arm_id = self.id_of(resource, inputs)
        with self._lock:
            body = self._body(_arm_type(resource), arm_id, inputs)
            self._roles.date(body, None, self.now())
            self._put(body)
        return arm_id, _outputs(resource, body)

    def has(self, resource: Resource, inputs: Properties) -> bool:
        """Return whether a resource with these names is stored."""
        return self._store.get(self.id_of(resource, inputs)) is not None

    @staticmethod
    def id_of(resource: Resource, inputs: Properties) -> str:
        """Return the ARM id of the resource."""
        return resolve(_arm_type(resource).path, inputs, _subscription(resource))

    def read(
        self, resource: Resource, resource_id: str, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """Return the resource as stored; `pulumi import` gives no inputs, so they are read from it too."""
        arm_type = _arm_type(resource)
        body = self._store.get(resource_id)
        if body is None:
            return None
        outputs = _outputs(resource, body)
        if inputs:
            return outputs, current_inputs(arm_type, inputs, outputs)
        names = path_inputs(arm_type, resource_id)
        if names is None:
            raise ProviderError(f"{resource_id} is not the id of a {resource.type}: expected {arm_type.path}")
        given = {key: value for key, value in outputs.items() if key in _schema(resource.type).inputs}
        return outputs, given | names

    def update(self, resource: Resource, resource_id: str, inputs: Properties) -> Properties:
        """Replace the stored resource by one with these inputs."""
        arm_type = _arm_type(resource)
        with self._lock:
            stored = self._store.get(resource_id)
            if stored is None:
                raise ProviderError(
                    f"{resource_id} no longer exists (404 ResourceNotFound): run `pulumi refresh`"
                )
            self._rules.check_references(inputs, _subscription(resource), resource_id)
            self._rules.check_etag(stored, inputs)
            body = self._body(arm_type, resource_id, inputs, stored)
            self._rules.check_requirements(body)
            self._roles.date(body, stored, self.now())
            self._roles.check(body)
            self._put(body)
        return _outputs(resource, body)

    def delete(self, resource: Resource, resource_id: str) -> None:
        """Delete the resource and its children; a soft-deleted one keeps its name reserved."""
        del resource
        with self._lock:
            body = self._store.get(resource_id)
            if body is not None:
                self._rules.check_locks(body)
            for document in [*([body] if body else []), *self._store.descendants(resource_id)]:
                if container := _CONTAINER_ID.fullmatch(document["id"]):
                    self._containers.delete(container[1], container[2])
                self._rules.remember_deleted(document)
            self._store.delete(resource_id)

    def invoke(self, token: str, args: Properties, config: Properties) -> Properties:
        """Return the result of one of `azure_functions`."""
        subscription = config.get("subscriptionId", SUBSCRIPTION_ID)
        return azure_functions.call(token, args, subscription, self._store)

    def _body(
        self, arm_type: ArmType, arm_id: str, inputs: Properties, stored: Document | None = None
    ) -> Document:
        """Return the document as the service stores it, with what it keeps of the `stored` one."""
        body = with_kept_values(to_body(arm_type, arm_id, inputs), stored)
        return add_service_outputs(body, self._addresses, self._store)

    def _put(self, body: Document) -> None:
        for document in [body, *service_made(body)]:
            self._store.put(document["id"], document)


def _arm_type(resource: Resource) -> ArmType:
    arm_type = find(resource.type)
    if arm_type is None:
        raise ProviderError(f"the local cloud has no {resource.type}")
    return arm_type


def load_schemas() -> None:
    """Load the SDK's classes of every offered type, not at its first use: loading takes seconds."""
    for token in TYPES:
        _schema(f"azure-native:{token}")


def _schema(token: str) -> ResourceSchema:
    module, name = short_token(token).split(":")
    return sdk_schema.resource_schema("pulumi_azure_native", module, name)


def _outputs(resource: Resource, body: Document) -> Properties:
    """Return the outputs; a Key takes `properties`, and returns them at the top too."""
    schema = _schema(resource.type)
    outputs = to_outputs(body, flat="properties" not in schema.inputs)
    return outputs if "properties" in schema.outputs else body["properties"] | outputs


def _subscription(resource: Resource) -> str:
    return str(resource.config.get("subscriptionId", SUBSCRIPTION_ID))


def _comparable(inputs: Properties) -> Properties:
    comparable = {key: value for key, value in inputs.items() if key != RANDOM_NAME}
    if "location" in comparable:
        comparable["location"] = same_location(comparable["location"])
    return comparable


def _broken_name_rules(arm_type: ArmType, inputs: Properties) -> Iterator[Failure]:
    key = arm_type.name_input
    name = inputs[key]
    if name != UNKNOWN and not re.fullmatch(arm_type.name_rule, name):
        reason = f"{key} {name!r} is not a name for {arm_type.arm_type}: it must match {arm_type.name_rule}"
        yield Failure(key, reason)
    location = inputs.get("location", "")
    if arm_type.location and location != UNKNOWN and same_location(location) != arm_type.location:
        yield Failure(
            "location", f"location of {arm_type.arm_type} must be {arm_type.location!r}, not {location!r}"
        )
