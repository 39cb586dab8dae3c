"""What `pulumi preview` prints, in an order that does not depend on timing.

Pulumi shows resources as they are registered, and many are registered at the same time.
"""

import json
import re
from collections.abc import Iterator

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_RESOURCE = re.compile(r" *[-+~>=<]{0,2} *[\w-]+:[\w./-]*:[\w./-]+: \([\w -]+\).*")
_URN = re.compile(r" *\[urn=(.+)\]")
_OUTPUTS = re.compile(r" *--outputs:--")
_END = re.compile(r"Resources:")


def in_order(text: str) -> str:
    """Return the text of `pulumi preview --diff` with its resources in the order of their names."""
    head, *blocks, tail = _blocks(text)
    return head + "".join(sorted(blocks, key=_place)) + tail


def json_in_order(text: str) -> str:
    """Return what `pulumi preview --json` prints, sorted too, and without how long it took."""
    try:
        preview = json.loads(text)
    except json.JSONDecodeError:  # pulumi failed before the preview
        return text
    preview.pop("duration", None)
    preview.get("steps", []).sort(key=lambda step: place(step["urn"]))
    return json.dumps(preview, indent=4, ensure_ascii=False) + "\n"


def _blocks(text: str) -> Iterator[str]:
    """Yield what precedes the first resource, then each resource, then the outputs and the counts."""
    block: list[str] = []
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        plain = _COLOR.sub("", line).rstrip("\n")
        if _OUTPUTS.fullmatch(plain) or _END.fullmatch(plain):
            yield "".join(block)
            yield "".join(lines[number:])
            return
        if _RESOURCE.fullmatch(plain):
            yield "".join(block)
            block = []
        block.append(line)
    yield "".join(block)
    yield ""


def _place(block: str) -> tuple[bool, str, int, str]:
    found = _URN.search(_COLOR.sub("", block))
    return place(found[1] if found else "")


def place(urn: str) -> tuple[bool, str, int, str]:
    """Return a key to sort resources by: the stack first, then by name, components before their children."""
    return "::pulumi:pulumi:Stack::" not in urn, urn.rpartition("::")[2], urn.count("$"), urn
