"""Converts a Pulumi resource's inputs to an ARM document, and the document to outputs."""

import re
from typing import Any

from localcloud.arm import Document
from localcloud.providers.azure_types import ArmType
from localcloud.providers.properties import Properties

#: azure-native adds this input to a resource with a random name: its replacement may be made first.
RANDOM_NAME = "__createBeforeDelete"

#: The keys of an ARM document that are not in `properties`
#: (https://learn.microsoft.com/azure/azure-resource-manager/templates/resource-declaration).
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
    """Return the ARM document of a resource with these inputs."""
    body: Document = {"id": arm_id, "name": arm_id.rsplit("/", 1)[1], "type": arm_type.arm_type}
    own = {k: v for k, v in inputs.items() if k not in arm_type.parameters and k not in _NOT_IN_BODY}
    body |= {key: value for key, value in own.items() if key in _BESIDE_PROPERTIES}
    rest = {key: value for key, value in own.items() if key not in _BESIDE_PROPERTIES}
    body["properties"] = rest.get("properties", rest)
    return body


def to_outputs(body: Document, *, flat: bool) -> Properties:
    """Return the outputs of an ARM document; `flat` if the SDK's class has no `properties` input."""
    outputs = {key: value for key, value in body.items() if key != "properties"}
    return (body["properties"] | outputs) if flat else outputs | {"properties": body["properties"]}


def current_inputs(arm_type: ArmType, inputs: Properties, outputs: Properties) -> Properties:
    """Return the inputs with their values in `outputs`, for a refresh.

    It compares only what the program has set, and all tags: the service's defaults are not drift.
    """
    fixed = {*arm_type.parameters, *_NOT_IN_BODY, "type"}
    current = {}
    for key, value in inputs.items():
        if key in fixed:
            current[key] = value
        elif key == "tags" and key in outputs:
            current[key] = outputs[key]
        elif key in outputs:
            current[key] = _project(value, outputs[key])
    return current


def _project(old: Any, new: Any) -> Any:
    """Return `new` reduced to the keys of `old`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _project(value, new[key]) for key, value in old.items() if key in new}
    if isinstance(old, list) and isinstance(new, dict):
        # a list of ids, which ARM returns as a mapping
        return [item for item in old if item in new] + [item for item in new if item not in old]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_project(a, b) for a, b in zip(old, new, strict=True)]
    return new


def resolve(path: str, inputs: Properties, subscription: str) -> str:
    """Return the ARM id that a path of `azure_types` gives for these inputs."""
    names = {"subscriptionId": subscription} | inputs
    arm_id = re.sub(r"{(\w+)}", lambda match: str(names[match[1]]).strip("/"), path)
    return "/" + arm_id.lstrip("/")


def path_inputs(arm_type: ArmType, arm_id: str) -> Properties | None:
    """Return the inputs that an ARM id contains, or None if it is not an id of this type."""
    literal = re.split(r"{(\w+)}", arm_type.path)
    pattern = "".join(
        re.escape(part) if i % 2 == 0 else f"(?P<{part}>{'.+' if literal[0] == '' and i == 1 else '[^/]+'})"
        for i, part in enumerate(literal)
    )
    match = re.fullmatch(pattern, arm_id, re.IGNORECASE)
    return match and {key: value for key, value in match.groupdict().items() if key != "subscriptionId"}


def same_location(location: str) -> str:
    """Return a location in the form in which ARM compares it: `West Europe` as `westeurope`."""
    return location.replace(" ", "").lower()
