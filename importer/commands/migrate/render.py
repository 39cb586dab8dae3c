"""The settings as YAML, with each note as a comment above its entry."""

import textwrap

import yaml

from importer.commands.migrate.convert import Entry, Migration


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def render(migration: Migration) -> str:
    """Return the part of `Pulumi.<stack>.yaml` that the migration determines."""
    lines = [
        f"# By importer migrate: {len(migration.imports)} imports, {len(migration.left_out)} not migrated. "
        "Read each note before you deploy."
    ]
    if migration.left_out:
        lines += ["# Not migrated:", *_comments([f"- {line}" for line in migration.left_out])]
    if migration.is_empty:
        return "\n".join(lines) + "\n"
    lines += ["config:", "  ai-platform:snowflake:", *_entry(migration.snowflake, "    ")]
    if migration.imports:
        lines += ["  ai-platform:imports:"]
        for entry in migration.imports:
            lines += _entry(entry, "    ", is_item=True)
    return "\n".join(lines) + "\n"


def _entry(entry: Entry, indent: str, *, is_item: bool = False) -> list[str]:
    """Return the lines of an entry: its notes, then its settings, as a mapping or as an item of a list."""
    content = [entry.settings] if is_item else entry.settings
    # a query that YAML folds is hard to read, so a long line stays on one line
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
    # a note may quote a document: after a line break, the rest would not be a comment
    return ["# " + "".join(c if c.isprintable() else " " for c in note) for note in notes]
