"""One table of Snowflake's that arrives as a versioned data asset, on a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.component import Args, Tags
from components.dynamic.import_schedule import ImportSchedule, ImportScheduleArgs
from components.dynamic.workspace import WorkspaceRefArgs
from importer.spec.import_spec import DEFAULT_KEEP_VERSIONS, DEFAULT_MODE
from importer.spec.memory import DEFAULT_MEMORY_MB


@dataclass(kw_only=True)
class SnowflakeImportArgs(Args):
    """What an import needs from outside."""

    workspace: pulumi.Input[WorkspaceRefArgs]
    import_name: pulumi.Input[str]
    """The import's and the asset's name: small letters, digits and underscores."""
    query: pulumi.Input[str]
    """One SELECT statement."""
    connection: pulumi.Input[str]
    """The workspace connection that says how to reach Snowflake."""
    columns: pulumi.Input[Mapping[str, Any]]
    """The columns of each import's query, from the same `SnowflakeConnection`."""
    cron: pulumi.Input[str]
    time_zone: pulumi.Input[str]
    image: pulumi.Input[str] | None = None
    """The container image that has the importer; without one, `environment` and `code`."""
    environment: pulumi.Input[str] | None = None
    code: pulumi.Input[str] | None = None
    """The ARM ids of the importer's environment and code, as `ImporterCode` has them."""
    datastore: pulumi.Input[str] = "rawdata"
    mode: pulumi.Input[str] = DEFAULT_MODE
    storage_integration: pulumi.Input[str] | None = None
    """How Snowflake signs in to the lake where `mode` is `unload`; by a signature where it is absent."""
    memory_mb: pulumi.Input[int] = DEFAULT_MEMORY_MB
    keep_versions: pulumi.Input[int] = DEFAULT_KEEP_VERSIONS
    keep_days: pulumi.Input[int] | None = None
    incremental: pulumi.Input[Mapping[str, Any]] | None = None
    contract: pulumi.Input[Mapping[str, Any]] | None = None
    curate: pulumi.Input[Mapping[str, Any]] | None = None
    """As a stack's settings have them: docs/settings.md."""
    clean_datastore: pulumi.Input[str] = "cleandata"
    """Where the clean asset lies, if `curate` makes one."""
    compute: pulumi.Input[str] = "serverless"
    identity_client_id: pulumi.Input[str] | None = None
    """The user-assigned identity that the import acts as."""
    log_endpoint: pulumi.Input[str] | None = None
    log_rule: pulumi.Input[str] | None = None
    """Where the import tells how it ended, as `ImportScheduleArgs` has them."""
    enabled: pulumi.Input[bool] = True
    run_on_create: pulumi.Input[bool] = True
    """Whether the first import starts at once, not at the schedule's first time."""
    tags: Tags | None = None


class SnowflakeImport(pulumi.ComponentResource):
    """A schedule that imports the result of one query as a new version of a data asset.

    Makes the Azure ML schedule `import_<import_name>`; its job runs the importer. Leaves to others the
    workspace connection, the datastore, and the roles of the identity that the import acts as. The versions
    that were imported stay when it is deleted.
    """

    schedule_name: pulumi.Output[str]
    asset_name: pulumi.Output[str]
    mode: pulumi.Output[str]
    scheduled_since: pulumi.Output[str]
    """When the schedule got the times that it has (ISO 8601, UTC)."""
    columns: pulumi.Output[list[Any]]
    """The query's columns (`name`, `type`, `nullable`); none where nobody could ask Snowflake."""

    def __init__(
        self, name: str, args: SnowflakeImportArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai-platform:index:SnowflakeImport", name, None, opts)
        args = SnowflakeImportArgs.of(args)
        schedule = ImportSchedule(
            f"{name}-schedule",
            ImportScheduleArgs(
                workspace=args.workspace,
                spec={
                    "name": args.import_name,
                    "connection": args.connection,
                    "datastore": args.datastore,
                    "query": args.query,
                    "mode": args.mode,
                    "storage_integration": args.storage_integration,
                    "memory_mb": args.memory_mb,
                    "keep_versions": args.keep_versions,
                    "keep_days": args.keep_days,
                    "incremental": args.incremental,
                    "contract": args.contract,
                    "curate": args.curate,
                    "clean_datastore": args.clean_datastore,
                },
                cron=args.cron,
                time_zone=args.time_zone,
                image=args.image,
                environment=args.environment,
                code=args.code,
                compute=args.compute,
                identity_client_id=args.identity_client_id,
                log_endpoint=args.log_endpoint,
                log_rule=args.log_rule,
                enabled=args.enabled,
                run_on_create=args.run_on_create,
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.schedule_name = schedule.schedule_name
        self.asset_name = schedule.asset_name
        self.mode = schedule.mode
        self.scheduled_since = schedule.scheduled_since
        # Output.all would make an Output of every value in the columns of every import
        columns = args.columns
        known = columns if isinstance(columns, pulumi.Output) else pulumi.Output.from_input(columns)
        self.columns = known.apply(
            lambda of_imports: pulumi.Output.from_input(args.import_name).apply(
                lambda name: list((of_imports or {}).get(name, []))
            )
        )
        self.register_outputs(
            {
                "schedule_name": self.schedule_name,
                "asset_name": self.asset_name,
                "mode": self.mode,
                "scheduled_since": self.scheduled_since,
                "columns": self.columns,
            }
        )
