"""The inputs and outputs of a resource, read from the classes of Pulumi's SDK by reflection."""

import difflib
import importlib
import re
import sys
import threading
import typing
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any

import pulumi

from localcloud.providers.grpc_provider import Failure
from localcloud.providers.properties import UNKNOWN, Properties, join

_PRIMITIVES = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}


#: Enums that accept any string: those of known values only, and one whose values the SDK has wrong.
_OPEN_ENUM = re.compile("Known[A-Z].*|ConditionOperator")


@dataclass(frozen=True)
class Property:
    """One property of an SDK class."""

    #: the alternatives of its type (a union)
    types: tuple[Any, ...]
    required: bool
    #: its only value, if it distinguishes the members of a union
    constant: str | None


@dataclass(frozen=True)
class ResourceSchema:
    """The properties of a resource, by their names in the protocol."""

    inputs: dict[str, Property]
    outputs: dict[str, Property]


#: Two threads that import parts of one package at the same time can see a half-initialised module.
_importing = threading.Lock()


def resource_schema(package: str, module: str, name: str) -> ResourceSchema:
    """Return the schema of the SDK class `package.module.name`; the first call imports its module."""
    with _importing:
        return _read_schema(package, module, name)


@cache
def _read_schema(package: str, module: str, name: str) -> ResourceSchema:
    resource = getattr(importlib.import_module(f"{package}.{module}"), name)
    # from the class's own file: in the module, an input type of the same name may hide the arguments
    file = sys.modules[resource.__module__]
    arguments = next(getattr(file, exported) for exported in file.__all__ if exported.endswith("Args"))
    return ResourceSchema(inputs=_properties(arguments), outputs=_properties(resource))


@cache
def _properties(cls: type) -> dict[str, Property]:
    """Return the properties that `pulumi.getter` marks on an SDK class; empty for any other class."""
    found = {}
    for attribute in vars(cls).values():
        getter = getattr(attribute, "fget", None)
        if name := getattr(getter, "_pulumi_name", None):
            hints = typing.get_type_hints(
                getter, vars(sys.modules[cls.__module__]), {"Output": pulumi.Output, "T": NoneType}
            )
            types = _alternatives(hints["return"])
            constant = re.search(r"^\s*Expected value is '(.+)'\.", getter.__doc__ or "", re.MULTILINE)
            found[name] = Property(
                tuple(t for t in types if t is not NoneType),
                required=NoneType not in types,
                constant=constant and constant[1],
            )
    return found


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types in `hint` without Output, Input, Optional and Union."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is pulumi.Output:
        return _alternatives(args[0])
    if origin is not typing.Union:
        return (hint,)
    # Input[T] is T, an Awaitable of it or an Output of it
    plain = [arg for arg in args if typing.get_origin(arg) not in (Awaitable, pulumi.Output)]
    return tuple(dict.fromkeys(found for arg in plain for found in _alternatives(arg)))


