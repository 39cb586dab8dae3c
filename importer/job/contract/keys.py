"""The keys of any number of rows, and which of them repeat: exact, in bounded memory."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from importer.errors import ImporterError
from importer.job.contract.arrow_values import plain
from importer.spec.memory import CONTRACT_KEYS_MB

#: Of a key beyond this many bytes only the beginning and a hash are kept: grouping holds keys in memory.
_LONGEST, _BEGINNING = 256, 64


class Keys:
    """Tables of keys in a DuckDB database in a temporary folder; a key with a NULL in it is left out."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="importer-keys-")
        file = Path(self._folder.name) / "keys.duckdb"
        # one thread, as encoding and fetching take the cores
        options = {
            "memory_limit": f"{CONTRACT_KEYS_MB}MB",
            "threads": "1",
            "preserve_insertion_order": "false",
        }
        self._database = duckdb.connect(str(file), config={**options, "temp_directory": self._folder.name})
        self._schemas: dict[str, pa.Schema] = {}

    def add(self, name: str, columns: Sequence[pa.ChunkedArray]) -> None:
        """Add the keys of some rows, one column for each part of the key."""
        names = [f"c{n}" for n in range(len(columns))]
        rows = pa.table([_short(plain(column)) for column in columns], names=names)
        self._database.register("incoming", rows)
        whole = " AND ".join(f"{column} IS NOT NULL" for column in names)
        select = f"SELECT * FROM incoming WHERE {whole}"  # noqa: S608 - names of ours
        insert = f"INSERT INTO {name}" if name in self._schemas else f"CREATE TABLE {name} AS"
        with _out_of_space():
            self._database.execute(f"{insert} {select}")
        self._database.unregister("incoming")
        self._schemas[name] = pa.schema(zip(names, (column.type for column in columns), strict=True))

    def repeated(self, name: str, examples: int) -> tuple[int, pa.Table]:
        """Return how many rows repeat the key of an earlier row, and some such keys."""
        schema = self._schemas[name]
        columns = ", ".join(schema.names)
        twice = f"FROM {name} GROUP BY {columns} HAVING count(*) > 1"
        with _out_of_space():
            [(count,)] = self._database.query(
                f"SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n {twice})"  # noqa: S608
            ).fetchall()
            if not count:
                return 0, schema.empty_table()
            found = self._database.query(f"SELECT {columns} {twice} LIMIT {examples}").to_arrow_table()
        return int(count), found.cast(schema)

    def close(self) -> None:
        """Delete the database."""
        self._database.close()
        self._folder.cleanup()


def _short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of keys with the long ones cut to their beginning and a hash."""
    is_text = pa.types.is_string(column.type)
    if not (is_text or pa.types.is_binary(column.type)):
        return column
    if (pc.max(pc.binary_length(column)).as_py() or 0) <= _LONGEST:
        return column
    values = column.cast(pa.binary()).to_pylist()
    return pa.chunked_array([[_digest(value) for value in values]], pa.binary()).cast(column.type)


def _digest(value: bytes | None) -> bytes | None:
    if value is None or len(value) <= _LONGEST:
        return value
    beginning = value[:_BEGINNING].decode(errors="ignore").encode()
    return beginning + f" SHA-256 {sha256(value).hexdigest()}".encode()


@contextmanager
def _out_of_space() -> Iterator[None]:
    """Raise an ImporterError where DuckDB has no room left."""
    try:
        yield
    except duckdb.Error as error:
        # without its message, which may contain a key
        raise ImporterError(
            f"contract: unique: the keys do not fit in {CONTRACT_KEYS_MB} MB of memory and on the disk at "
            f"{tempfile.gettempdir()} ({type(error).__name__}): use a larger disk, or remove the rule"
        ) from None
