"""The connections that imports used: the one that a stack can have, and what another one means."""

from collections.abc import Iterable
from typing import NamedTuple

from importer.commands.migrate.documents import Connection, Found
from importer.commands.migrate.snowflake_address import SnowflakeAddress, read_address
from importer.commands.migrate.table_names import partial_tables, with_whole_names

#: A user and a password, by the name that the client or Microsoft's page gives it.
_PASSWORDS = ("username_password", "usernamepassword", "sql_auth")


class _Snowflake(NamedTuple):
    where: str
    address: SnowflakeAddress
    credentials: str


class Connections:
    """Snowflake's connections by their addresses, and the others by their kinds.

    `refused` has a line for each connection that is none of Snowflake's, or that cannot be read.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        self._snowflake: dict[str, _Snowflake] = {}
        self._others: dict[str, str] = {}
        self.refused: list[str] = []
        for where, document in found:
            if isinstance(document, Connection):
                self._add(where, document)

    def _add(self, where: str, connection: Connection) -> None:
        name = connection.name
        if name in self._snowflake or name in self._others:
            self.refused.append(f"{where}: connection {name} was found before: this one is ignored")
            return
        if connection.type != "snowflake":
            self._others[name] = f"is of type {connection.type}, not Snowflake"
            self.refused.append(f"{where}: connection {name} has no equal: it {self._others[name]}")
            return
        credentials = connection.credentials.type if connection.credentials else "none"
        try:
            self._snowflake[name] = _Snowflake(where, read_address(connection.target or ""), credentials)
        except ValueError as error:
            self.refused.append(f"{where}: connection {name} cannot be read: {error}")

    def __contains__(self, name: str) -> bool:
        return name in self._snowflake

    def names(self) -> list[str]:
        """Return the names of Snowflake's connections."""
        return list(self._snowflake)

    def why_not(self, name: str) -> str | None:
        """Return why an import through the connection cannot be taken over; None where it can."""
        return self._others.get(name)

    def same_account(self, name: str, other: str) -> bool:
        """Return whether two of Snowflake's connections reach the same account at the same host."""
        one, two = self._snowflake[name].address, self._snowflake[other].address
        return (one.account, one.host) == (two.account, two.host)

    def settings(self, name: str) -> tuple[dict[str, str | bool | None], list[str]]:
        """Return the settings that a connection becomes, and its notes; what must be filled in is None."""
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
                "its user and password are not taken over: Snowflake has ended passwords for services; "
                "imports sign in by workload identity"
            )
        elif credentials != "none":
            notes.append(f"its credentials ({credentials}) are not taken over; imports sign in by identity")
        return settings, notes

    def session_notes(self, name: str, main: str | None) -> list[str]:
        """Return how an import runs otherwise, as the stack's connection is `main`."""
        if name not in self._snowflake:
            return [f"connection {name} is not known: it is taken for Snowflake's, as the stack has it"]
        if main is None or name == main:
            return []
        used, now = self._snowflake[name].address, self._snowflake[main].address
        notes = [f"connection {name} is {main} now"]
        if used.warehouse != now.warehouse:
            notes.append(f"ran in warehouse {used.warehouse or '?'}, runs in {now.warehouse or '?'}")
        if used.role != now.role:
            notes.append(f"ran as role {used.role or '?'}, runs as {now.role or '?'}, and that needs SELECT")
        return notes

    def with_whole_names(self, name: str, query: str) -> tuple[str, list[str]]:
        """Return the query with each table's database and schema, which the connection had, and its notes."""
        try:
            tables = partial_tables(query)
        except ValueError as error:
            return query, [f"{error}: give each its database and schema, as an import has no current ones"]
        if not tables:
            return query, []
        known = self._snowflake.get(name)
        if known is None or known.address.database is None or known.address.schema is None:
            shown = ", ".join(dict.fromkeys(".".join(part.name for part in table.parts) for table in tables))
            return query, [
                f"no database is known for {shown}: write database.schema.table, as an import has no current "
                "database"
            ]
        database, schema = known.address.database, known.address.schema
        whole = with_whole_names(query, tables, database, schema)
        note = f"tables without a database have the connection's now: {database}"
        if any(not table.db for table in tables):
            note += f", and {schema} where they had no schema"
        return whole, [note]