def check(inputs: Properties, schema: dict[str, Property], path: str = "") -> list[Failure]:
    """Return the failures of `inputs` against the schema; a value that is not known yet passes."""
    failures = []
    for name in inputs.keys() - schema.keys():
        close = difflib.get_close_matches(name, schema, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        failures.append(Failure(join(path, name), f"unknown property {join(path, name)}{hint}"))
    for name, expected in schema.items():
        where = join(path, name)
        if name in inputs:
            failures += _check_value(inputs[name], expected, where)
        elif expected.required:
            failures.append(Failure(where, f"missing required property {where}"))
    return failures


def _check_value(value: Any, expected: Property, path: str) -> list[Failure]:
    if value == UNKNOWN:
        return []
    if expected.constant and value != expected.constant:
        return [Failure(path, f"{path} must be {expected.constant!r}, not {value!r}")]
    candidates = _candidates(value, expected.types)
    if not candidates:
        kinds = " or ".join(dict.fromkeys(_describe(t) for t in expected.types))
        return [Failure(path, f"{path} must be {kinds}; it is {_show(value)}")]
    results = [_check_type(value, candidate, path) for candidate in candidates]
    return min(results, key=len)


def _candidates(value: Any, types: tuple[Any, ...]) -> list[Any]:
    """Return the types that fit the shape of `value`: enums, not strings; the matching union member."""
    shaped = [t for t in types if _has_shape(value, t)]
    enums = [t for t in shaped if isinstance(t, type) and issubclass(t, Enum)]
    return enums or shaped


def _has_shape(value: Any, expected: Any) -> bool:
    origin = typing.get_origin(expected) or expected
    if origin is Sequence:
        return isinstance(value, list)
    if origin is Mapping:
        return isinstance(value, dict)
    if origin is typing.Literal:
        return value in typing.get_args(expected)
    if not isinstance(origin, type):
        return True
    if members := _properties(origin):
        return isinstance(value, dict) and all(
            value.get(name, UNKNOWN) in (UNKNOWN, member.constant)
            for name, member in members.items()
            if member.constant
        )
    # an enum is a string or a number too; the rest are assets, and objects of any shape
    primitive = next((base for base in origin.__mro__ if base in _PRIMITIVES), None)
    if isinstance(value, bool) or primitive is None:
        return primitive in (bool, None)
    return isinstance(value, (int, float) if primitive is float else primitive)


def _check_type(value: Any, expected: Any, path: str) -> list[Failure]:
    """Return the failures inside `value`, whose shape fits `expected`."""
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if origin is Sequence:
        item = Property(_alternatives(args[0]), required=True, constant=None)
        return [f for i, element in enumerate(value) for f in _check_value(element, item, f"{path}[{i}]")]
    if origin is Mapping:
        item = Property(_alternatives(args[1]), required=True, constant=None)
        return [f for key, element in value.items() for f in _check_value(element, item, join(path, key))]
    if (
        isinstance(expected, type)
        and issubclass(expected, Enum)
        and not _OPEN_ENUM.fullmatch(expected.__name__)
    ):
        allowed = [member.value for member in expected]
        if value not in allowed:
            return [Failure(path, f"{path} must be one of {', '.join(map(str, allowed))}, not {value!r}")]
        return []
    members = _properties(expected) if isinstance(expected, type) else {}
    return check(value, members, path) if members else []


def _describe(expected: Any) -> str:
    origin = typing.get_origin(expected) or expected
    if origin is Sequence:
        return "a list"
    if isinstance(origin, type) and issubclass(origin, Enum):
        return "a string"
    constants = [
        f"{name} {member.constant!r}" for name, member in _properties(origin).items() if member.constant
    ]
    return _PRIMITIVES.get(origin, "an object" + (f" with {constants[0]}" if constants else ""))


def _show(value: Any) -> str:
    """Return the kind of `value`, not the value: it may be a secret."""
    if isinstance(value, dict):
        return "another object"
    return "a list" if isinstance(value, list) else _PRIMITIVES[type(value)]


def preview(inputs: Properties, schema: dict[str, Property]) -> Properties:
    """Return the outputs with the values of `inputs`; all others of `schema`, at any depth, are unknown."""
    return {
        name: _preview_value(inputs[name], output.types) if name in inputs else UNKNOWN
        for name, output in schema.items()
    }


def _preview_value(value: Any, types: tuple[Any, ...]) -> Any:
    shaped = [t for t in types if _has_shape(value, t)]
    if value == UNKNOWN or not shaped:
        return UNKNOWN
    origin, args = typing.get_origin(shaped[0]), typing.get_args(shaped[0])
    if origin is Sequence:
        return [_preview_value(item, _alternatives(args[0])) for item in value]
    if origin is Mapping:
        return {key: _preview_value(item, _alternatives(args[1])) for key, item in value.items()}
    members = _properties(shaped[0]) if isinstance(shaped[0], type) else {}
    return value | preview(value, members) if members else value
