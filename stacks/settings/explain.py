"""A setting that breaks a rule, explained in one line: its path, the rule and the value."""

import difflib
import json
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError


class SettingsError(Exception):
    """Invalid settings: a line for each, with its path, the rule and the value."""


def contradiction(path: list[int | str], rule: str, value: object = None) -> PydanticCustomError:
    """Return the error of a rule that spans settings; `path` is the setting to change, below the section."""
    return PydanticCustomError("contradiction", "{rule}", {"path": path, "rule": rule, "value": value})


def explain(
    error: ValidationError, project: str, stack: str, settings: type[BaseModel], secret_keys: frozenset[str]
) -> Iterator[str]:
    """Yield a line for each invalid setting of `stack`, without the values of those in `secret_keys`."""
    for detail in error.errors():
        path = [*detail["loc"], *_path_below(detail)]
        secret = f"{project}:{path[0]}" in secret_keys
        yield f"{project}:{_dotted(path)}: {_reason(detail, stack, settings, secret=secret)}"


def problem(project: str, path: list[int | str], rule: str, value: object) -> str:
    """Return the line of a setting that breaks a rule: its path, the rule and its value."""
    return f"{project}:{_dotted(path)}: {rule}; it is {_short(value)}"


def _reason(detail: ErrorDetails, stack: str, settings: type[BaseModel], *, secret: bool) -> str:
    if detail["type"] == "extra_forbidden":
        # the value of an unknown setting may be a secret: omit it
        return f"no such setting{_suggestion(detail['loc'], settings)}"
    if detail["type"] == "missing":
        return f"required setting is missing: add it to Pulumi.{stack}.yaml (docs/settings.md)"
    context = detail.get("ctx", {})
    value = context.get("value") if detail["type"] == "contradiction" else detail["input"]
    rule = str(context.get("error", detail["msg"]))
    if value is None:
        return rule
    return f"{rule}; it is {'(secret)' if secret else _short(value)}"


def _path_below(detail: ErrorDetails) -> list[int | str]:
    """Return the path of a contradiction below the section that found it."""
    path: list[int | str] = detail.get("ctx", {}).get("path", [])
    return list(path)


def _dotted(path: list[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _suggestion(path: tuple[int | str, ...], section: type[BaseModel]) -> str:
    """Return the setting of the same section that was probably meant."""
    for part in path[:-1]:
        if isinstance(part, str):
            section = _section_at(section, part)
    known = [to_camel(name) for name in section.model_fields]
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; the settings here are {', '.join(known)}"


def _section_at(section: type[BaseModel], key: str) -> type[BaseModel]:
    """Return the section, or the section of the items, that `key` holds; of a mapping `section` itself.

    The next part of a path below a mapping is one of its keys, and then one of its items' settings.
    """
    annotation = next((f.annotation for n, f in section.model_fields.items() if to_camel(n) == key), section)
    found = section_in(annotation)
    return section if found is None else found


def section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a setting's type is or contains, as an alternative, an item or a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = map(section_in, typing.get_args(annotation))
    return next((found for found in inner if found is not None), None)
