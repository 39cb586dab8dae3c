"""Between a Pulumi resource's inputs and outputs and the ARM document of the same thing."""

import re
from typing import Any

from localcloud.arm import Document
from localcloud.providers.azure_types import ArmType
from localcloud.providers.properties import Properties

#: azure-native's own mark, among the inputs, of a random name: a new one may be made before the old goes
RANDOM_NAME = "__createBeforeDelete"

#: what stands beside `properties` in an ARM document
#: (https://learn.microsoft.com/azure/azure-resource-manager/templates/resource-declaration)
_BESIDE_PROPERTIES = {
    "location",
    "tags",
    "identity",
    "sku",
    "kind",
    "zones",
    "extendedLocation",
    "managedBy",
    "eTag",
}
_NOT_IN_BODY = {"id", "name", RANDOM_NAME, "skipValidation"}


def to_body(arm_type: ArmType, arm_id: str, inputs: Properties) -> Document:
    """Return the ARM document that the inputs ask for."""
    body: Document = {"id": arm_id, "name": arm_id.rsplit("/", 1)[1], "type": arm_type.arm_type}
    own = {k: v for k, v in inputs.items() if k not in arm_type.parameters and k not in _NOT_IN_BODY}
    body |= {key: value for key, value in own.items() if key in _BESIDE_PROPERTIES}
    rest = {key: value for key, value in own.items() if key not in _BESIDE_PROPERTIES}
    body["properties"] = rest.get("properties", rest)
    return body


def to_outputs(body: Document, *, flat: bool) -> Properties:
    """Return the outputs that an ARM document gives; `flat` where the SDK has no `properties` of its own."""
    outputs = {key: value for key, value in body.items() if key != "properties"}
    return (body["properties"] | outputs) if flat else outputs | {"properties": body["properties"]}


def current_inputs(arm_type: ArmType, inputs: Properties, outputs: Properties) -> Properties:
    """Return the inputs as they would be had the program asked for what is there now.

    Only what the program has set is looked at, and all tags: defaults of the service are no drift.
    """
    seen = _with_write_only(arm_type, inputs, outputs)
    fixed = {*arm_type.parameters, *_NOT_IN_BODY, "type"}
    current = {}
    for key, value in inputs.items():
        if key in fixed:
            current[key] = value
        elif key == "tags" and key in seen:
            current[key] = seen[key]
        elif key in seen:
            current[key] = _project(value, seen[key])
    return current


def without_write_only(arm_type: ArmType, body: Document) -> Document:
    """Return the document without what the service keeps to itself."""
    for path in arm_type.write_only:
        body = _without(body, path.split("."))
    return body


def _without(value: Any, path: list[str]) -> Any:
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {key: item for key, item in value.items() if key != path[0]}
    return value | {path[0]: _without(value[path[0]], path[1:])}


def _with_write_only(arm_type: ArmType, inputs: Properties, outputs: Properties) -> Properties:
    seen = outputs
    for path in arm_type.write_only:
        seen = _with(seen, inputs, path.split("."))
    return seen


def _with(value: Any, source: Any, path: list[str]) -> Any:
    if not (isinstance(source, dict) and isinstance(value, dict) and path[0] in source):
        return value
    found = source[path[0]]
    return value | {path[0]: found if len(path) == 1 else _with(value.get(path[0], {}), found, path[1:])}


def _project(old: Any, new: Any) -> Any:
    """Return `new` in the shape of `old`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _project(value, new[key]) for key, value in old.items() if key in new}
    if isinstance(old, list) and isinstance(new, dict):
        # a set of ids, which ARM returns as a map
        return [item for item in old if item in new] + [item for item in new if item not in old]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_project(a, b) for a, b in zip(old, new, strict=True)]
    return new


def resolve(path: str, inputs: Properties, subscription: str) -> str:
    """Return the ARM id, or the parent's, that a path of `azure_types` means for these inputs."""
    names = {"subscriptionId": subscription} | inputs
    arm_id = re.sub(r"{(\w+)}", lambda match: str(names[match[1]]).strip("/"), path)
    return "/" + arm_id.lstrip("/")


def path_inputs(arm_type: ArmType, arm_id: str) -> Properties | None:
    """Return the inputs in an ARM id, or None where it is not an id of this type."""
    literal = re.split(r"{(\w+)}", arm_type.path)
    pattern = "".join(
        re.escape(part) if i % 2 == 0 else f"(?P<{part}>{'.+' if literal[0] == '' and i == 1 else '[^/]+'})"
        for i, part in enumerate(literal)
    )
    match = re.fullmatch(pattern, arm_id, re.IGNORECASE)
    return match and {key: value for key, value in match.groupdict().items() if key != "subscriptionId"}


def same_location(location: str) -> str:
    """Return a location as ARM compares it: `West Europe` is `westeurope`."""
    return location.replace(" ", "").lower()
