"""The files that describe an attempt: its manifest, and the MLTable file that makes its parts one table."""

import hashlib
import json
import posixpath
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from importer.lake.contract_result import RuleResult
from importer.lake.incremental_step import Step

#: How the name of a part of an earlier version starts: the way from the attempt's folder to the asset's.
UP = "../../"

#: The folder of an attempt's parts. It holds nothing else, as pyarrow and Spark read every file of a folder.
#: No folder's name has a `=`, as readers take `name=value` for a column.
DATA = "data/"

#: Written last: an attempt without it is not complete.
MANIFEST_NAME = "_manifest.json"
MLTABLE_NAME = "MLTable"


class Part(NamedTuple):
    """One Parquet file: its name, the number of rows in its footer, its size.

    The name is relative to the attempt's folder: `data/…` for its own parts, and
    `../../<version>/<attempt>/data/…` for those of an earlier version.
    """

    name: str
    rows: int
    bytes: int


class ManifestColumn(NamedTuple):
    """A column with its type in Snowflake, and its type in the Parquet files as Arrow names it."""

    name: str
    snowflake_type: str
    type: str


class Cast(NamedTuple):
    """A column that was cast because Parquet does not hold its type: both types as Snowflake names them."""

    column: str
    source: str
    target: str


class Written(NamedTuple):
    """The result of writing a query's rows: the parts, their columns, and the row count of Snowflake."""

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
    """How an incremental import made the version."""
    schema_hash: str
    query_hash: str
    query_id: str
    started: datetime
    finished: datetime
    importer_version: str
    source: str | None = None
    """The raw version of a clean one: `<asset>:<version>`."""
    rules_hash: str | None = None
    quarantine: list[Part] = []
    """The files of rows that broke a rule; `reasons` counts them by reason, and a row may have several."""
    reasons: dict[str, int] = {}

    @property
    def quarantined(self) -> int:
        """How many rows are in quarantine."""
        return sum(part.rows for part in self.quarantine)

    def recipe_tags(self) -> dict[str, str]:
        """Return the tags that say what made the version: a query, or rules and the version they apply to."""
        if self.source is None:
            tags = {"query_hash": self.query_hash, "query_id": self.query_id}
            return tags | (self.step.tags() if self.step else {})
        return {
            "source": self.source,
            "rules_hash": self.rules_hash or "",
            "quarantined": str(self.quarantined),
        }


def part_path(folder: str, part: Part) -> str:
    """Return the path of a part in the container; `folder` is that of the attempt that lists it."""
    return posixpath.normpath(folder + part.name)


def listed_versions(manifest: Manifest) -> set[str]:
    """Return the earlier versions whose parts a manifest lists."""
    names = (part.name for part in manifest.files if part.name.startswith(UP))
    return {name.split("/")[2] for name in names}


def schema_hash(columns: list[ManifestColumn]) -> str:
    """Return the SHA-256, in hex, of the columns' names and types in the Parquet files."""
    return hashlib.sha256(json.dumps([[c.name, c.type] for c in columns]).encode()).hexdigest()


def mltable(parts: list[Part], earlier: str = UP) -> str:
    """Return the content of the MLTable file, from which Azure ML and `mltable.load` read the parts.

    `earlier` is the address of the asset's folder, for the parts of earlier versions.
    https://learn.microsoft.com/azure/machine-learning/reference-yaml-mltable
    """
    names = (f"./{p.name}" if not p.name.startswith(UP) else earlier + p.name[len(UP) :] for p in parts)
    files = "".join(f"  - file: {name}\n" for name in names)
    return f"type: mltable\npaths:\n{files}transformations:\n  - read_parquet\n"
