"""The settings of one import: what it does, and when."""

from typing import Annotated

from pydantic import AfterValidator, Field

from importer.spec.import_spec import ImportOptions
from importer.spec.schedule import check_cron, check_time_zone
from importer.spec.section import Section


class ImportSettings(ImportOptions, Section):
    """One import: its options, which the job gets, and its schedule."""

    schedule: Annotated[str, AfterValidator(check_cron)] = Field(
        description="Cron expression: minute, hour, `*`, `*`, weekday."
    )
    time_zone: Annotated[str, AfterValidator(check_time_zone)] = Field(
        default="UTC", description="Time zone of `schedule`, by its IANA or Windows name."
    )
    enabled: bool = Field(default=True, description="Whether the schedule runs the import.")
    run_on_create: bool = Field(
        default=True,
        description="Whether the first import starts when `pulumi up` has created the schedule.",
    )
