"""The connection to Snowflake: registered in the workspace, and probed with the query of each import."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import pulumi
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from pulumi import contains_unknowns, dynamic
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

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
from components.dynamic.scheduled_jobs import scheduled_jobs
from components.dynamic.workspace import ChildId, WorkspaceRefArgs
from importer.errors import ImporterError
from importer.snowflake.deployer import deployer_sign_in
from importer.spec.import_spec import ImportOptions, Query
from importer.spec.names import AssetName
from importer.spec.snowflake_target import SnowflakeTarget

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import WorkspaceConnection

    from importer.snowflake.columns import DescribedColumn

SKIPPED = "skipped: the deployer has no sign-in to Snowflake"

#: The categories to register the connection under: the second if the service refuses the first.
_CATEGORIES = ("snowflake", "custom")

#: The properties that the answer to every query depends on.
_TARGET = SnowflakeTarget.model_fields.keys() - {"secret_uri", "concurrent_imports"}

_QUERIES = TypeAdapter(dict[AssetName, Query])

#: The options of an import that must fit the columns of its query, and the mode, which decides their types.
COLUMN_OPTIONS = ("mode", "nanoseconds", "decimal", "contract", "incremental", "curate")

#: The properties that only the state has: the service does not return them.
_NOT_IN_THE_SERVICE = ("adopt", "queries", "column_options", "columns", "observed_columns", "probe")

#: The columns of each import's query, by the import's name; a column has `name`, `type` and `nullable`.
Columns = dict[str, list[dict[str, Any]]]


class SnowflakeConnectionInputs(OwnedInputs, SnowflakeTarget):
    """The properties of a connection that a program declares."""

    identity = frozenset({"workspace", "connection_name"})
    only_checked = frozenset({"column_options"})
    only_at_creation = frozenset({"adopt"})

    #: https://learn.microsoft.com/azure/templates/microsoft.machinelearningservices/workspaces/connections
    connection_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")]
    queries: dict[AssetName, Query]
    column_options: dict[AssetName, dict[str, Any]] = Field(default_factory=dict)

    @property
    def arm_id(self) -> ChildId:
        """The ARM id."""
        return ChildId(self.workspace, "connections", self.connection_name)

    @property
    def target(self) -> SnowflakeTarget:
        """How to reach Snowflake."""
        return SnowflakeTarget.model_validate(self.model_dump(include=set(SnowflakeTarget.model_fields)))


class Probe(NamedTuple):
    """Snowflake's answer to each import's query: its columns, or why Snowflake refuses it."""

    described: dict[str, list["DescribedColumn"]]
    refusals: dict[str, str]

    @property
    def columns(self) -> Columns:
        """The columns of each query that Snowflake accepts."""
        from importer.snowflake.columns import columns_of

        return {
            name: [column._asdict() for column in columns_of(described)]
            for name, described in self.described.items()
        }

    @property
    def summary(self) -> str:
        """`ok`, or each refused query with Snowflake's message."""
        return "; ".join(f"imports[{name}].query: {why}" for name, why in self.refusals.items()) or "ok"

    def of(self, names: set[str]) -> "Probe":
        """Return the answers for the imports with these names."""
        return Probe(
            {name: described for name, described in self.described.items() if name in names},
            {name: why for name, why in self.refusals.items() if name in names},
        )


