"""What the dynamic providers share: validation, diff, refresh, and errors of one line."""

import logging
import os
import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from azure.core.exceptions import AzureError
from pulumi import dynamic
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.output import Unknown
from pydantic import BaseModel, ConfigDict, ValidationError

from components.dynamic.workspace import ChildId, WorkspaceRef
from importer.errors import ImporterError

#: The properties of a resource as Pulumi passes them: untyped JSON, with an `Unknown` for each value that a
#: preview does not know.
Properties = Mapping[str, Any]
Outputs = dict[str, Any]

_LONGEST_VALUE = 80


class ManagedInputs(BaseModel):
    """The properties of a managed resource that a program declares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The properties that the ARM id is made of: a change that alters the id replaces the resource.
    identity: ClassVar[frozenset[str]]
    #: The properties that matter only when the resource is created: a change of them is no difference.
    only_at_creation: ClassVar[frozenset[str]] = frozenset()
    #: The properties that are only checked: a change of them is no difference.
    only_checked: ClassVar[frozenset[str]] = frozenset()

    workspace: WorkspaceRef

    @property
    @abstractmethod
    def arm_id(self) -> ChildId:
        """The ARM id."""

    def properties(self) -> Outputs:
        """Return the declared properties as JSON, without null values, which Pulumi leaves out too."""
        return self.model_dump(mode="json", exclude_none=True)


InputsT = TypeVar("InputsT", bound=ManagedInputs)


class ResourceError(Exception):
    """Why an operation failed, in one line that names the resource; Pulumi prints the line unchanged."""


class ManagedProvider(dynamic.ResourceProvider, Generic[InputsT]):
    """The life of a resource in an Azure ML workspace; a subclass adds its calls to the service.

    Pulumi pickles the instance into the stack's state: the path of the subclass's module, and the attributes
    of the instance. So an instance has no attributes, and the module must keep its path.
    """

    serialize_as_secret_always = False
    inputs: type[InputsT]
    #: The outputs that follow from the inputs: `check` adds them to the inputs, so that a preview knows them.
    foreseen: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def bring_about(self, inputs: InputsT, state: Properties) -> Outputs:
        """Create the resource or bring it to the declared properties, and return the computed outputs.

        `state` is what Pulumi has recorded: empty for a resource that Pulumi does not know yet.
        """

    @abstractmethod
    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the live properties, declared and computed; None if the resource does not exist.

        `state` is what Pulumi has recorded: an earlier refresh may have put any change by a person into it.
        """

    @abstractmethod
    def remove(self, arm_id: ChildId, state: Properties) -> None:
        """Delete the resource, if it exists and is ours."""

    def configure(self, _req: dynamic.ConfigureRequest) -> None:
        """Silence the libraries in Pulumi's plugin process."""
        silence_libraries()

    def check(self, _olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Return the normalised inputs, or each rule that they break; unknown values pass."""
        added = self.foreseen | {PROVIDER_KEY}
        given = {key: value for key, value in news.items() if key not in added}
        try:
            return dynamic.CheckResult(self.inputs.model_validate(given).properties(), [])
        except ValidationError as error:
            # A failure that names its property would make Pulumi print the property's whole value.
            failures = [dynamic.CheckFailure("", reason) for reason in _broken_rules(error)]
            return dynamic.CheckResult(given, failures)

    def changes(self, olds: Properties, news: Properties) -> list[str]:
        """Return the names of the declared properties whose values differ."""
        old, new = self._declared(olds), self._declared(news)
        ignored = self.inputs.only_at_creation | self.inputs.only_checked
        names = sorted((old.keys() | new.keys()) - ignored)
        return [name for name in names if old.get(name) != new.get(name)]

    def diff(self, id_: str, olds: Properties, news: Properties) -> dynamic.DiffResult:
        """Return whether properties change, and which of them replace the resource.

        Where a preview does not know every part of the new id, it shows an update, as ids rarely change.
        """
        changed = self.changes(olds, news)
        identity = self.inputs.identity.intersection(changed) if self._moves(id_, news) else ()
        return dynamic.DiffResult(changes=bool(changed), replaces=sorted(identity))

    def create(self, props: Properties) -> dynamic.CreateResult:
        """Create the resource, or adopt an existing one with the same id if that is ours."""
        inputs = self._parse(props)
        with _reported(inputs.arm_id):
            computed = self.start(inputs)
        return dynamic.CreateResult(str(inputs.arm_id), inputs.properties() | computed)

    def start(self, inputs: InputsT) -> Outputs:
        """Create or adopt a resource that Pulumi does not know yet, and return the computed outputs."""
        return self.bring_about(inputs, {})

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        """Return the live properties, also as inputs, so that a diff shows the drift of each property."""
        arm_id = ChildId.parse(id_)
        with _reported(arm_id):
            live = self.observe(arm_id, props)
        if live is None:
            return dynamic.ReadResult(None, {})
        live |= self._declared(live)
        return dynamic.ReadResult(id_, live, self.inputs_of(live))

    def update(self, _id: str, olds: Properties, news: Properties) -> dynamic.UpdateResult:
        """Update the resource in place."""
        inputs = self._parse(news)
        with _reported(inputs.arm_id):
            computed = self.bring_about(inputs, olds)
        return dynamic.UpdateResult(inputs.properties() | computed)

    def delete(self, id_: str, props: Properties) -> None:
        """Delete the resource, if it exists and is ours."""
        arm_id = ChildId.parse(id_)
        with _reported(arm_id):
            self.remove(arm_id, props)

    def inputs_of(self, props: Properties) -> Outputs:
        """Return the part of a state that stands for the program's inputs in the next diff."""
        return self._given(props) | {name: props[name] for name in self.foreseen if name in props}

    def _given(self, props: Properties) -> Outputs:
        return {name: value for name, value in props.items() if name in self.inputs.model_fields}

    def _parse(self, props: Properties) -> InputsT:
        return self.inputs.model_validate(self._given(props))

    def _declared(self, props: Properties) -> Outputs:
        """Return the declared part with its defaults, or unchanged where it is unknown or invalid."""
        try:
            return self._parse(props).properties()
        except ValidationError:
            return self._given(props)

    def _moves(self, arm_id: str, news: Properties) -> bool:
        """Return whether the ARM id changes; case does not matter, and an unknown id counts as unchanged."""
        try:
            return arm_id.lower() != str(self._parse(news).arm_id).lower()
        except ValidationError:  # a part of the id is unknown
            return False


def silence_libraries() -> None:
    """Silence what libraries print in Pulumi's plugin process: Pulumi shows everything that it prints."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - stays open as long as the process runs
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    logging.getLogger("snowflake").setLevel(logging.CRITICAL)
    logging.getLogger("grpc._server").addFilter(_is_unexpected)


@contextmanager
def _reported(arm_id: ChildId) -> Iterator[None]:
    """Raise a service's error as a ResourceError: the resource, the service's message and the request id."""
    try:
        yield
    except (AzureError, ImporterError) as error:
        # Importing azure-identity takes 0.5 s, and a preview does not need it.
        from importer.lake.azure import error_text

        why = error_text(error) if isinstance(error, AzureError) else str(error)
        raise ResourceError(f"{arm_id.subject}: {' '.join(why.split())}") from None


def _broken_rules(error: ValidationError) -> list[str]:
    """Return `path: rule; got value` for each failure whose value is known."""
    failures = [failure for failure in error.errors() if not isinstance(failure["input"], Unknown)]
    return [_broken_rule(failure) for failure in failures]


def _broken_rule(failure: Any) -> str:
    path = ".".join(str(part) for part in failure["loc"])
    rule = failure["msg"].removeprefix("Value error, ")
    if failure["type"] in ("missing", "extra_forbidden"):
        return f"{path}: {rule.lower()}"
    value = " ".join(str(failure["input"]).split())
    return f"{path}: {rule}; got {value[:_LONGEST_VALUE]!r}"


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Return whether gRPC should log an exception's traceback: of any exception but a ResourceError."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, ResourceError)
