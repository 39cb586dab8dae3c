"""The schedule of an import: an Azure ML schedule whose job runs the importer."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import pulumi
from azure.core.exceptions import ResourceNotFoundError
from pulumi import contains_unknowns, dynamic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator

from components.dynamic.ownership import (
    MARK,
    OwnedInputs,
    claim,
    mark_of,
    observed_mark,
    say_kept,
    why_not_ours,
)
from components.dynamic.provider import ManagedProvider, Outputs, Properties
from components.dynamic.scheduled_jobs import spec_in
from components.dynamic.workspace import ChildId, WorkspaceRefArgs
from importer.spec.import_spec import Mode
from importer.spec.names import AssetName
from importer.spec.run_alerts import SINCE_TAG
from importer.spec.run_record import LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE
from importer.spec.schedule import check_cron, windows_time_zone
from importer.spec.scheduled_job import (
    CODE_VARIABLE,
    ENVIRONMENT_VARIABLE,
    IMAGE_VARIABLE,
    IMPORT_TAG,
    JOB_STEP,
    SPEC_VARIABLE,
    step_variables,
)

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import JobSchedule, PipelineJob

_PREFIX = "import_"

#: The environment variable of the job that carries each of these inputs: the job reads some of them, and a
#: refresh reads them all, as the service returns no other place that has them.
_VARIABLES = {
    "image": IMAGE_VARIABLE,
    "environment": ENVIRONMENT_VARIABLE,
    "code": CODE_VARIABLE,
    "identity_client_id": "AZURE_CLIENT_ID",
    "log_endpoint": LOG_ENDPOINT_VARIABLE,
    "log_rule": LOG_RULE_VARIABLE,
}

#: The properties that only the state has: the service does not return them.
_NOT_IN_THE_SERVICE = ("adopt", "run_on_create", "schedule_name", "asset_name", "mode", "scheduled_since")

#: The inputs that say when an import runs.
_TIMES = ("cron", "time_zone", "enabled")


class ScheduledSpec(BaseModel):
    """The fields of an `ImportSpec` that the schedule itself uses; the others are passed on as they are.

    The settings have validated all of them, and the job does it again.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)
    name: AssetName
    mode: Mode = "stream"
    connection: str


class ImportScheduleInputs(OwnedInputs):
    """The properties of a schedule that a program declares."""

    identity = frozenset({"workspace", "spec"})
    only_at_creation = frozenset({"adopt", "run_on_create"})

    spec: ScheduledSpec
    cron: Annotated[str, AfterValidator(check_cron)]
    time_zone: Annotated[str, AfterValidator(windows_time_zone)]
    enabled: bool = True
    run_on_create: bool = True
    #: Since when the schedule has had its times; `check` keeps the recorded value while they stay.
    scheduled_since: str | None = None
    image: str | None = None
    environment: str | None = None
    code: Annotated[str | None, Field(validate_default=True)] = None
    #: No argument sets it: it is declared so that a refresh shows a job that was moved to another compute.
    compute: str = "serverless"
    identity_client_id: str | None = None
    log_endpoint: str | None = None
    log_rule: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    @field_validator("code")
    @classmethod
    def _comes_from_one_place(cls, code: str | None, info: ValidationInfo) -> str | None:
        if not {"image", "environment"} <= info.data.keys():  # one of them is unknown
            return code
        has_image = info.data["image"] is not None
        if (info.data["environment"] is None, code is None) != (has_image, has_image):
            raise ValueError("expected either an image or both environment and code")
        return code

    @property
    def schedule_name(self) -> str:
        """The schedule's name in the workspace."""
        return schedule_name(self.spec.name)

    @property
    def arm_id(self) -> ChildId:
        """The ARM id."""
        return ChildId(self.workspace, "schedules", self.schedule_name)


