"""The imports of a stack, in any workspace: one connection to Snowflake, and a schedule for each import."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pulumi

from components.dynamic.import_schedule import schedule_name
from components.dynamic.importer_code import ImporterCode, ImporterCodeArgs
from components.dynamic.snowflake_connection import (
    COLUMN_OPTIONS,
    SnowflakeConnection,
    SnowflakeConnectionArgs,
)
from components.dynamic.workspace import WorkspaceRefArgs
from components.imports.snowflake_import import SnowflakeImport, SnowflakeImportArgs
from importer.spec.run_alerts import LATE_TAG
from importer.spec.schedule import windows_time_zone
from importer.spec.scheduled_job import TIME_ZONE_TAG
from stacks.settings.imports import ImportSettings
from stacks.settings.stack import Settings


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where imports run, where they write, and which identity they have."""

    workspace: WorkspaceRefArgs
    connection: str
    """The name of the connection to Snowflake, which no other stack may have in this workspace."""
    datastore: pulumi.Input[str]
    clean_datastore: pulumi.Input[str]
    identity_client_id: pulumi.Input[str]
    """The client id, known once the identity's roles are in effect."""
    tags: Mapping[str, str]
    now: datetime
    """When the stack is deployed, in UTC: new times of a schedule count from then."""
    ready: Sequence[pulumi.Resource] = ()
    """What an import and its code depend on: with `runOnCreate`, it starts as soon as its schedule exists."""
    secret_uri: pulumi.Input[str] | None = None
    """The Key Vault secret of the sign-in to Snowflake."""
    log_endpoint: pulumi.Input[str] | None = None
    log_rule: pulumi.Input[str] | None = None
    """Where imports report how they ended, as in `ImportScheduleArgs`."""
    late_after_minutes: int | None = None
    """When the alerts call an import late; None if the stack makes no alerts on imports."""
    adopt: Collection[str] = ()
    """The names of existing connections and schedules that the stack takes over."""


class Imports:
    """A stack's connection to Snowflake and its imports, by name; `outputs` describe each import."""

    def __init__(self, settings: Settings, destination: Destination) -> None:
        self._settings = settings
        self._destination = destination
        self._connection = self._make_connection()
        self._code = self._make_code()
        self.by_name = {item.name: self._make_import(item) for item in settings.imports}

    @property
    def outputs(self) -> dict[str, dict[str, pulumi.Input[object]]]:
        """The names of each import's resources, and its mode."""
        return {
            name: {
                "schedule": item.schedule_name,
                "asset": item.asset_name,
                "mode": item.mode,
            }
            for name, item in self.by_name.items()
        }

    def _make_connection(self) -> SnowflakeConnection:
        destination = self._destination
        connection = SnowflakeConnection(
            f"{self._settings.name}-snowflake",
            SnowflakeConnectionArgs(
                workspace=destination.workspace,
                connection_name=destination.connection,
                adopt=destination.connection in destination.adopt,
                target=self._settings.snowflake_target(),
                secret_uri=destination.secret_uri,
                queries={item.name: item.query for item in self._settings.imports},
                column_options=_column_options(self._settings.imports),
            ),
        )
        if self._settings.uses_password:
            pulumi.log.warn(
                "imports sign in to Snowflake with a password. Snowflake is ending passwords for services: "
                "set snowflake.signIn to workload_identity",
                resource=connection,
            )
        return connection

    def _make_code(self) -> ImporterCode | None:
        """Register the importer's source, if there is no image of it."""
        if self._settings.importer_image is not None:
            return None
        return ImporterCode(
            f"{self._settings.name}-importer-code",
            ImporterCodeArgs(workspace=self._destination.workspace),
            # the deployer needs a role to upload it
            pulumi.ResourceOptions(depends_on=list(self._destination.ready)),
        )

    def _make_import(self, item: ImportSettings) -> SnowflakeImport:
        settings, destination = self._settings, self._destination
        return SnowflakeImport(
            f"{settings.name}-{item.name}",
            SnowflakeImportArgs(
                workspace=destination.workspace,
                spec=self._spec(item),
                cron=item.schedule,
                time_zone=windows_time_zone(item.time_zone),
                enabled=item.enabled,
                run_on_create=item.run_on_create,
                scheduled_since=f"{destination.now:%Y-%m-%dT%H:%M:%SZ}",
                image=settings.importer_image,
                environment=self._code.environment if self._code else None,
                code=self._code.code if self._code else None,
                identity_client_id=destination.identity_client_id,
                log_endpoint=destination.log_endpoint,
                log_rule=destination.log_rule,
                tags=_schedule_tags(item, destination),
                adopt=schedule_name(item.name) in destination.adopt,
            ),
            pulumi.ResourceOptions(depends_on=list(destination.ready)),
        )

    def _spec(self, item: ImportSettings) -> dict[str, pulumi.Input[Any]]:
        """Return the import's specification: its own options, and what all imports of the stack share."""
        unload = self._settings.snowflake.unload
        return {
            **item.options(),
            "connection": self._connection.connection_name,
            "datastore": self._destination.datastore,
            "clean_datastore": self._destination.clean_datastore,
            "storage_integration": unload.storage_integration if item.mode == "unload" else None,
        }


def _schedule_tags(item: ImportSettings, destination: Destination) -> dict[str, str]:
    tags = {**destination.tags, TIME_ZONE_TAG: item.time_zone}
    if destination.late_after_minutes is not None:
        tags[LATE_TAG] = str(destination.late_after_minutes)
    return tags


def _column_options(imports: Sequence[ImportSettings]) -> dict[str, dict[str, Any]]:
    """Return the options of each import that name columns, by the import's name."""
    return {
        item.name: {name: value for name, value in item.options().items() if name in COLUMN_OPTIONS}
        for item in imports
        if item.contract or item.incremental or item.curate or item.decimal
    }
