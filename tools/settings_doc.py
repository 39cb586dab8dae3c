"""Writes docs/settings.md from stacks/settings/; with --check it fails if the page is out of date."""

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

Every setting of a stack, below `{PROJECT}:` in `Pulumi.<stack>.yaml`. A **required** setting of an optional
section, such as `existing.workspaceId`, is required only if the stack has the section.
This page is generated from `stacks/settings/`: `make docs`.

YAML and Pulumi change some values before the program sees them. It refuses what it recognises: a date that is
not in quotes, and a number from 2^53 on. It cannot recognise others, such as
`010`, which arrives as 8. Put dates, times and unusual numbers in quotes.

The program refuses example values: the account `myorg-myaccount`, an image digest or an id of zeros, and
addresses and domains that are reserved for documentation. An offline preview accepts them with a warning.

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
    """Return the suffix of a setting's path if it is a list or mapping of sections: `[]` or `.*`."""
    origin = typing.get_origin(field.annotation)
    if section_in(field.annotation) is None:
        return ""
    return "[]" if origin is list else ".*" if origin is dict else ""


def default(field: FieldInfo) -> str:
    """Return the text of a default on the page."""
    if field.is_required():
        return "**required**"
    if field.default in (None, {}, []):
        return "none"
    shown = json.dumps(field.default, default=str)
    if isinstance(field.default, str | IPv4Network):
        shown = shown.strip('"')
    return f"`{shown}`"


if __name__ == "__main__":
    sys.exit(main())