class ImportScheduleProvider(ManagedProvider[ImportScheduleInputs]):
    """A JobSchedule of a pipeline with one command, because Azure ML cannot schedule a bare command."""

    inputs = ImportScheduleInputs
    foreseen = frozenset({"schedule_name", "asset_name", "mode"})

    def check(self, olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Validate, keep `scheduled_since` while the times stay, and add the names of schedule and asset."""
        result = super().check(olds, news)
        if not result.failures:
            since = _scheduled_since(result.inputs, olds)
            result.inputs |= {**_names(result.inputs), "scheduled_since": since}
        return result

    def start(self, inputs: ImportScheduleInputs) -> Outputs:
        """Create or adopt the schedule, and start the first import unless one has started already.

        An existing schedule may come from an earlier attempt that timed out. If that attempt also started the
        import, the schedule has a job, or the asset has a version.
        """
        client = inputs.workspace.client()
        adopted = _claim(client, inputs, {})
        outputs = _put(client, inputs)
        if inputs.enabled and inputs.run_on_create and not (adopted and _has_run(client, inputs)):
            # A retried request has the same time and starts the same version again, which does nothing.
            client.schedules.trigger(
                inputs.schedule_name, schedule_time=_now(), retry_on_methods=frozenset({"POST"})
            )
        return outputs

    def bring_about(self, inputs: ImportScheduleInputs, state: Properties) -> Outputs:
        """Create or replace the schedule, unless it belongs to another stack; its earlier jobs stay."""
        client = inputs.workspace.client()
        _claim(client, inputs, state)
        return _put(client, inputs)

    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the live values of the declared properties, without what the service adds."""
        schedule = _find(arm_id.workspace.client(), arm_id.name)
        return None if schedule is None else _observed(schedule, arm_id, state)

    def remove(self, arm_id: ChildId, state: Properties) -> None:
        """Disable the schedule, as the service requires, and delete it, if it is ours."""
        client = arm_id.workspace.client()
        schedule = _find(client, arm_id.name)
        if schedule is None:
            return
        if why := why_not_ours(schedule.tags or {}, state):
            say_kept(arm_id, why)
            return
        try:
            if schedule.is_enabled is not False:
                client.schedules.begin_disable(arm_id.name).result()
            client.schedules.begin_delete(arm_id.name).result()
        except ResourceNotFoundError:
            return


def schedule_name(import_name: str) -> str:
    """Return the name that the schedule of an import has in the workspace."""
    return _PREFIX + import_name


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _find(client: "MLClient", name: str) -> "JobSchedule | None":
    try:
        schedule: JobSchedule = client.schedules.get(name)
    except ResourceNotFoundError:
        return None
    return schedule


def _claim(client: "MLClient", inputs: ImportScheduleInputs, state: Properties) -> bool:
    """Return whether the schedule exists; an ImporterError if it does and is not ours."""
    schedule = _find(client, inputs.schedule_name)
    if schedule is not None:
        claim(inputs, schedule.tags or {}, state)
    return schedule is not None


def _put(client: "MLClient", inputs: ImportScheduleInputs) -> Outputs:
    """Create or replace the schedule, and return the computed outputs."""
    client.schedules.begin_create_or_update(_schedule(inputs)).result()
    return _names(inputs.properties())


def _has_run(client: "MLClient", inputs: ImportScheduleInputs) -> bool:
    """Return whether the import has run before: whether its schedule has a job or its asset a version."""
    jobs = client.jobs.list(scheduled_job_name=inputs.schedule_name, max_results=1)
    return any(True for _ in jobs) or any(True for _ in client.data.list(inputs.spec.name))


def _scheduled_since(props: Properties, olds: Properties) -> str:
    """Return since when the schedule has had its times: no run is due before that."""
    recorded: str | None = olds.get("scheduled_since")
    if recorded and all(props.get(name) == olds.get(name) for name in _TIMES):
        return recorded
    declared: str | None = props.get("scheduled_since")
    return declared or _now()


def _names(props: Properties) -> Outputs:
    """Return the outputs that follow from the import's specification; none while a part of it is unknown."""
    if contains_unknowns(props["spec"]):
        return {}
    spec = ScheduledSpec.model_validate(props["spec"])
    return {"schedule_name": schedule_name(spec.name), "asset_name": spec.name, "mode": spec.mode}


def _schedule(inputs: ImportScheduleInputs) -> "JobSchedule":
    from azure.ai.ml.entities import CronTrigger, JobSchedule

    since = {SINCE_TAG: inputs.scheduled_since} if inputs.scheduled_since else {}
    return JobSchedule(
        name=inputs.schedule_name,
        display_name=f"Import {inputs.spec.name}",
        trigger=CronTrigger(expression=inputs.cron, time_zone=inputs.time_zone),
        create_job=_job(inputs),
        is_enabled=inputs.enabled,
        tags={**inputs.tags, IMPORT_TAG: inputs.spec.name, **since, **inputs.mark},
    )


def _job(inputs: ImportScheduleInputs) -> "PipelineJob":
    """Return the pipeline of one command that runs the importer.

    It is built from entities, not with the `@pipeline` decorator, which keeps its pipeline in a global:
    Pulumi creates several schedules at once.
    """
    from azure.ai.ml import Input
    from azure.ai.ml.entities import (
        CommandComponent,
        Environment,
        ManagedIdentityConfiguration,
        PipelineJob,
        PipelineJobSettings,
    )

    component = CommandComponent(
        name=inputs.schedule_name,
        command=f'python -m importer run {inputs.spec.name} --version "${{{{inputs.trigger_time}}}}"',
        inputs={"trigger_time": Input(type="string")},
        environment=inputs.environment or Environment(image=inputs.image),
        code=inputs.code,
        is_deterministic=False,  # or the pipeline may reuse the output of an earlier run
    )
    node = component(trigger_time="${{parent.inputs.trigger_time}}")
    node.environment_variables = _environment(inputs)
    if inputs.identity_client_id:
        node.identity = ManagedIdentityConfiguration(client_id=inputs.identity_client_id)
    return PipelineJob(
        display_name=f"Import {inputs.spec.name}",
        inputs={"trigger_time": "${{creation_context.trigger_time}}"},
        jobs={JOB_STEP: node},
        settings=PipelineJobSettings(default_compute=inputs.compute),
        tags={**inputs.tags, IMPORT_TAG: inputs.spec.name},
    )


def _environment(inputs: ImportScheduleInputs) -> dict[str, str]:
    environment = {
        SPEC_VARIABLE: inputs.spec.model_dump_json(exclude_none=True),
        "AZURE_SUBSCRIPTION_ID": inputs.workspace.subscription_id,
        "AZURE_RESOURCE_GROUP": inputs.workspace.resource_group,
        "AZUREML_WORKSPACE": inputs.workspace.name,
    }
    if inputs.identity_client_id:
        # Snowflake's connector reads this one, azure-identity the one below.
        environment["MANAGED_IDENTITY_CLIENT_ID"] = inputs.identity_client_id
    given = {variable: getattr(inputs, name) for name, variable in _VARIABLES.items()}
    return environment | {variable: value for variable, value in given.items() if value}


def _observed(schedule: "JobSchedule", arm_id: ChildId, state: Properties) -> Outputs:
    """Return the live values of the declared properties, and the values that only the state has."""
    environment = step_variables(schedule)
    # a person may have replaced the job by one without settings
    settings = getattr(schedule.create_job, "settings", None)
    tags = schedule.tags or {}
    live = {
        **{key: state[key] for key in _NOT_IN_THE_SERVICE if key in state},
        **observed_mark(tags, state),
        "workspace": arm_id.workspace.model_dump(mode="json"),
        "spec": spec_in(environment),
        # a recurrence, which a person can choose in the portal, has no expression
        "cron": getattr(schedule.trigger, "expression", None),
        "time_zone": schedule.trigger.time_zone if schedule.trigger else None,
        "enabled": schedule.is_enabled is not False,
        **{name: environment.get(variable) for name, variable in _VARIABLES.items()},
        "compute": (getattr(settings, "default_compute", None) or "").rsplit("/", 1)[-1],
        "tags": {key: tags[key] for key in state.get("tags", {}) if key in tags},
    }
    return {key: value for key, value in live.items() if value is not None}


@dataclass(kw_only=True)
class ImportScheduleArgs:
    """What a schedule runs, when, and as which identity."""

    workspace: pulumi.Input[WorkspaceRefArgs]
    spec: Mapping[str, pulumi.Input[Any]]
    """The fields of an `importer.spec.import_spec.ImportSpec`; the job validates most of them."""
    cron: pulumi.Input[str]
    time_zone: pulumi.Input[str]
    """An IANA or a Windows name."""
    image: pulumi.Input[str] | None = None
    """The container image of the importer. Without one, `environment` and `code` are required."""
    environment: pulumi.Input[str] | None = None
    """The ARM id of the importer's environment, from `ImporterCode`."""
    code: pulumi.Input[str] | None = None
    """The ARM id of the importer's code, from `ImporterCode`."""
    identity_client_id: pulumi.Input[str] | None = None
    """The client id of the import's user-assigned identity."""
    log_endpoint: pulumi.Input[str] | None = None
    """The data collection endpoint to which each run reports how it ended."""
    log_rule: pulumi.Input[str] | None = None
    """The immutable id of the data collection rule for these reports."""
    enabled: pulumi.Input[bool] = True
    run_on_create: pulumi.Input[bool] = True
    """Whether the first import starts when the schedule has been created."""
    scheduled_since: pulumi.Input[str] | None = None
    """The time to record when the schedule gets its times (ISO 8601, UTC), instead of the current time."""
    tags: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None
    adopt: pulumi.Input[bool] = False
    """Whether to take over an existing schedule that this stack did not create."""


class ImportSchedule(dynamic.Resource, module="azureml", name="ImportSchedule"):
    """An Azure ML schedule, `import_<name>`, whose job runs one import.

    An existing schedule with that name is an error, unless it has this resource's mark or `adopt` is set. A
    change of the import's name or of the workspace replaces the schedule; other changes are made in place.
    Deleting it leaves the imported versions, and a schedule that another stack has taken over.
    """

    schedule_name: pulumi.Output[str]
    asset_name: pulumi.Output[str]
    mode: pulumi.Output[str]
    scheduled_since: pulumi.Output[str]
    """Since when the schedule has had its times (ISO 8601, UTC)."""

    def __init__(
        self, name: str, args: ImportScheduleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        declared = {field.name: getattr(args, field.name) for field in fields(ImportScheduleArgs)}
        computed = dict.fromkeys(("schedule_name", "asset_name", "mode"))
        properties = {**declared, **computed, MARK: mark_of(name)}
        super().__init__(ImportScheduleProvider(), name, properties, opts)
