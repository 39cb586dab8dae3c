"""The connections that imports used, and what changes as a stack has only one."""

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from importer.commands.migrate.documents import Connection, DataImport, Found, ImportSchedule
from importer.commands.migrate.snowflake_address import SnowflakeAddress, read_address
from importer.commands.migrate.table_names import partial_tables, with_whole_names

#: A user and a password, as the client, the YAML and Microsoft's page call it.
_PASSWORDS = ("username_password", "usernamepassword", "sql_auth")


class _Snowflake(NamedTuple):
    where: str
    address: SnowflakeAddress
    credentials: str


class Connections:
    """The connections to Snowflake with their addresses, and the types of the others.

    `refused` has a line for each connection that is of another type or cannot be read.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        self._snowflake: dict[str, _Snowflake] = {}
        self._others: dict[str, str] = {}
        self.refused: list[str] = []
        for where, document in found:
            match document:
                case Connection():
                    self._add(where, document)
                case DataImport() | ImportSchedule():
                    pass
                case _:
                    assert_never(document)

    def _add(self, where: str, connection: Connection) -> None:
        name = connection.name
        if name in self._snowflake or name in self._others:
            self.refused.append(f"{where}: connection {name} is declared twice: this one is ignored")
            return
        if connection.type != "snowflake":
            self._others[name] = f"is of type {connection.type}, not Snowflake"
            self.refused.append(f"{where}: connection {name} {self._others[name]}")
            return
        credentials = connection.credentials.type if connection.credentials else "none"
        try:
            self._snowflake[name] = _Snowflake(where, read_address(connection.target or ""), credentials)
        except ValueError as error:
            self.refused.append(f"{where}: connection {name} cannot be read: {error}")

    def __contains__(self, name: str) -> bool:
        return name in self._snowflake

    def names(self) -> list[str]:
        """Return the names of the connections to Snowflake."""
        return list(self._snowflake)

    def why_not(self, name: str) -> str | None:
        """Return why an import through the connection cannot be migrated; None if it can."""
        return self._others.get(name)

    def same_account(self, name: str, other: str) -> bool:
        """Return whether two connections to Snowflake reach the same account at the same host."""
        one, two = self._snowflake[name].address, self._snowflake[other].address
        return (one.account, one.host) == (two.account, two.host)

    def settings(self, name: str) -> tuple[dict[str, str | bool | None], list[str]]:
        """Return a connection's settings, None for what must be filled in, and its notes."""
        where, address, credentials = self._snowflake[name]
        settings: dict[str, str | bool | None] = {
            "account": address.account,
            "warehouse": address.warehouse,
            "role": address.role,
        }
        if address.host is not None:
            settings["host"] = address.host
        notes = [f"from {where}: connection {name}", *address.notes]
        if credentials in _PASSWORDS:
            notes.append(
                "its user and password are not migrated: Snowflake no longer accepts passwords of services; "
                "imports sign in by workload identity"
            )
        elif credentials != "none":
            notes.append(
                f"its credentials ({credentials}) are not migrated; imports sign in by workload identity"
            )
        return settings, notes

    def session_notes(self, name: str, main: str | None) -> list[str]:
        """Return notes on what changes for an import of the connection `name` if the stack has `main`."""
        if name not in self._snowflake:
            return [f"connection {name} was not found: the import uses the stack's connection to Snowflake"]
        if main is None or name == main:
            return []
        used, now = self._snowflake[name].address, self._snowflake[main].address
        notes = [f"connection {name} is replaced by {main}"]
        if used.warehouse != now.warehouse:
            notes.append(f"ran in warehouse {used.warehouse or '?'}, now runs in {now.warehouse or '?'}")
        if used.role != now.role:
            notes.append(f"ran as role {used.role or '?'}, now as {now.role or '?'}, which needs SELECT")
        return notes

    def with_whole_names(self, name: str, query: str) -> tuple[str, list[str]]:
        """Return the query with the connection's database and schema before each table, and its notes."""
        try:
            tables = partial_tables(query)
        except ValueError as error:
            return query, [
                f"{error}: write each as database.schema.table, since an import has no current database"
            ]
        if not tables:
            return query, []
        known = self._snowflake.get(name)
        if known is None or known.address.database is None or known.address.schema is None:
            shown = ", ".join(dict.fromkeys(".".join(part.name for part in table.parts) for table in tables))
            return query, [
                f"no database is known for {shown}: write database.schema.table, since an import has no "
                "current database"
            ]
        database, schema = known.address.database, known.address.schema
        whole = with_whole_names(query, tables, database, schema)
        note = f"added the connection's database {database} to tables without one"
        if any(not table.db for table in tables):
            note += f", and its schema {schema} to those without a schema"
        return whole, [note]
