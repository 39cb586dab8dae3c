"""Writes docs/settings.md from stacks/settings/; with --check it says whether the page is up to date."""

import json
import sys
import typing
from collections.abc import Iterator
from ipaddress import IPv4Network

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from stacks.settings.explain import section_in
from stacks.settings.stack import PROJECT, Settings
from tools.page import write_or_check

HEAD = f"""# Settings

Every setting of a stack, below `{PROJECT}:` in `Pulumi.<stack>.yaml`. Those without a default are asked for.
This page is made from `stacks/settings/`: `make docs`.

| setting | default | meaning |
| --- | --- | --- |
"""


def main() -> int:
    """Write or check the page; return the exit code."""
    return write_or_check("settings.md", HEAD + "".join(rows(Settings, "")), "stacks/settings/")


def rows(section: type[BaseModel], path: str) -> Iterator[str]:
    """Yield a row for each setting of a section: the required ones first, those of inner sections last."""

    def place(item: tuple[str, FieldInfo]) -> tuple[bool, bool]:
        _, field = item
        return not field.is_required(), section_in(field.annotation) is not None

    for name, field in sorted(section.model_fields.items(), key=place):
        inner, items = section_in(field.annotation), items_of(field)
        setting = f"{path}{to_camel(name)}{items}"
        if inner is None or items or field.default is None:
            yield f"| `{setting}` | {default(field)} | {field.description} |\n"
        if inner is not None:
            yield from rows(inner, f"{setting}.")


def items_of(field: FieldInfo) -> str:
    """Return how a path goes on to the sections that a list or a mapping holds, if it does."""
    origin = typing.get_origin(field.annotation)
    if section_in(field.annotation) is None:
        return ""
    return "[]" if origin is list else ".*" if origin is dict else ""


def default(field: FieldInfo) -> str:
    """Return how the page shows a default."""
    if field.is_required():
        return ""
    if field.default in (None, {}, []):
        return "none"
    shown = json.dumps(field.default, default=str)
    if isinstance(field.default, str | IPv4Network):
        shown = shown.strip('"')
    return f"`{shown}`"


if __name__ == "__main__":
    sys.exit(main())
