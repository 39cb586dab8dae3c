"""Raw rows to clean ones, a batch at a time, by DuckDB: in bounded memory, and shut off from all else."""

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

#: No statement reaches the network or a file but DuckDB's own
#: (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview). To divide by zero is an error,
#: not infinity (https://duckdb.org/docs/stable/configuration/overview). A batch is too small for two threads,
#: and finding duplicates takes memory for each.
_SHUT_OFF: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "ieee_floating_point_ops": "false",
    "threads": "1",
}


class Sorted(NamedTuple):
    """The rows of a batch: the clean ones, and as they were, with reasons, those that are set aside."""

    clean: pa.Table
    quarantined: pa.Table


class Engine:
    """Applies rules to the rows of one version; `first` is the number of a batch's first row in it."""

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
        """Return of each clean column the raw one that it is unchanged, else None, and its type in DuckDB."""
        names = self._raw.names
        return [
            (None if column.unchanged is None else names[column.unchanged], column.type)
            for column in self._plan.columns
        ]

    def learn_duplicates(self, batches: Iterable[tuple[int, pa.Table]]) -> None:
        """Find the good rows that another one stands for, for `sort` to set them aside.

        The keys of all good rows are on disk meanwhile. An ImporterError says that the memory is too little.
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
                "curate.deduplicate: there are too many keys for memoryMb: raise it"
            ) from None
        self._connection.execute("DROP TABLE keys")

    def sort(self, first: int, batch: pa.Table) -> Sorted:
        """Return the clean rows of a batch, and the others."""
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
        """Let the statements read a batch."""
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
    """Open an engine that takes so much memory itself, and what it needs besides in `folder`."""
    config = {
        **_SHUT_OFF,
        "memory_limit": f"{memory_bytes}B",
        "temp_directory": str(folder / "spilled"),
    }
    with closing(duckdb.connect(folder / "curate.duckdb", config=config)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        yield Engine(rules, raw, connection)