class SnowflakeConnectionProvider(ManagedProvider[SnowflakeConnectionInputs]):
    """A workspace connection without a secret, and the columns that the imports' queries return.

    `columns` are those of the last update, `observed_columns` those of the last refresh. If they differ, the
    diff shows an update, which records the new columns.
    """

    inputs = SnowflakeConnectionInputs

    def check(self, olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Validate, probe what has changed, and take over the columns that a refresh has found.

        So a preview fails where an update or a job would fail, and shows which columns have changed.
        """
        result = super().check(olds, news)
        if not result.failures:
            result.failures.extend(dynamic.CheckFailure("", why) for why in _problems(result.inputs, olds))
        if _differ(olds):
            seen = olds["observed_columns"]
            result.inputs |= {"columns": seen, "observed_columns": seen}
        return result

    def changes(self, olds: Properties, news: Properties) -> list[str]:
        """Return the declared properties that differ, and `columns` if a refresh has found other columns."""
        changed = super().changes(olds, news)
        return [*changed, "columns"] if _differ(olds) else changed

    def inputs_of(self, props: Properties) -> Outputs:
        """Return the declared properties, with both records of the columns if they differ."""
        records = ("columns", "observed_columns") if _differ(props) else ()
        return super().inputs_of(props) | {key: props[key] for key in records}

    def bring_about(self, inputs: SnowflakeConnectionInputs, state: Properties) -> Outputs:
        """Probe every query, then register the connection unless Snowflake refuses a new or changed query.

        A connection that belongs to another stack is an error. A query that has not changed does not stop the
        update, for example if its table was dropped: `probe` has Snowflake's message, and only that import
        fails.
        """
        client = inputs.workspace.client()
        existing = _find(client, inputs.connection_name)
        if existing is not None:
            claim(inputs, existing.metadata or {}, state)
        probe = probe_queries(inputs.target, inputs.queries)
        if probe and (refused := probe.of(_changed_queries(inputs.properties(), state))).refusals:
            raise ImporterError(refused.summary)
        columns = probe.columns if probe else _recorded(inputs.queries, state)
        _register(client, inputs)
        return {
            "columns": columns,
            "observed_columns": columns,
            "probe": probe.summary if probe else SKIPPED,
        }

    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the registered target, and the columns that the recorded queries return now.

        A query that Snowflake refuses is not an error here: it has no columns, and `probe` says why.
        """
        connection = _find(arm_id.workspace.client(), arm_id.name)
        if connection is None:
            return None
        metadata = connection.metadata or {}
        live = {
            "workspace": arm_id.workspace.model_dump(mode="json"),
            "connection_name": arm_id.name,
            **{key: value for key, value in metadata.items() if key in SnowflakeTarget.model_fields},
            **observed_mark(metadata, state),
            **{key: state[key] for key in _NOT_IN_THE_SERVICE if key in state},
        }
        try:
            target = SnowflakeTarget.from_metadata(metadata)
        except ValidationError:  # a person has changed the connection: the diff shows how
            return live
        probe = probe_queries(target, state["queries"])
        return live | {"observed_columns": probe.columns, "probe": probe.summary} if probe else live

    def remove(self, arm_id: ChildId, state: Properties) -> None:
        """Delete the connection, unless it belongs to another stack or an import still uses it."""
        client = arm_id.workspace.client()
        connection = _find(client, arm_id.name)
        if connection is None:
            return
        if why := why_not_ours(connection.metadata or {}, state) or _use_of(client, arm_id.name):
            say_kept(arm_id, why)
            return
        try:
            client.connections.delete(arm_id.name)
        except ResourceNotFoundError:
            return


def _find(client: "MLClient", name: str) -> "WorkspaceConnection | None":
    try:
        connection: WorkspaceConnection = client.connections.get(name)
    except ResourceNotFoundError:
        return None
    return connection


def _use_of(client: "MLClient", name: str) -> str | None:
    """Return which schedules still use the connection, as text; None if there are none.

    Stacks that are older than the marks may share one. The schedules of a deleted stack are gone by now.
    """
    users = [job.schedule for job in scheduled_jobs(client) if job.connection == name]
    return f"used by {', '.join(users)}" if users else None


def probe_queries(target: SnowflakeTarget, queries: Mapping[str, str]) -> Probe | None:
    """Describe each query as the deployer, in the importer's role; None if the deployer has no sign-in."""
    sign_in = deployer_sign_in()
    if sign_in is None:
        return None
    # Importing the connector and pyarrow takes a second, and a preview without changes probes nothing.
    from importer.snowflake.session import deployer_connection, describe
    from importer.snowflake.type_table import check_columns

    probe = Probe({}, {})
    with closing(deployer_connection(target, sign_in)) as connection:
        for name, query in queries.items():
            try:
                described = describe(connection, query)
                check_columns(described)
            except ImporterError as error:
                probe.refusals[name] = str(error)
            else:
                probe.described[name] = described
    return probe


def _changed_queries(props: Properties, state: Properties) -> set[str]:
    """Return the imports whose query has changed; all of them if the target has changed."""
    if any(props.get(name) != state.get(name) for name in _TARGET):
        return set(props["queries"])
    return _changed(props, state, "queries")


def _changed(props: Properties, state: Properties, property_: str) -> set[str]:
    """Return the imports for which a property has a new or another value."""
    now, before = props.get(property_) or {}, state.get(property_) or {}
    return {name for name, value in now.items() if before.get(name) != value}


def _problems(props: Properties, state: Properties) -> list[str]:
    """Return what Snowflake refuses in new or changed queries, and what does not fit their columns.

    Nothing while a needed value is unknown, or if nothing has changed.
    """
    known = {key: value for key, value in props.items() if not contains_unknowns(value)}
    if "queries" not in known:
        return []
    changed_queries = _changed_queries(known, state)
    changed = changed_queries | (_changed(known, state, "column_options") & known["queries"].keys())
    if not changed:
        return []
    try:
        target = SnowflakeTarget.model_validate({key: known[key] for key in _TARGET if key in known})
        queries = _QUERIES.validate_python({name: known["queries"][name] for name in changed})
        probe = probe_queries(target, queries)
    except ValidationError:
        return []
    except ImporterError as error:
        return [str(error)]
    if probe is None:
        return []
    refused = probe.of(changed_queries)
    return [
        *([refused.summary] if refused.refusals else []),
        *_misfits(probe, queries, known.get("column_options") or {}),
    ]


def _misfits(
    probe: Probe, queries: Mapping[str, str], options: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the options of imports that do not fit the columns of their queries."""
    from importer.job.misfits import misfits

    for name in sorted(probe.described.keys() & options.keys()):
        parsed = ImportOptions.model_validate({**options[name], "name": name, "query": queries[name]})
        for why in misfits(parsed, probe.described[name]):
            yield f"imports[{name}].{why}"


def _differ(props: Properties) -> bool:
    """Return whether the last refresh found other columns than the last update recorded."""
    return props.get("columns") != props.get("observed_columns")


def _recorded(queries: Mapping[str, str], state: Properties) -> Columns:
    """Return the recorded columns of the imports whose query has not changed."""
    columns, recorded = state.get("columns", {}), state.get("queries", {})
    return {
        name: columns[name]
        for name, query in queries.items()
        if name in columns and recorded.get(name) == query
    }


def _register(client: "MLClient", inputs: SnowflakeConnectionInputs) -> None:
    """Create or replace the connection, under the first category that the service accepts."""
    from azure.ai.ml.entities import NoneCredentialConfiguration, WorkspaceConnection

    refusals: list[HttpResponseError] = []
    for category in _CATEGORIES:
        connection = WorkspaceConnection(
            name=inputs.connection_name,
            type=category,
            target=f"{inputs.protocol}://{inputs.host}:{inputs.port}",
            credentials=NoneCredentialConfiguration(),
            metadata={**inputs.target.to_metadata(), **inputs.mark},
        )
        try:
            client.connections.create_or_update(connection)
        except HttpResponseError as error:
            if error.status_code != 400:
                raise
            refusals.append(error)
        else:
            return
    raise refusals[0]


@dataclass(kw_only=True)
class SnowflakeConnectionArgs:
    """How the importer reaches Snowflake, and the queries that it will run there."""

    workspace: pulumi.Input[WorkspaceRefArgs]
    connection_name: pulumi.Input[str]
    target: SnowflakeTarget
    """How to reach Snowflake, without `secret_uri`."""
    secret_uri: pulumi.Input[str] | None = None
    """The Key Vault secret of the sign-in; it may be known only once the vault has been created."""
    queries: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    """The query of each import, by the import's name."""
    column_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The `COLUMN_OPTIONS` of each import, by the import's name: checked against the columns of its query."""
    adopt: pulumi.Input[bool] = False
    """Whether to take over an existing connection that this stack did not create."""


class SnowflakeConnection(dynamic.Resource, module="azureml", name="SnowflakeConnection"):
    """A workspace connection that records how to reach Snowflake, and a probe of each import's query.

    The probe signs in as the deployer, in the importer's role. It proves that each query runs and that the
    import's options fit the query's columns. It records the columns, so that `pulumi preview --refresh` shows
    a column that was added, dropped or changed. If the deployer has no sign-in, the probe is skipped with a
    warning. An existing connection with the name is an error, unless it has this resource's mark or `adopt`
    is set.
    """

    connection_name: pulumi.Output[str]
    columns: pulumi.Output[dict[str, Any]]
    """The columns of each import's query (`name`, `type`, `nullable`) at the last update."""
    observed_columns: pulumi.Output[dict[str, Any]]
    """The columns at the last refresh."""
    probe: pulumi.Output[str]
    """`ok`, why the probe was skipped, or which queries Snowflake refuses."""

    def __init__(
        self, name: str, args: SnowflakeConnectionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties = {
            **args.target.model_dump(mode="json"),
            "secret_uri": args.secret_uri,
            "workspace": args.workspace,
            "connection_name": args.connection_name,
            "queries": args.queries,
            "column_options": args.column_options,
            "adopt": args.adopt,
            MARK: mark_of(name),
            **dict.fromkeys(("columns", "observed_columns", "probe")),
        }
        super().__init__(SnowflakeConnectionProvider(), name, properties, opts)
        if deployer_sign_in() is None:
            pulumi.log.warn(
                "the queries are not checked against Snowflake, because the deployer has no sign-in: set "
                "SNOWFLAKE_DEFAULT_CONNECTION_NAME, or SNOWFLAKE_USER with SNOWFLAKE_PASSWORD",
                resource=self,
            )
