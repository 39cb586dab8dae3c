"""What one import wrote: the manifest beside its parts, and the MLTable file that makes them one table."""

import hashlib
import json
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

#: Written after all else: an attempt without it is not complete.
MANIFEST_NAME = "_manifest.json"
MLTABLE_NAME = "MLTable"


class Part(NamedTuple):
    """One Parquet file: its name in the attempt's folder, its rows by its own footer, its size."""

    name: str
    rows: int
    bytes: int


class ManifestColumn(NamedTuple):
    """A column as Snowflake and as Parquet (in Arrow's terms) have it."""

    name: str
    snowflake_type: str
    type: str


class Cast(NamedTuple):
    """A column whose values are of another type in Parquet than in the query, in Snowflake's terms."""

    column: str
    source: str
    target: str


class Written(NamedTuple):
    """What a query's rows became: the parts, their columns, and the rows that Snowflake reports of them."""

    parts: list[Part]
    columns: list[ManifestColumn]
    casts: list[Cast]
    rows: int
    query_id: str


class Manifest(BaseModel):
    """One complete attempt at an import."""

    model_config = ConfigDict(frozen=True)

    asset: str
    version: str
    attempt: str
    files: list[Part]
    rows: int
    bytes: int
    columns: list[ManifestColumn]
    casts: list[Cast] = []
    schema_hash: str
    query_hash: str
    query_id: str
    started: datetime
    finished: datetime
    importer_version: str


def schema_hash(columns: list[ManifestColumn]) -> str:
    """Return the SHA-256, in hex, of the names and types that a reader of the Parquet files sees."""
    return hashlib.sha256(json.dumps([[c.name, c.type] for c in columns]).encode()).hexdigest()


def mltable(parts: list[Part]) -> str:
    """Return the MLTable file of the parts: what Azure ML and `mltable.load` read.

    https://learn.microsoft.com/azure/machine-learning/reference-yaml-mltable
    """
    files = "".join(f"  - file: ./{part.name}\n" for part in parts)
    return f"type: mltable\npaths:\n{files}transformations:\n  - read_parquet\n"
