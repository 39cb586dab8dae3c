"""The Azure ML workspace: imports, connections and datastores to read, and data assets to register."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from azure.ai.ml import MLClient
from azure.ai.ml.constants import AssetTypes, ListViewType
from azure.ai.ml.entities import AzureBlobDatastore, CronTrigger, Data, Job, JobSchedule
from azure.core.exceptions import ResourceNotFoundError
from pydantic import ValidationError

from importer.errors import ImporterError
from importer.lake.azure import TIMEOUTS, calling, credential
from importer.lake.datastore import Datastore
from importer.lake.emulator import is_emulator
from importer.lake.manifest import Manifest
from importer.spec.import_spec import ImportSpec
from importer.spec.run_alerts import LateRule
from importer.spec.schedule import is_older, version_order, windows_time_zone
from importer.spec.scheduled_job import IMPORT_TAG, SPEC_VARIABLE, TIME_ZONE_TAG, step_variables
from importer.spec.snowflake_target import SnowflakeTarget

#: The statuses of a job that has ended without a result.
FAILED_STATUSES = ("Failed", "Canceled", "NotResponding")

_VARIABLES = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE")

#: The scheduled time at the end of a job's display name, `<schedule>-<time>`
#: (https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job).
_SCHEDULED = re.compile(r"-(\d{8}T\d{6}Z)$")


class ScheduledImport(NamedTuple):
    """An import as the workspace's schedule defines it; a person may have changed the schedule.

    `cron` is None if the schedule has another kind of trigger, `spec_json` if its job is not the importer's,
    `late_rule` if the import has no alerts.
    """

    name: str
    schedule: str
    cron: str | None
    time_zone: str
    is_enabled: bool
    spec_json: str | None
    late_rule: LateRule | None = None

    def spec(self) -> ImportSpec:
        """Return the import; an ImporterError says why the schedule's job cannot run it."""
        if self.spec_json is None:
            raise ImporterError(
                f"schedule {self.schedule}: its job has no {SPEC_VARIABLE}: the schedule was changed, "
                "deploy it again"
            )
        return _parse_spec(self.spec_json, self.name, f"schedule {self.schedule}: {SPEC_VARIABLE}")


class AssetVersion(NamedTuple):
    """A registered version of an asset."""

    version: str
    tags: dict[str, str]
    registered: datetime | None


class ImportJob(NamedTuple):
    """A job of an import: its status, and where Azure ML shows its log.

    `version` is that of the job's scheduled time; None if a person has given the job another name.
    """

    name: str
    status: str
    url: str | None
    started: datetime | None = None
    version: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether the job's status can still change."""
        return self.status != "Completed" and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether the job has ended without a result."""
        return self.status in FAILED_STATUSES


class Workspace:
    """The workspace that the environment names, called with the importer's identity."""

    def __init__(self) -> None:
        missing = [name for name in _VARIABLES if not os.environ.get(name)]
        if missing:
            raise ImporterError(
                f"environment variables are not set: {', '.join(missing)}; they name the workspace"
            )
        subscription, group, self._name = (os.environ[name] for name in _VARIABLES)
        self._paths = f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{self._name}"
        self._client = MLClient(
            credential(),
            subscription,
            group,
            self._name,
            enable_telemetry=False,
            show_progress=False,
            retry_total=4,
            **TIMEOUTS,
        )

    def spec(self, name: str) -> ImportSpec:
        """Return the import `name`: in a job the job's own, else the one in the workspace's schedule."""
        if text := os.environ.get(SPEC_VARIABLE):
            return _parse_spec(text, name, f"environment variable {SPEC_VARIABLE}")
        return self.scheduled(name).spec()

    def scheduled(self, name: str) -> ScheduledImport:
        """Return the import `name` as its schedule defines it."""
        known = {scheduled.name: scheduled for scheduled in self.imports()}
        if name not in known:
            names = ", ".join(known) or "none"
            raise ImporterError(f"workspace {self._name} has no import {name}; it has: {names}")
        return known[name]

    def imports(self) -> list[ScheduledImport]:
        """Return the imports that have a schedule in the workspace, sorted by name."""
        with calling(f"schedules of workspace {self._name}"):
            schedules = list(self._client.schedules.list(list_view_type=ListViewType.ALL))
        return sorted(_scheduled_imports(schedules), key=lambda scheduled: scheduled.name)

    def connection(self, name: str) -> SnowflakeTarget:
        """Return how the workspace's connection `name` reaches Snowflake."""
        with calling(f"connection {name} of workspace {self._name}"):
            metadata = self._client.connections.get(name).metadata
        try:
            return SnowflakeTarget.from_metadata(metadata or {})
        except ValidationError as error:
            raise ImporterError(f"connection {name} of workspace {self._name}: {_first(error)}") from None

    def datastore(self, name: str) -> Datastore:
        """Return where the workspace's datastore `name` keeps its blobs."""
        with calling(f"datastore {name} of workspace {self._name}"):
            found = self._client.datastores.get(name)
        if not isinstance(found, AzureBlobDatastore):
            raise ImporterError(
                f"datastore {name} of workspace {self._name} is of type {found.type}: use one of Blob storage"
            )
        uri = f"{self._paths}/datastores/{name}/paths/"
        return Datastore(
            name,
            found.account_name,
            found.container_name,
            found.protocol,
            found.endpoint,
            None if is_emulator(found.endpoint) else uri,
        )

    def all_versions(self, asset: str) -> set[str]:
        """Return all registered versions of an asset, including archived ones."""
        return {str(data.version) for data in self._list_versions(asset, ListViewType.ALL)}

    def versions(self, asset: str) -> list[AssetVersion]:
        """Return the versions of an asset that are not archived, newest first."""
        return _newest_first(self._list_versions(asset, ListViewType.ACTIVE_ONLY))

    def past_versions(self, asset: str) -> list[AssetVersion]:
        """Return all registered versions of an asset, including archived ones, newest first."""
        return _newest_first(self._list_versions(asset, ListViewType.ALL))

    def _list_versions(self, asset: str, view: ListViewType) -> list[Data]:
        with calling(f"asset {asset} of workspace {self._name}"):
            try:
                return list(self._client.data.list(asset, list_view_type=view))
            except ResourceNotFoundError:  # it has no version yet
                return []

    def version(self, asset: str, version: str) -> AssetVersion | None:
        """Return a version, archived or not; None if it is not registered."""
        with calling(f"asset {asset}:{version} of workspace {self._name}"):
            try:
                return _asset_version(self._client.data.get(asset, version))
            except ResourceNotFoundError:
                return None

    def register(self, manifest: Manifest, datastore: str, folder: str) -> None:
        """Register the attempt of `manifest`, in `folder` of `datastore`, as the asset's version."""
        older = [v.version for v in self.versions(manifest.asset) if is_older(v.version, manifest.version)]
        tags = {
            "rows": str(manifest.rows),
            "bytes": str(manifest.bytes),
            "schema_hash": manifest.schema_hash,
            "seconds": str(round((manifest.finished - manifest.started).total_seconds())),
            **manifest.recipe_tags(),
        }
        data = _Table(
            name=manifest.asset,
            version=manifest.version,
            path=f"{self._paths}/datastores/{datastore}/paths/{folder}",
            description=f"Clean rows of {manifest.source}" if manifest.source else None,
            tags={**tags, "previous_version": older[0]} if older else tags,
        )
        with calling(f"asset {manifest.asset}:{manifest.version} of workspace {self._name}"):
            self._client.data.create_or_update(data)

    def archive(self, asset: str, version: str) -> None:
        """Archive a version: it is no longer listed, but loads as long as its blobs exist."""
        with calling(f"asset {asset}:{version} of workspace {self._name}"):
            self._client.data.archive(asset, version)

    def jobs(self, scheduled: ScheduledImport) -> list[ImportJob]:
        """Return the jobs of an import, newest first."""
        with calling(f"jobs of workspace {self._name}"):
            jobs = list(self._client.jobs.list(scheduled_job_name=scheduled.schedule))
        # azure-ai-ml returns None for kinds of jobs that it does not support
        return [_import_job(job) for job in jobs if job and job.tags.get(IMPORT_TAG) == scheduled.name]

    def trigger(self, scheduled: ScheduledImport, at: datetime) -> str:
        """Start the job of a schedule for the time `at`, and return the job's name."""
        time = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with calling(f"schedule {scheduled.schedule} of workspace {self._name}"):
            return str(self._client.schedules.trigger(scheduled.schedule, schedule_time=time).job_name)


