"""Converts property values from and to the Pulumi protocol, and compares them."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime import rpc

Properties = dict[str, Any]

#: The protocol's placeholder for a value that is not known before the update.
UNKNOWN: str = rpc.UNKNOWN


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return the properties of a protocol message, without nulls and with whole numbers as int."""
    return {
        key: _plain(value) for key, value in json_format.MessageToDict(struct).items() if value is not None
    }


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Return `properties` as a protocol message."""
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def has_unknown(value: Any) -> bool:
    """Whether `value` is or contains a value that is not known yet."""
    return any(leaf == UNKNOWN for leaf in leaves(value))


def leaves(value: Any) -> Iterator[Any]:
    """Yield the values inside `value` that are neither dict nor list."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def at_path(value: Any, path: str) -> list[Any]:
    """Return the values at a dotted path below `value`, in every item of a list on the way."""
    if isinstance(value, list):
        return [found for item in value for found in at_path(item, path)]
    if not path:
        return [value]
    key, _, rest = path.partition(".")
    return at_path(value[key], rest) if isinstance(value, dict) and value.get(key) is not None else []


def changed_paths(old: Any, new: Any, path: str = "") -> dict[str, str]:
    """Return the property paths at which `new` differs from `old`, each with `add`, `delete` or `update`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        steps = [(join(path, key), old.get(key), new.get(key)) for key in keys]
    elif isinstance(old, list) and isinstance(new, list):
        pairs = enumerate(zip_longest(old, new))
        steps = [(f"{path}[{i}]", before, after) for i, (before, after) in pairs]
    else:
        return {} if old == new else {path: "add" if old is None else "delete" if new is None else "update"}
    return {found: kind for step, a, b in steps for found, kind in changed_paths(a, b, step).items()}


def join(path: str, key: str) -> str:
    """Return the property path of `key` below `path`."""
    if not key.replace("_", "a").isalnum():
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def overlay(base: Properties, top: Properties) -> Properties:
    """Return `base` with the values of `top` merged into it, dict by dict."""
    laid = base | top
    for key in base.keys() & top.keys():
        if isinstance(base[key], dict) and isinstance(top[key], dict):
            laid[key] = overlay(base[key], top[key])
    return laid


def settle(preview: Any, inputs: Any, olds: Any) -> Any:
    """Return `preview` with the old outputs `olds` in place of unknown values that are not inputs."""
    if isinstance(preview, dict):
        given, known = (side if isinstance(side, dict) else {} for side in (inputs, olds))
        return {key: settle(value, given.get(key), known.get(key)) for key, value in preview.items()}
    return olds if preview == UNKNOWN and inputs is None else preview
