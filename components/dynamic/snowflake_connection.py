"""How the importer reaches Snowflake, registered in the workspace and proven with each import's query."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import pulumi
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from pulumi import contains_unknowns, dynamic
from pydantic import StringConstraints, TypeAdapter, ValidationError

from components.dynamic.provider import ManagedInputs, ManagedProvider, Outputs, Properties
from components.dynamic.workspace import ChildId, WorkspaceRefArgs
from importer.errors import ImporterError
from importer.snowflake.columns import check_column_names
from importer.snowflake.deployer import deployer_sign_in
from importer.spec.import_spec import Query
from importer.spec.names import AssetName
from importer.spec.snowflake_target import SnowflakeTarget

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

SKIPPED = "skipped: the deployer has no sign-in to Snowflake"

#: The categories to register it under; the second where the service refuses the first.
_CATEGORIES = ("snowflake", "custom")

#: What the probe depends on.
_ASKED = (SnowflakeTarget.model_fields.keys() - {"secret_uri", "concurrent_imports"}) | {"queries"}

_QUERIES = TypeAdapter(dict[AssetName, Query])

#: Columns of an import's query, by import: `{"name", "type", "nullable"}` each.
Columns = dict[str, list[dict[str, Any]]]


class SnowflakeConnectionInputs(ManagedInputs, SnowflakeTarget):
    """What a program declares of a connection: the target, its name in the workspace, each import's query."""

    identity = frozenset({"workspace", "connection_name"})

    #: https://learn.microsoft.com/azure/templates/microsoft.machinelearningservices/workspaces/connections
    connection_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")]
    queries: dict[AssetName, Query]

    @property
    def arm_id(self) -> ChildId:
        """The ARM id."""
        return ChildId(self.workspace, "connections", self.connection_name)

    @property
    def target(self) -> SnowflakeTarget:
        """How to reach Snowflake."""
        return SnowflakeTarget.model_validate(self.model_dump(include=set(SnowflakeTarget.model_fields)))


class Probe(NamedTuple):
    """What Snowflake says to each import's query: its columns, or why it refuses it."""

    columns: Columns
    refusals: dict[str, str]

    @property
    def summary(self) -> str:
        """`ok`, or the refusals with the import of each."""
        return "; ".join(f"imports[{name}].query: {why}" for name, why in self.refusals.items()) or "ok"

    def of(self, names: set[str]) -> "Probe":
        """Return what Snowflake says to some of the queries."""
        return Probe(
            {name: columns for name, columns in self.columns.items() if name in names},
            {name: why for name, why in self.refusals.items() if name in names},
        )


