"""Turns raw rows into clean ones with DuckDB, batch by batch, in bounded memory and in a sandbox."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from importer.errors import ImporterError
from importer.job.curate.plan import RAW, REASONS, make_plan
from importer.spec.curate import Curate

#: No statement can reach the network, or a file other than DuckDB's own
#: (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview). Division by zero is an error,
#: not infinity (https://duckdb.org/docs/stable/configuration/overview). One thread is enough for a batch, and
#: each would take memory to find duplicates.
_SANDBOX: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "ieee_floating_point_ops": "false",
    "threads": "1",
}


class Sorted(NamedTuple):
    """The rows of a batch: the clean ones, and the raw ones that break a rule, with their reasons."""

    clean: pa.Table
    quarantined: pa.Table


class Engine:
    """Applies rules to the rows of one version, in batches; `first` is the number of a batch's first row."""

    def __init__(self, rules: Curate, raw: pa.Schema, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._raw = raw
        connection.execute("CREATE TABLE IF NOT EXISTS duplicates (row_number BIGINT)")
        self._fed = list(range(len(raw)))
        self._feed(0, raw.empty_table())
        self._plan = make_plan(rules, raw, connection)
        self._fed = self._plan.fed
        computed = connection.sql(self._plan.statement).to_arrow_table().schema
        self.clean_schema = pa.schema(
            (
                computed.field(column.sql) if column.unchanged is None else raw.field(column.unchanged)
            ).with_name(column.name)
            for column in self._plan.columns
        )
        self.quarantine_schema = raw.append(pa.field(REASONS, pa.list_(pa.string())))

    def column_types(self) -> list[tuple[str | None, str]]:
        """Return for each clean column its raw column, or None if it is computed, and its type in DuckDB."""
        names = self._raw.names
        return [
            (None if column.unchanged is None else names[column.unchanged], column.type)
            for column in self._plan.columns
        ]

    def learn_duplicates(self, batches: Iterable[tuple[int, pa.Table]]) -> None:
        """Find the rows with the same key as a row that is kept, so that `sort` can put them in quarantine.

        The keys of all rows that break no rule are kept on disk for this. An ImporterError says that there is
        not enough memory.
        """
        keys = self._plan.keys
        self._feed(0, self._raw.empty_table())
        self._connection.execute(f"CREATE TABLE keys AS {keys}")
        for first, batch in batches:
            self._feed(first, batch)
            self._connection.execute(f"INSERT INTO keys {keys}")
        names = self._connection.sql("SELECT * EXCLUDE (row_number, latest) FROM keys").columns
        place = f"PARTITION BY {', '.join(names)} ORDER BY latest DESC NULLS LAST, row_number"
        try:
            self._connection.execute(
                "INSERT INTO duplicates SELECT row_number FROM ("  # noqa: S608 - our own names
                f"SELECT row_number, row_number() OVER ({place}) AS place FROM keys"
                ") WHERE place > 1 ORDER BY row_number"
            )
        except duckdb.OutOfMemoryException:
            raise ImporterError(
                "curate.deduplicate: not enough memory to compare all keys: raise memoryMb"
            ) from None
        self._connection.execute("DROP TABLE keys")

    def sort(self, first: int, batch: pa.Table) -> Sorted:
        """Return the clean rows of a batch, and the rows that break a rule."""
        self._feed(first, batch)
        computed = self._connection.sql(self._plan.statement).to_arrow_table()
        columns = [
            computed.column(column.sql) if column.unchanged is None else batch.column(column.unchanged)
            for column in self._plan.columns
        ]
        clean, reasons = pa.table(columns, schema=self.clean_schema), computed.column("reasons")
        if reasons.null_count == len(reasons):
            return Sorted(clean, self.quarantine_schema.empty_table())
        is_clean = reasons.is_null()
        aside = pa.table([*batch.columns, reasons], schema=self.quarantine_schema)
        return Sorted(clean.filter(is_clean), aside.filter(pc.invert(is_clean)))

    def _feed(self, first: int, batch: pa.Table) -> None:
        """Register a batch as the table that the statements read."""
        numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
        fed = {f"r{i}": batch.column(i) for i in self._fed}
        duplicates = self._duplicates(first, batch.num_rows)
        self._connection.register(
            RAW,
            pa.table({**fed, "row_number": numbers, "is_duplicate": pc.is_in(numbers, value_set=duplicates)}),
        )

    def _duplicates(self, first: int, count: int) -> pa.Array:
        within = f"row_number BETWEEN {first} AND {first + count - 1}"
        found = self._connection.sql(f"SELECT row_number FROM duplicates WHERE {within}")  # noqa: S608 - numbers
        return found.to_arrow_table().column(0).combine_chunks()


@contextmanager
def open_engine(rules: Curate, raw: pa.Schema, folder: Path, memory_bytes: int) -> Iterator[Engine]:
    """Open an engine that takes up to `memory_bytes`, and spills to `folder` what does not fit."""
    config = {
        **_SANDBOX,
        "memory_limit": f"{memory_bytes}B",
        "temp_directory": str(folder / "spilled"),
    }
    with closing(duckdb.connect(folder / "curate.duckdb", config=config)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        yield Engine(rules, raw, connection)
