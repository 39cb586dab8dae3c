"""What one import is: the interface between the schedule that starts it and the importer that runs it."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from importer.spec.contract import Contract
from importer.spec.curate import Curate
from importer.spec.incremental import Incremental
from importer.spec.memory import DEFAULT_MEMORY_MB, MemoryMB
from importer.spec.names import AssetName, Identifier
from importer.spec.query import normalise_query

Query = Annotated[str, AfterValidator(normalise_query)]

#: How the rows get from Snowflake to the data lake; `stream`: through the job, `unload`: straight from
#: Snowflake's warehouse.
Mode = Literal["stream", "unload"]
DEFAULT_MODE: Mode = "stream"

#: How many versions of an asset stay, and for how many days; what either keeps stays.
KeepVersions = Annotated[int, Field(ge=1, le=1000)]
DEFAULT_KEEP_VERSIONS = 30
KeepDays = Annotated[int, Field(ge=1, le=36500)]


class ImportSpec(BaseModel):
    """One import: which query, through which connection, into which asset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: AssetName
    connection: str
    datastore: str = "rawdata"
    query: Query
    mode: Mode = DEFAULT_MODE
    storage_integration: Identifier | None = None
    """What opens the data lake to Snowflake's warehouse; None: a token for the one import."""
    keep_versions: KeepVersions = DEFAULT_KEEP_VERSIONS
    keep_days: KeepDays | None = None
    memory_mb: MemoryMB = DEFAULT_MEMORY_MB
    incremental: Incremental | None = None
    contract: Contract | None = None
    curate: Curate | None = None
    clean_datastore: str = "cleandata"
    """Where the clean asset lies."""

    @field_validator("storage_integration")
    @classmethod
    def _check_mode(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("mode") == "stream":
            raise ValueError("is for mode unload: in mode stream Snowflake needs no access to the data lake")
        return name
