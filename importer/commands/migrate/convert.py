"""Converts the documents to the settings of one stack, with notes on what changes."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, assert_never

from pydantic import TypeAdapter, ValidationError

from importer.commands.migrate.connections import Connections
from importer.commands.migrate.documents import Connection, DataImport, Found, ImportSchedule, Inventory
from importer.commands.migrate.timing import Timing, read_timing
from importer.spec.names import AssetName
from importer.spec.query import normalise_query

_ASSET_NAME = TypeAdapter(AssetName)


class Entry(NamedTuple):
    """An entry of the settings, and the notes above it."""

    settings: dict[str, str | bool | None]
    notes: list[str]


#: The settings if no connection was found.
_FILL_IN = Entry(
    {"account": None, "warehouse": None, "role": None},
    ["no connection to Snowflake was found: fill in account, warehouse, role"],
)


@dataclass
class Migration:
    """The settings; `left_out` has a line for each document that is not migrated."""

    imports: list[Entry] = field(default_factory=list)
    snowflake: Entry = _FILL_IN
    left_out: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there are no settings."""
        return not self.imports and self.snowflake is _FILL_IN


class _Wanted(NamedTuple):
    """An import as it was declared, with or without a schedule."""

    where: str
    data: DataImport
    timing: Timing

    @property
    def name(self) -> str:
        """The name of the import and of its asset in the settings; a ValueError if it is too long."""
        name = re.sub(r"[^a-z0-9_]", "_", self.data.name.lower())
        try:
            return _ASSET_NAME.validate_python(name if name[:1].isalpha() else f"import_{name}")
        except ValidationError:
            raise ValueError("its name has more than 63 characters") from None

    def is_covered_by(self, other: "_Wanted") -> bool:
        """Return whether the other import reads the same rows, at the same times if this one is scheduled."""
        same_times = self.timing[:3] == other.timing[:3] or not self.timing.enabled
        return self.data.source == other.data.source and same_times


def convert(inventory: Inventory, now: datetime) -> Migration:
    """Return the settings of one stack for the imports of `inventory`."""
    connections = Connections(inventory.found)
    refused = [f"{where}: {reason}" for where, reason, _ in inventory.refused]
    migration = Migration(left_out=[*refused, *connections.refused])
    wanted = _wanted(inventory.found, now)
    uses = Counter(item.data.source.connection_name for item in wanted)
    main = max(connections.names(), key=lambda name: uses[name], default=None)
    if main is not None:
        migration.snowflake = Entry(*connections.settings(main))
        _leave_out_unused(connections, main, uses, migration)
    taken: dict[str, tuple[_Wanted, Entry]] = {}
    for item in wanted:
        try:
            if item.name not in taken:
                taken[item.name] = item, _entry(item, connections, main)
            else:
                _add_to(*taken[item.name], item)
        except ValueError as error:
            migration.left_out.append(f"{item.where}: import {item.data.name}: {error}")
    migration.imports.extend(entry for _, entry in taken.values())
    return migration


def _leave_out_unused(connections: Connections, main: str, uses: Counter[str], migration: Migration) -> None:
    for name in connections.names():
        if name != main and not uses[name]:
            migration.left_out.append(f"connection {name}: no import uses it, and the stack has {main}")


def _wanted(found: list[Found], now: datetime) -> list[_Wanted]:
    """Return the imports, scheduled ones first, so that the same import by hand adds no entry."""
    scheduled, by_hand = [], []
    for where, document in found:
        match document:
            case ImportSchedule():
                timing = read_timing(document.trigger, document.is_enabled is not False, now)
                scheduled.append(_Wanted(where, document.import_data, timing))
            case DataImport():
                by_hand.append(_Wanted(where, document, read_timing(None, True, now)))
            case Connection():
                pass
            case _:
                assert_never(document)
    return [*scheduled, *by_hand]


def _add_to(earlier: _Wanted, entry: Entry, item: _Wanted) -> None:
    """Note in an import's entry that it was found again; a ValueError if another import has its name."""
    if not item.is_covered_by(earlier):
        raise ValueError(
            f"{item.name} is also in {earlier.where}, with a different query or schedule: rename one of them"
        )
    entry.notes.insert(1, f"also in {item.where}")


def _entry(item: _Wanted, connections: Connections, main: str | None) -> Entry:
    """Return the settings of an import; a ValueError says why it cannot be migrated."""
    timing, connection = item.timing, item.data.source.connection_name
    query = normalise_query(_query(item.data, connections))
    if main is not None and connection in connections and not connections.same_account(connection, main):
        raise ValueError(
            f"connection {connection} reaches another account than {main}, and a stack reaches one: migrate "
            "its files separately, for another stack"
        )
    query, query_notes = connections.with_whole_names(connection, query)
    settings: dict[str, str | bool | None] = {"name": item.name, "query": query, "schedule": timing.cron}
    if timing.time_zone != "UTC":
        settings["timeZone"] = timing.time_zone
    if not timing.enabled:
        settings["enabled"] = False
    notes = [f"from {item.where}"]
    if item.name != item.data.name:
        notes.append(f"asset {item.data.name} becomes {item.name}: jobs that read it need the new name")
    notes += connections.session_notes(connection, main)
    return Entry(settings, [*notes, *query_notes, *timing.notes, *_without_equivalent(item.data)])


def _query(data: DataImport, connections: Connections) -> str:
    """Return the query of a data import; a ValueError says why Snowflake cannot run it."""
    source = data.source
    if not source.is_database:
        raise ValueError(f"it reads files (source type {source.type}), not a query")
    if why := connections.why_not(source.connection_name):
        raise ValueError(f"its connection {source.connection_name} {why}")
    if source.stored_procedure is not None:
        raise ValueError("it calls a stored procedure, and an import is one SELECT")
    if not source.query:
        raise ValueError("it has no query")
    return source.query


def _without_equivalent(data: DataImport) -> list[str]:
    notes = []
    if data.path is not None:
        shown = data.path.partition("?")[0]  # the query string could be a signature
        notes.append(f"path {shown} has no equivalent: each version has its own folder in the lake")
    if data.auto_delete_setting is not None:
        notes.append("auto_delete_setting has no equivalent: set keepVersions to how many versions to keep")
    names = [name for name in ("version", "description", "tags") if getattr(data, name)]
    if names:
        notes.append(f"no equivalent for its {', '.join(names)}")
    return notes
