"""What the readers of Parquet files get from the folder of a version, as a data scientist downloads it."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from importer.lake.manifest import Manifest
from importer.spec.import_spec import Mode
from localcloud.home import Home
from tests.data_cloud import V1, blob_names, container, run, spec

mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon

#: Columns that readers would replace, if a folder were named `version=…`, `attempt=…` or `asset=…`.
QUERY = """SELECT 'own' || N AS "VERSION", N AS "attempt", N * 2 AS "Asset", 'd' AS "data"
FROM (SELECT 1 AS N UNION ALL SELECT 2 UNION ALL SELECT 3) ORDER BY N"""
NAMES = ["VERSION", "attempt", "Asset", "data"]
ROWS = [("own1", 1, 2, "d"), ("own2", 2, 4, "d"), ("own3", 3, 6, "d")]

Reader = Callable[[Path, list[Path]], pa.Table]


def of_pandas(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def by_duckdb(arguments: str) -> pa.Table:
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT * FROM read_parquet({arguments})")  # noqa: S608 - paths of the test
        assert found is not None
        return found.to_arrow_table()


#: How each reader reads an attempt's folder, or its parts.
READERS: dict[str, Reader] = {
    "pandas-folder": lambda attempt, _: of_pandas(pd.read_parquet(attempt / "data")),
    "pandas-file": lambda _, parts: of_pandas(pd.concat(map(pd.read_parquet, parts))),
    "pyarrow-folder": lambda attempt, _: pq.read_table(attempt / "data"),
    "pyarrow-file": lambda _, parts: pa.concat_tables(map(pq.read_table, parts)),
    "pyarrow-list": lambda _, parts: ds.dataset([str(part) for part in parts]).to_table(),
    "pyarrow-hive": lambda attempt, _: ds.dataset(attempt / "data", partitioning="hive").to_table(),
    "duckdb-glob": lambda attempt, _: by_duckdb(f"'{attempt}/data/*.parquet'"),
    "duckdb-hive": lambda attempt, _: by_duckdb(f"'{attempt}/data/*.parquet', hive_partitioning=true"),
    "mltable": lambda attempt, _: of_pandas(mltable.load(str(attempt)).to_pandas_dataframe()),
}


@pytest.fixture(scope="module", params=["stream", "unload"])
def attempt(request: pytest.FixtureRequest, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version's attempt, at the path that it has in the container."""
    mode: Mode = request.param
    asset = f"readers_{mode}"
    run(spec(asset, QUERY, mode=mode))
    root = tmp_path_factory.mktemp(mode)
    for name in blob_names(home, asset):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container(home).download_blob(name).readall())
    (manifest,) = (root / asset / V1).glob("*/_manifest.json")
    return manifest.parent


@pytest.mark.parametrize("reader", READERS)
def test_reader_gets_the_columns_and_values_of_the_query(attempt: Path, reader: str) -> None:
    manifest = Manifest.model_validate_json((attempt / "_manifest.json").read_text())
    table = READERS[reader](attempt, [attempt / part.name for part in manifest.files])
    assert table.column_names == NAMES
    assert sorted(tuple(row.values()) for row in table.to_pylist()) == ROWS


def test_folder_of_parts_holds_nothing_else(attempt: Path) -> None:
    manifest = Manifest.model_validate_json((attempt / "_manifest.json").read_text())
    held = sorted(path.relative_to(attempt).as_posix() for path in (attempt / "data").iterdir())
    assert held == sorted(part.name for part in manifest.files)
    assert "=" not in "".join(attempt.parts[-3:])