class _Table(Data):
    """A data asset of type mltable that is registered without downloading its MLTable file.

    For a plain `Data` of that type azure-ai-ml downloads the file from Azure's public addresses, and a JSON
    schema from the internet.
    """

    def _to_rest_object(self) -> Any:
        self.type = AssetTypes.MLTABLE
        return super()._to_rest_object()


def _scheduled_imports(schedules: Iterable[Any]) -> Iterator[ScheduledImport]:
    for schedule in schedules:
        tags = schedule.tags or {}
        if not isinstance(schedule, JobSchedule) or IMPORT_TAG not in tags:
            continue
        trigger = schedule.trigger
        yield ScheduledImport(
            name=tags[IMPORT_TAG],
            schedule=str(schedule.name),
            cron=trigger.expression if isinstance(trigger, CronTrigger) else None,
            time_zone=_time_zone(str(trigger.time_zone) if trigger else "UTC", tags.get(TIME_ZONE_TAG)),
            is_enabled=bool(schedule.is_enabled),
            spec_json=step_variables(schedule).get(SPEC_VARIABLE),
            late_rule=LateRule.of(tags),
        )


def _time_zone(live: str, written: str | None) -> str:
    """Return a schedule's time zone as the settings have it, unless a person has changed the schedule's."""
    try:
        return written if written and windows_time_zone(written) == windows_time_zone(live) else live
    except ValueError:
        return live


def _parse_spec(text: str, name: str, where: str) -> ImportSpec:
    try:
        spec = ImportSpec.model_validate_json(text)
    except ValidationError as error:
        raise ImporterError(f"{where}: {_first(error)}") from None
    if spec.name != name:
        raise ImporterError(f"{where} describes import {spec.name}, not {name}: run import {spec.name}")
    return spec


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    path = "".join(f"{part}: " for part in first["loc"])
    return path + first["msg"].removeprefix("Value error, ")


def _newest_first(found: Iterable[Data]) -> list[AssetVersion]:
    versions = (_asset_version(data) for data in found)
    return sorted(versions, key=lambda found: version_order(found.version), reverse=True)


def _asset_version(data: Data) -> AssetVersion:
    created = data.creation_context.created_at if data.creation_context else None
    return AssetVersion(str(data.version), dict(data.tags or {}), created)


def _import_job(job: Job) -> ImportJob:
    # a status may be a member of an enumeration, whose text is not its value
    status = str(getattr(job.status, "value", job.status))
    scheduled = _SCHEDULED.search(job.display_name or "")
    return ImportJob(
        str(job.name),
        status,
        _address(job.studio_url),
        job.creation_context.created_at if job.creation_context else None,
        scheduled[1] if scheduled else None,
    )


def _address(url: str | None) -> str | None:
    """Return where a job's log is; azure-ai-ml appends the studio's tenant to an address of a file too."""
    return url.partition("&tid=")[0] if url and url.startswith("file:") else url
