"""What one import is: the interface between the schedule that starts it and the importer that runs it."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from importer.spec.contract import Contract
from importer.spec.curate import Curate
from importer.spec.incremental import Incremental
from importer.spec.memory import DEFAULT_MEMORY_MB, MemoryMB
from importer.spec.names import AssetName, ColumnName, Identifier
from importer.spec.query import normalise_query

Query = Annotated[str, AfterValidator(normalise_query)]

#: How the rows get from Snowflake to the data lake.
Mode = Literal["stream", "unload"]


class ImportOptions(BaseModel):
    """What an import does: a stack's settings declare it, and the import's job gets it as it is declared.

    A setting that the job needs is a field here and nowhere else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: AssetName = Field(description="Name of the import and of its data asset.")
    query: Query = Field(description="The query to import: one SELECT statement that only reads.")
    mode: Mode = Field(
        default="stream",
        description="`stream`: the rows pass through the job; `unload`: Snowflake's warehouse writes them to "
        "the lake.",
    )
    memory_mb: MemoryMB = Field(
        default=DEFAULT_MEMORY_MB,
        description="Memory in MB that the importer may use while rows pass through it.",
    )
    keep_versions: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=30,
        description="Number of versions to keep; older versions are archived and their files are deleted.",
    )
    keep_days: Annotated[int, Field(ge=1, le=36500)] | None = Field(
        default=None,
        description="Number of days to keep every version, even if there are more than `keepVersions`.",
    )
    nanoseconds: bool = Field(
        default=False,
        description="Whether times keep nanoseconds, which Spark and mltable cannot read; only in `stream`.",
    )
    decimal: list[ColumnName] = Field(
        default=[],
        description="Columns of whole numbers to store as decimals: those with numbers beyond 64 bits.",
    )
    incremental: Incremental | None = Field(
        default=None, description="Imports only new and changed rows: docs/incremental.md."
    )
    contract: Contract | None = Field(
        default=None, description="Rules that the rows must meet before a version is registered."
    )
    curate: Curate | None = Field(default=None, description="Makes a clean asset from every version.")

    @field_validator("nanoseconds")
    @classmethod
    def _check_nanoseconds(cls, nanoseconds: bool, info: ValidationInfo) -> bool:
        if nanoseconds and info.data.get("mode") == "unload":
            raise ValueError("needs the mode stream: Snowflake unloads times in microseconds")
        return nanoseconds

    def options(self) -> dict[str, Any]:
        """Return the options alone, as JSON by the names of an `ImportSpec`."""
        # a subclass may have more fields and other aliases
        options: dict[str, Any] = TypeAdapter(ImportOptions).dump_python(self, mode="json", exclude_none=True)
        return options


class ImportSpec(ImportOptions):
    """One import as its job gets it: its options, where it reads and where it writes."""

    connection: str
    """The workspace connection that says how to reach Snowflake."""
    datastore: str = "rawdata"
    clean_datastore: str = "cleandata"
    """The datastore of the clean asset."""
    storage_integration: Identifier | None = None
    """How Snowflake's warehouse signs in to the data lake; without one, each import gives it a signature."""

    @field_validator("storage_integration")
    @classmethod
    def _check_mode(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("mode") == "stream":
            raise ValueError("is for mode unload: in mode stream Snowflake needs no access to the data lake")
        return name
