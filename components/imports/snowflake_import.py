"""A table of Snowflake that arrives as a versioned data asset, on a schedule."""

from dataclasses import dataclass

import pulumi

from components.component import Args
from components.dynamic.import_schedule import ImportSchedule, ImportScheduleArgs


@dataclass(kw_only=True)
class SnowflakeImportArgs(Args, ImportScheduleArgs):
    """The arguments of the import's schedule."""


class SnowflakeImport(pulumi.ComponentResource):
    """A schedule that imports the result of one query as a new version of a data asset.

    Makes the Azure ML schedule `import_<name of the import>`, whose job runs the importer. Leaves to others
    the workspace connection, the datastore, and the roles of the identity that the import acts as. Deleting
    it leaves the imported versions.
    """

    schedule_name: pulumi.Output[str]
    asset_name: pulumi.Output[str]
    mode: pulumi.Output[str]
    scheduled_since: pulumi.Output[str]
    """Since when the schedule has had its times (ISO 8601, UTC)."""

    def __init__(
        self, name: str, args: SnowflakeImportArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai-platform:index:SnowflakeImport", name, None, opts)
        args = SnowflakeImportArgs.of(args)
        schedule = ImportSchedule(f"{name}-schedule", args, pulumi.ResourceOptions(parent=self))
        self.schedule_name = schedule.schedule_name
        self.asset_name = schedule.asset_name
        self.mode = schedule.mode
        self.scheduled_since = schedule.scheduled_since
        self.register_outputs(
            {
                "schedule_name": self.schedule_name,
                "asset_name": self.asset_name,
                "mode": self.mode,
                "scheduled_since": self.scheduled_since,
            }
        )