class SnowflakeConnectionProvider(ManagedProvider[SnowflakeConnectionInputs]):
    """A workspace connection without a secret, and the columns that its queries return.

    `columns` are those of the last `pulumi up`, `observed_columns` those of the last refresh; where they
    differ, an update is due that records what is there now.
    """

    inputs = SnowflakeConnectionInputs

    def check(self, olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Validate, ask Snowflake about what is new, and take over the columns that a refresh has found.

        So a preview fails where an update would, and shows which columns are others by now.
        """
        result = super().check(olds, news)
        if not result.failures and any(olds.get(name) != result.inputs.get(name) for name in _ASKED):
            result.failures.extend(dynamic.CheckFailure("", why) for why in _refusals(result.inputs, olds))
        if _differ(olds):
            seen = olds["observed_columns"]
            result.inputs |= {"columns": seen, "observed_columns": seen}
        return result

    def changes(self, olds: Properties, news: Properties) -> list[str]:
        """Return the declared properties that differ, and `columns` where Snowflake's are others by now."""
        changed = super().changes(olds, news)
        return [*changed, "columns"] if _differ(olds) else changed

    def inputs_of(self, props: Properties) -> Outputs:
        """Return what the program declared, with both records of the columns where they differ."""
        records = ("columns", "observed_columns") if _differ(props) else ()
        return super().inputs_of(props) | {key: props[key] for key in records}

    def bring_about(self, inputs: SnowflakeConnectionInputs, state: Properties) -> Outputs:
        """Prove every query first, so that a connection is never registered that does not work.

        Except one that is as it was: a table that has gone is its own import's failure, and `probe` tells it.
        """
        probe = probe_queries(inputs.target, inputs.queries)
        if probe and (refused := probe.of(_asked_anew(inputs.properties(), state))).refusals:
            raise ImporterError(refused.summary)
        columns = probe.columns if probe else _recorded(inputs.queries, state)
        _register(inputs.workspace.client(), inputs)
        return {
            "columns": columns,
            "observed_columns": columns,
            "probe": probe.summary if probe else SKIPPED,
        }

    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the registered target, and the columns that the recorded queries return now.

        A query that Snowflake refuses by now is no error: its columns are gone, and `probe` says why.
        """
        try:
            connection = arm_id.workspace.client().connections.get(arm_id.name)
        except ResourceNotFoundError:
            return None
        metadata = connection.metadata or {}
        live = {
            "workspace": arm_id.workspace.model_dump(mode="json"),
            "connection_name": arm_id.name,
            **{key: value for key, value in metadata.items() if key in SnowflakeTarget.model_fields},
            **{
                key: state[key] for key in ("queries", "columns", "observed_columns", "probe") if key in state
            },
        }
        try:
            target = SnowflakeTarget.from_metadata(metadata)
        except ValidationError:  # a person made something else of it: the drift says it
            return live
        probe = probe_queries(target, state["queries"])
        return live | {"observed_columns": probe.columns, "probe": probe.summary} if probe else live

    def remove(self, arm_id: ChildId, _state: Properties) -> None:
        """Delete the connection."""
        try:
            arm_id.workspace.client().connections.delete(arm_id.name)
        except ResourceNotFoundError:
            return


def probe_queries(target: SnowflakeTarget, queries: Mapping[str, str]) -> Probe | None:
    """Ask Snowflake as the deployer, in the importer's role, about each query; None without a sign-in."""
    sign_in = deployer_sign_in()
    if sign_in is None:
        return None
    from importer.snowflake.session import deployer_connection, describe_query  # the connector takes 0.5 s

    probe = Probe({}, {})
    with closing(deployer_connection(target, sign_in)) as connection:
        for name, query in queries.items():
            try:
                described = describe_query(connection, query)
                check_column_names([column.name for column in described])
            except ImporterError as error:
                probe.refusals[name] = str(error)
            else:
                probe.columns[name] = [column._asdict() for column in described]
    return probe


def _asked_anew(props: Properties, state: Properties) -> set[str]:
    """Return the imports whose query is new, or is asked in another way than before."""
    queries, before = props["queries"], state.get("queries", {})
    if any(props.get(name) != state.get(name) for name in _ASKED - {"queries"}):
        return set(queries)
    return {name for name, query in queries.items() if before.get(name) != query}


def _refusals(props: Properties, state: Properties) -> list[str]:
    """Return why Snowflake would refuse what is declared anew; nothing where that cannot be known yet."""
    known = {key: value for key, value in props.items() if key in _ASKED and not contains_unknowns(value)}
    queries = known.pop("queries", {})
    anew = _asked_anew({**known, "queries": queries}, state)
    try:
        target = SnowflakeTarget.model_validate(known)
        probe = probe_queries(target, _QUERIES.validate_python(queries))
    except ValidationError:
        return []
    except ImporterError as error:
        return [str(error)]
    refused = probe.of(anew) if probe else None
    return [refused.summary] if refused and refused.refusals else []


def _differ(props: Properties) -> bool:
    """Return whether Snowflake's columns were others at the last refresh than at the last update."""
    return props.get("columns") != props.get("observed_columns")


def _recorded(queries: Mapping[str, str], state: Properties) -> Columns:
    """Return the recorded columns of the imports whose query is still the recorded one."""
    columns, recorded = state.get("columns", {}), state.get("queries", {})
    return {
        name: columns[name]
        for name, query in queries.items()
        if name in columns and recorded.get(name) == query
    }


def _register(client: "MLClient", inputs: SnowflakeConnectionInputs) -> None:
    """Create or replace the connection, under the first category that the service takes."""
    from azure.ai.ml.entities import NoneCredentialConfiguration, WorkspaceConnection

    refusals: list[HttpResponseError] = []
    for category in _CATEGORIES:
        connection = WorkspaceConnection(
            name=inputs.connection_name,
            type=category,
            target=f"{inputs.protocol}://{inputs.host}:{inputs.port}",
            credentials=NoneCredentialConfiguration(),
            metadata=inputs.target.to_metadata(),
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


class SnowflakeConnection(dynamic.Resource, module="azureml", name="SnowflakeConnection"):
    """A workspace connection that says how to reach Snowflake, and a probe of each import's query.

    The probe signs in as the deployer in the importer's role: it proves that each query runs, and records its
    columns, so that `pulumi preview --refresh` shows a column that appears, goes or changes its type. Where
    the deployer has no sign-in it is skipped, with a warning. Adopts a connection that has the name.
    """

    connection_name: pulumi.Output[str]
    columns: pulumi.Output[dict[str, Any]]
    """The columns of each import's query (`name`, `type`, `nullable`), as of the last update."""
    observed_columns: pulumi.Output[dict[str, Any]]
    """The same as of the last refresh."""
    probe: pulumi.Output[str]
    """`ok`, why it was skipped, or which query Snowflake refuses."""

    def __init__(
        self, name: str, args: SnowflakeConnectionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties = {
            **args.target.model_dump(mode="json"),
            "secret_uri": args.secret_uri,
            "workspace": args.workspace,
            "connection_name": args.connection_name,
            "queries": args.queries,
            **dict.fromkeys(("columns", "observed_columns", "probe")),
        }
        super().__init__(SnowflakeConnectionProvider(), name, properties, opts)
        if deployer_sign_in() is None:
            pulumi.log.warn(
                "the queries are not checked against Snowflake, as the deployer has no sign-in there: set "
                "SNOWFLAKE_DEFAULT_CONNECTION_NAME, or SNOWFLAKE_USER with SNOWFLAKE_PASSWORD",
                resource=self,
            )
