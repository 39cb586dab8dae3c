"""The settings of one import: what it reads, when, and what becomes of it."""

from typing import Annotated

from pydantic import AfterValidator, Field

from importer.spec.contract import Contract
from importer.spec.curate import Curate
from importer.spec.import_spec import (
    DEFAULT_KEEP_VERSIONS,
    DEFAULT_MODE,
    KeepDays,
    KeepVersions,
    Mode,
    Query,
)
from importer.spec.incremental import Incremental
from importer.spec.memory import DEFAULT_MEMORY_MB, MemoryMB
from importer.spec.names import AssetName
from importer.spec.schedule import check_cron, windows_time_zone
from importer.spec.section import Section


class ImportSettings(Section):
    """One import: a query of Snowflake that becomes versions of a data asset."""

    name: AssetName = Field(description="Name of the import and of its data asset.")
    query: Query = Field(description="One SELECT statement.")
    schedule: Annotated[str, AfterValidator(check_cron)] = Field(
        description="Cron expression: minute, hour, `*`, `*`, weekday."
    )
    time_zone: Annotated[str, AfterValidator(windows_time_zone)] = Field(
        default="UTC", description="Time zone of `schedule`, by its IANA or Windows name."
    )
    mode: Mode = Field(
        default=DEFAULT_MODE,
        description="`stream`: rows pass through the job; `unload`: Snowflake writes them to the lake.",
    )
    enabled: bool = Field(default=True, description="Whether the schedule fires.")
    run_on_create: bool = Field(default=True, description="Whether the first import starts with `pulumi up`.")
    memory_mb: MemoryMB = Field(
        default=DEFAULT_MEMORY_MB,
        description="Memory (MB) that the importer keeps to where rows pass through it.",
    )
    keep_versions: KeepVersions = Field(
        default=DEFAULT_KEEP_VERSIONS,
        description="How many versions stay; older ones are archived and their files deleted.",
    )
    keep_days: KeepDays | None = Field(
        default=None, description="For how many days versions stay, also more of them than `keepVersions`."
    )
    incremental: Incremental | None = Field(
        default=None, description="Reads only what is new: docs/imports.md."
    )
    contract: Contract | None = Field(
        default=None, description="What the rows must be like for a version to be registered."
    )
    curate: Curate | None = Field(default=None, description="Makes a clean asset of every version.")
