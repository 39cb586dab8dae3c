"""The settings as YAML, with each note as a comment above what it is about."""

import textwrap

import yaml

from importer.commands.migrate.convert import Entry, Migration


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as one."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def render(migration: Migration) -> str:
    """Return `Pulumi.<stack>.yaml` as far as the migration knows it."""
    lines = [
        f"# By importer migrate: imports {len(migration.imports)}, not taken over {len(migration.left_out)}. "
        "Read each note before you deploy."
    ]
    if migration.left_out:
        lines += ["# Not taken over:", *_comments([f"- {line}" for line in migration.left_out])]
    if migration.is_empty:
        return "\n".join(lines) + "\n"
    lines += ["config:", "  ai-platform:snowflake:", *_entry(migration.snowflake, "    ")]
    if migration.imports:
        lines += ["  ai-platform:imports:"]
        for entry in migration.imports:
            lines += _entry(entry, "    ", is_item=True)
    return "\n".join(lines) + "\n"


def _entry(entry: Entry, indent: str, *, is_item: bool = False) -> list[str]:
    """Return the lines of an entry: its notes, then its settings, as an item of a list or as they are."""
    content = [entry.settings] if is_item else entry.settings
    # one long line stays one, as a query broken by YAML is hard to read
    text = yaml.dump(
        content,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
        default_flow_style=False,
    )
    return textwrap.indent("\n".join([*_comments(entry.notes), text.rstrip("\n")]), indent).split("\n")


def _comments(notes: list[str]) -> list[str]:
    # what is quoted from a document may have line breaks, and the next line would be no comment
    return ["# " + "".join(c if c.isprintable() else " " for c in note) for note in notes]
