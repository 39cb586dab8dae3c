"""What one import wrote: the manifest beside its parts, and the MLTable file that makes them one table."""

import hashlib
import json
import posixpath
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from importer.lake.contract_result import RuleResult
from importer.lake.incremental_step import Step

#: How a manifest names what lies beside the version's own folder: a part of an earlier version.
UP = "../../"

#: Written after all else: an attempt without it is not complete.
MANIFEST_NAME = "_manifest.json"
MLTABLE_NAME = "MLTable"


class Part(NamedTuple):
    """One Parquet file: its name, its rows by its own footer, its size.

    The name is its way from the attempt's folder: `../../version=…/attempt=…/…` for an earlier version's.
    """

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
    contract: list[RuleResult] = []
    step: Step | None = None
    """How it was made, where the import is incremental."""
    schema_hash: str
    query_hash: str
    query_id: str
    started: datetime
    finished: datetime
    importer_version: str
    source: str | None = None
    """The version that this one was made of by rules: `<asset>:<version>`."""
    rules_hash: str | None = None
    quarantine: list[Part] = []
    """The rows that the rules set aside, and how many of them for which reason; one may have several."""
    reasons: dict[str, int] = {}

    @property
    def quarantined(self) -> int:
        """How many rows the rules set aside."""
        return sum(part.rows for part in self.quarantine)


def part_path(folder: str, part: Part) -> str:
    """Return the blob that a part is which the manifest in `folder` lists."""
    return posixpath.normpath(folder + part.name)


def listed_versions(manifest: Manifest) -> set[str]:
    """Return the earlier versions of which a manifest lists parts."""
    names = (part.name for part in manifest.files if part.name.startswith(UP))
    return {name.split("/")[2].removeprefix("version=") for name in names}


def schema_hash(columns: list[ManifestColumn]) -> str:
    """Return the SHA-256, in hex, of the names and types that a reader of the Parquet files sees."""
    return hashlib.sha256(json.dumps([[c.name, c.type] for c in columns]).encode()).hexdigest()


def mltable(parts: list[Part], earlier: str = UP) -> str:
    """Return the MLTable file of the parts: what Azure ML and `mltable.load` read.

    Parts of earlier versions are below the address `earlier`.
    https://learn.microsoft.com/azure/machine-learning/reference-yaml-mltable
    """
    names = (f"./{p.name}" if not p.name.startswith(UP) else earlier + p.name[len(UP) :] for p in parts)
    files = "".join(f"  - file: {name}\n" for name in names)
    return f"type: mltable\npaths:\n{files}transformations:\n  - read_parquet\n"
