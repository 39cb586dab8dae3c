"""Writes the rows of a query into an attempt, in the mode of the import, and checks them on their way."""

from dataclasses import dataclass
from typing import assert_never

from snowflake.connector import SnowflakeConnection

from importer.errors import ImporterError
from importer.job.contract.enforce import Enforcement
from importer.job.stream import stream
from importer.job.unload import snowflake_access, unload
from importer.lake.attempt import Attempt
from importer.lake.manifest import Written
from importer.progress import Progress
from importer.snowflake.columns import DescribedColumn
from importer.snowflake.session import describe, execute
from importer.snowflake.type_table import TypeOptions, check_columns, check_options
from importer.spec.import_spec import ImportSpec


@dataclass(frozen=True)
class QueryReader:
    """Writes the rows of a query into an attempt; the contract sees them before they can be registered."""

    spec: ImportSpec
    connection: SnowflakeConnection
    attempt: Attempt
    contract: Enforcement
    progress: Progress

    def read(self, query: str) -> Written:
        """Write the rows of a query; an ImporterError if Snowflake reports another number of rows."""
        types = TypeOptions.of(self.spec)
        match self.spec.mode:
            case "stream":
                cursor = execute(self.connection, query)
                self._check(cursor.columns, types)
                written = stream(cursor, self.spec.memory_mb, types, self.attempt, self.contract)
            case "unload":
                columns = describe(self.connection, query)
                self._check(columns, types)
                self.contract.check_in_snowflake(self.connection, query)
                access = snowflake_access(self.spec.storage_integration, self.attempt, self.progress)
                written = unload(self.connection, query, columns, types, self.attempt, access, self.contract)
            case _:
                assert_never(self.spec.mode)
        rows = sum(part.rows for part in written.parts)
        if rows != written.rows:
            raise ImporterError(
                f"Snowflake reports {written.rows} rows, but {rows} were written; nothing is registered: "
                "import again"
            )
        return written

    def _check(self, columns: list[DescribedColumn], types: TypeOptions) -> None:
        """Raise an ImporterError if the query's columns fit neither Parquet nor the import's options."""
        check_columns(columns)
        check_options(columns, types)
        self.contract.check_columns(columns)

    def discard(self, written: Written) -> None:
        """Delete the parts of what was written."""
        for part in written.parts:
            self.attempt.delete(part.name)
