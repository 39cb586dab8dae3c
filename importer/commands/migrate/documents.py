"""The documents of Azure ML's data import, as `az ml` takes them or the client returns them.

Of a credential, only its type is read.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field


def _lower(value: object) -> str:
    # the text of a member of the client's enumerations differs from its value
    return str(getattr(value, "value", value)).lower()


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [] if value is None else [value]


Word = Annotated[str, BeforeValidator(_lower)]
Numbers = Annotated[list[int], BeforeValidator(_listed)]
Words = Annotated[list[Word], BeforeValidator(_listed)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True, coerce_numbers_to_str=True)


class Source(_Document):
    """The source of the rows."""

    type: Word = "file_system"
    connection: str
    query: str | None = None
    stored_procedure: str | None = None

    @property
    def is_database(self) -> bool:
        """Whether the source is a database, not files."""
        return self.type == "database"

    @property
    def connection_name(self) -> str:
        """The connection's name, from `azureml:<name>` or an ARM id."""
        return self.connection.removeprefix("azureml:").rpartition("/")[2]


class DataImport(_Document):
    """A data import (https://learn.microsoft.com/azure/machine-learning/how-to-import-data-assets)."""

    name: str
    source: Source
    path: str | None = None
    version: object = None
    description: object = None
    tags: object = None
    auto_delete_setting: object = None


class Frequency(StrEnum):
    """The unit in which a recurrence repeats."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Pattern(_Document):
    """The times at which a recurrence fires."""

    hours: Numbers = []
    minutes: Numbers = []
    week_days: Words = Field(default=[], validation_alias=AliasChoices("week_days", "weekdays"))
    month_days: Numbers = []


class Trigger(_Document):
    """When an import ran: a cron expression or a recurrence.

    Microsoft's reference and its schema differ in two names, so both are read
    (https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule-data-import).
    """

    type: Word
    expression: str | None = None
    frequency: Word | None = None
    interval: int = 1
    schedule: Pattern | None = Field(default=None, validation_alias=AliasChoices("schedule", "pattern"))
    start_time: datetime | None = None
    end_time: datetime | None = None
    time_zone: Annotated[str, BeforeValidator(lambda zone: getattr(zone, "value", zone) or "UTC")] = Field(
        default="UTC", validation_alias=AliasChoices("time_zone", "timezone")
    )


class ImportSchedule(_Document):
    """A schedule that imports (https://learn.microsoft.com/azure/machine-learning/how-to-schedule-data-import)."""

    name: str
    trigger: Trigger | None = None
    import_data: DataImport
    is_enabled: bool | None = None


class Credentials(_Document):
    """The type of a connection's credentials; the credentials themselves are not read."""

    type: Word = "none"


class Connection(_Document):
    """A connection (https://learn.microsoft.com/azure/machine-learning/how-to-connection)."""

    name: str
    type: Word
    target: str | None = None
    credentials: Credentials | None = None


Document = DataImport | ImportSchedule | Connection


class Found(NamedTuple):
    """A document, and where it was found."""

    where: str
    document: Document


class Refusal(NamedTuple):
    """A document that cannot be migrated, and why; `is_broken` if its owner must fix it."""

    where: str
    reason: str
    is_broken: bool = False


class Inventory(NamedTuple):
    """The documents to migrate, and those that cannot be."""

    found: list[Found]
    refused: list[Refusal]
