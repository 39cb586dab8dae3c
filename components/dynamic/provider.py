"""What every dynamic provider here shares: validation, diff, refresh, and errors of one line."""

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

#: The properties of a resource, as Pulumi passes them: untyped JSON, in a preview with `Unknown`s.
Properties = Mapping[str, Any]
Outputs = dict[str, Any]

_LONGEST_VALUE = 80


class ManagedInputs(BaseModel):
    """What a program declares of a managed resource."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: What the ARM id is made of; a change of it is another resource.
    identity: ClassVar[frozenset[str]]
    #: What matters only once, at creation.
    only_at_creation: ClassVar[frozenset[str]] = frozenset()

    workspace: WorkspaceRef

    @property
    @abstractmethod
    def arm_id(self) -> ChildId:
        """The ARM id."""

    def properties(self) -> Outputs:
        """Return the declared properties as JSON; Pulumi leaves out what is null, and so does this."""
        return self.model_dump(mode="json", exclude_none=True)


InputsT = TypeVar("InputsT", bound=ManagedInputs)


class ResourceError(Exception):
    """Why an operation failed, in one line that names the resource; Pulumi prints it as it is."""


class ManagedProvider(dynamic.ResourceProvider, Generic[InputsT]):
    """The life of a resource in an Azure ML workspace; a subclass has only its calls to the service.

    An instance holds no state, as it is pickled into the stack's; so does the path of the subclass's module,
    which must stay.
    """

    serialize_as_secret_always = False
    inputs: type[InputsT]

    @abstractmethod
    def bring_about(self, inputs: InputsT, state: Properties) -> Outputs:
        """Bring the resource to what is declared, whatever is there, and return the computed outputs.

        `state` is what Pulumi had recorded: empty for a resource that it does not know yet.
        """

    @abstractmethod
    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the live properties, declared and computed; None if the resource is gone.

        `state` is what an earlier refresh found, where it may be anything that a person made of it.
        """

    @abstractmethod
    def remove(self, arm_id: ChildId, state: Properties) -> None:
        """Delete the resource; one that is gone already is no error."""

    def configure(self, _req: dynamic.ConfigureRequest) -> None:
        """Silence the libraries: Pulumi calls this in its plugin process, and shows what that prints."""
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for good
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        logging.getLogger("snowflake").setLevel(logging.CRITICAL)
        logging.getLogger("grpc._server").addFilter(_is_unexpected)

    def check(self, _olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Return the inputs normalised, or each rule that one breaks; what is not known yet passes."""
        given = {key: value for key, value in news.items() if key != PROVIDER_KEY}
        try:
            return dynamic.CheckResult(self.inputs.model_validate(given).properties(), [])
        except ValidationError as error:
            # With a property, Pulumi would print that property's whole value first, and only top-level ones.
            failures = [dynamic.CheckFailure("", reason) for reason in _broken_rules(error)]
            return dynamic.CheckResult(given, failures)

    def changes(self, olds: Properties, news: Properties) -> list[str]:
        """Return the names of the declared properties that differ."""
        old, new = self._declared(olds), self._declared(news)
        names = sorted((old.keys() | new.keys()) - self.inputs.only_at_creation)
        return [name for name in names if old.get(name) != new.get(name)]

    def diff(self, id_: str, olds: Properties, news: Properties) -> dynamic.DiffResult:
        """Return what changes, and what of it makes it another resource.

        A preview that does not know every input yet shows an update: mostly the id stays the same.
        """
        changed = self.changes(olds, news)
        identity = self.inputs.identity.intersection(changed) if self._moves(id_, news) else ()
        return dynamic.DiffResult(changes=bool(changed), replaces=sorted(identity))

    def create(self, props: Properties) -> dynamic.CreateResult:
        """Create the resource, or adopt the one that has its name."""
        inputs = self._parse(props)
        with _reported(inputs.arm_id):
            computed = self.start(inputs)
        return dynamic.CreateResult(str(inputs.arm_id), inputs.properties() | computed)

    def start(self, inputs: InputsT) -> Outputs:
        """Bring about a resource that Pulumi does not know yet, and return the computed outputs."""
        return self.bring_about(inputs, {})

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        """Return what is live, also as inputs: a following diff then shows each property's drift."""
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
        """Delete the resource; twice is as good as once."""
        arm_id = ChildId.parse(id_)
        with _reported(arm_id):
            self.remove(arm_id, props)

    def inputs_of(self, props: Properties) -> Outputs:
        """Return what of a state stands for the program's inputs in the next diff."""
        return self._given(props)

    def _given(self, props: Properties) -> Outputs:
        return {name: value for name, value in props.items() if name in self.inputs.model_fields}

    def _parse(self, props: Properties) -> InputsT:
        return self.inputs.model_validate(self._given(props))

    def _declared(self, props: Properties) -> Outputs:
        """Return the declared part with today's defaults; as it is where that is not known or not valid."""
        try:
            return self._parse(props).properties()
        except ValidationError:
            return self._given(props)

    def _moves(self, arm_id: str, news: Properties) -> bool:
        """Return whether the ARM id becomes another; ids compare without case, and an unknown one stays."""
        try:
            return arm_id.lower() != str(self._parse(news).arm_id).lower()
        except ValidationError:  # something in it is not known yet
            return False


@contextmanager
def _reported(arm_id: ChildId) -> Iterator[None]:
    """Turn a service's error into a ResourceError: the resource, the service's message, the request's id."""
    try:
        yield
    except (AzureError, ImporterError) as error:
        from importer.lake.azure import (
            error_text,
        )  # azure-identity takes 0.5 s, and a preview needs none of it

        why = error_text(error) if isinstance(error, AzureError) else str(error)
        subject = f"{arm_id.collection}/{arm_id.name} in workspace {arm_id.workspace.name}"
        raise ResourceError(f"{subject}: {' '.join(why.split())}") from None


def _broken_rules(error: ValidationError) -> list[str]:
    """Return `path: rule; got value` of each failure that does not come from an unknown."""
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
    """Return whether gRPC should log an exception's traceback: a ResourceError's would add nothing."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, ResourceError)
