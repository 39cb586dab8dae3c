"""The order in which an offline preview shows resources."""

import json

from tools.preview_text import in_order, json_in_order

URN = "urn:pulumi:dev::p::"
STACK = f"""\
+ pulumi:pulumi:Stack: (create)
    [urn={URN}pulumi:pulumi:Stack::p-dev]
"""
VAULT = f"""\
    + ai-platform:index:Vault: (create)
        [urn={URN}ai-platform:index:Vault::kv]
"""
KEY_VAULT = f"""\
        + azure-native:keyvault:Vault: (create) 🔒
            [urn={URN}ai-platform:index:Vault$azure-native:keyvault:Vault::kv]
            note: "first: (create)
second"
"""
LAKE = f"""\
    + ai-platform:index:Lake: (create)
        [urn={URN}ai-platform:index:Lake::lake]
"""
HEAD = "Previewing update (dev):\n"
TAIL = """\
    --outputs:--
    vault: "kv"
Resources:
    + 4 to create
"""


def test_resources_are_sorted_by_name_with_components_before_their_children() -> None:
    expected = HEAD + STACK + VAULT + KEY_VAULT + LAKE + TAIL
    assert in_order(HEAD + LAKE + KEY_VAULT + STACK + VAULT + TAIL) == expected
    assert in_order(expected) == expected


def test_colored_resources_are_sorted_without_a_change_of_their_text() -> None:
    colored = [
        block.replace("+ ", "\x1b[38;5;2m+ \x1b[0m\x1b[38;5;2m").replace(": (create)", ": (create)\x1b[0m")
        for block in (LAKE, VAULT)
    ]
    assert in_order(HEAD + "".join(colored) + TAIL) == HEAD + colored[1] + colored[0] + TAIL


def test_text_without_resources_is_unchanged() -> None:
    for text in ("", "error: no stack\n", HEAD + TAIL):
        assert in_order(text) == text


def test_steps_of_json_are_sorted_and_have_no_duration() -> None:
    steps = [{"op": "create", "urn": f"{URN}ai-platform:index:Lake::{name}"} for name in ("b", "a")]
    printed = json_in_order(json.dumps({"steps": steps, "duration": 7}))
    assert json.loads(printed) == {"steps": steps[::-1]}
    assert json_in_order("error: no stack\n") == "error: no stack\n"
