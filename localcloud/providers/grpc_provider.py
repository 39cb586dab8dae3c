"""The base class of a Pulumi provider, in plain dicts, and the gRPC service that the engine calls.

Protocol: https://www.pulumi.com/docs/iac/guides/building-extending/providers/implementers/ and the comments
of `pulumi/runtime/proto/provider_pb2.pyi`.
"""
# ruff: noqa: ARG002, D102, N802 - the methods of ProviderService are named and documented by the protocol

import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import (
    ResourceProviderServicer,
    add_ResourceProviderServicer_to_server,
)

from localcloud.providers.journal import Journal
from localcloud.providers.properties import Properties, changed_paths, from_struct, settle, to_struct

_log = logging.getLogger("localcloud.providers")
_Method = TypeVar("_Method", bound=Callable[..., Any])


class ProviderError(Exception):
    """The service refuses a request; the message is one line for the user of Pulumi."""


class AlreadyExistsError(ProviderError):
    """The service already has a resource of that id."""

    def __init__(self, resource_id: str, message: str) -> None:
        super().__init__(message)
        self.resource_id = resource_id


@dataclass(frozen=True)
class Failure:
    """A property that Check does not accept, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Resource:
    """The resource of a call, and the configuration of its provider."""

    type: str
    name: str
    config: Properties


@dataclass(frozen=True)
class Replacement:
    """The changes that replace a resource."""

    #: matched against the whole property path
    paths: re.Pattern[str]
    #: whether the old resource is deleted first, because the new one has the same name
    delete_first: bool = False
    #: returns the inputs to compare: without internal ones, and in one spelling
    normalise: Callable[[Properties], Properties] = field(default=lambda inputs: inputs)


class Provider(ABC):
    """The operations of a provider. Values are plain; one that is not known yet is `properties.UNKNOWN`.

    Secrets arrive in plain text: the service declares that it does not accept secrets, so the engine marks an
    output as secret if the input of the same name is.
    """

    name: str
    version: str

    def check_config(self, config: Properties) -> list[Failure]:
        """Return the failures of the provider's configuration."""
        del config
        return []

    @abstractmethod
    def check(
        self, resource: Resource, news: Properties, olds: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Return the inputs with defaults, and their failures; generated names derive from `seed`."""

    @abstractmethod
    def replacement(self, resource: Resource, olds: Properties) -> Replacement:
        """Return which changes replace a resource with the inputs `olds`."""

    @abstractmethod
    def preview(self, resource: Resource, inputs: Properties) -> Properties:
        """Return the outputs that are known before the resource is created."""

    def foresee(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Return what a preview knows of a new resource: its id, empty if unknown, and its outputs."""
        return "", self.preview(resource, inputs)

    def seed(self, urn: str, random: bytes) -> bytes:
        """Return what generated names of a resource derive from: the engine's random bytes."""
        del urn
        return random

    @abstractmethod
    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource and return its id and outputs."""

    @abstractmethod
    def read(
        self, resource: Resource, resource_id: str, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """Return the current outputs and inputs, or None if the resource does not exist."""

    @abstractmethod
    def update(self, resource: Resource, resource_id: str, inputs: Properties) -> Properties:
        """Update the resource to `inputs` and return its outputs."""

    @abstractmethod
    def delete(self, resource: Resource, resource_id: str) -> None:
        """Delete the resource, if it exists."""

    def invoke(self, token: str, args: Properties, config: Properties) -> Properties:
        """Return the result of the function `token`."""
        del args, config
        raise ProviderError(f"{token} is not a function of the local cloud's {self.name} provider")


def _one_line_errors(method: _Method) -> _Method:
    """Return an exception to the engine as one line; log any but a ProviderError with its traceback."""

    @wraps(method)
    def answer(self: "ProviderService", request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            _log.exception("%s failed", method.__name__)
            context.abort(grpc.StatusCode.INTERNAL, f"local {self.provider.name} provider: {error!r}")

    return answer  # type: ignore[return-value]


class ProviderService(ResourceProviderServicer):
    """The gRPC service of one provider.

    The engine opens a connection for each provider resource of a program, so the peer of a call identifies
    its configuration.
    """

    def __init__(self, provider: Provider, journal: Journal) -> None:
        self.provider = provider
        self._journal = journal
        self._configs: dict[str, Properties] = {}

    def Handshake(self, request: pb.ProviderHandshakeRequest, context: grpc.ServicerContext) -> Any:
        return pb.ProviderHandshakeResponse()

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def GetSchema(self, request: pb.GetSchemaRequest, context: grpc.ServicerContext) -> Any:
        schema = {"name": self.provider.name, "version": self.provider.version}
        return pb.GetSchemaResponse(schema=json.dumps(schema))

    @_one_line_errors
    def CheckConfig(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        failures = self.provider.check_config(from_struct(request.news))
        return pb.CheckResponse(inputs=request.news, failures=_failures(failures))

    @_one_line_errors
    def DiffConfig(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> Any:
        changes = changed_paths(from_struct(request.old_inputs), from_struct(request.news))
        return _diff(changes, Replacement(re.compile("(?!)")))

    @_one_line_errors
    def Configure(self, request: pb.ConfigureRequest, context: grpc.ServicerContext) -> Any:
        self._configs[context.peer()] = from_struct(request.args)
        return pb.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    @_one_line_errors
    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        inputs, failures = self.provider.check(
            self._resource(request, context),
            from_struct(request.news),
            from_struct(request.olds),
            self.provider.seed(request.urn, request.randomSeed),
        )
        return pb.CheckResponse(inputs=to_struct(inputs), failures=_failures(failures))

    @_one_line_errors
    def Diff(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> Any:
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        replacement = self.provider.replacement(self._resource(request, context), olds)
        changes = changed_paths(replacement.normalise(olds), replacement.normalise(news))
        return _diff(changes, replacement)

    @_one_line_errors
    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> Any:
        resource, inputs = self._resource(request, context), from_struct(request.properties)
        if request.preview:
            resource_id, outputs = self.provider.foresee(resource, inputs)
            return pb.CreateResponse(id=resource_id, properties=to_struct(outputs))
        try:
            resource_id, outputs = self.provider.create(resource, inputs)
        except AlreadyExistsError as error:
            # an earlier `pulumi up` created it for this URN and was killed before it saved its state
            if self._journal.urn_of(resource.type, error.resource_id) != request.urn:
                raise
            resource_id = error.resource_id
            outputs = self.provider.update(resource, resource_id, inputs)
        self._journal.note(resource.type, resource_id, request.urn)
        _log.info("created %s", resource_id)
        return pb.CreateResponse(id=resource_id, properties=to_struct(outputs))

    @_one_line_errors
    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> Any:
        found = self.provider.read(self._resource(request, context), request.id, from_struct(request.inputs))
        if found is None:
            return pb.ReadResponse(id="")
        outputs, inputs = found
        return pb.ReadResponse(id=request.id, properties=to_struct(outputs), inputs=to_struct(inputs))

    @_one_line_errors
    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> Any:
        resource, inputs = self._resource(request, context), from_struct(request.news)
        if request.preview:
            preview = self.provider.preview(resource, inputs)
            return pb.UpdateResponse(properties=to_struct(settle(preview, inputs, from_struct(request.olds))))
        outputs = self.provider.update(resource, request.id, inputs)
        _log.info("updated %s", request.id)
        return pb.UpdateResponse(properties=to_struct(outputs))

    @_one_line_errors
    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> Any:
        self.provider.delete(self._resource(request, context), request.id)
        _log.info("deleted %s", request.id)
        return empty_pb2.Empty()

    @_one_line_errors
    def Invoke(self, request: pb.InvokeRequest, context: grpc.ServicerContext) -> Any:
        answer = self.provider.invoke(request.tok, from_struct(request.args), self._config(context))
        return pb.InvokeResponse(**{"return": to_struct(answer)})

    def _resource(self, request: Any, context: grpc.ServicerContext) -> Resource:
        return Resource(type=request.type, name=request.name, config=self._config(context))

    def _config(self, context: grpc.ServicerContext) -> Properties:
        return self._configs.get(context.peer(), {})


def _failures(failures: list[Failure]) -> list[pb.CheckFailure]:
    return [pb.CheckFailure(property=failure.path, reason=failure.reason) for failure in failures]


def _diff(changes: dict[str, str], replacement: Replacement) -> pb.DiffResponse:
    replaces = [path for path in changes if replacement.paths.fullmatch(path)]
    kinds = {path: kind.upper() + ("_REPLACE" if path in replaces else "") for path, kind in changes.items()}
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if changes else pb.DiffResponse.DIFF_NONE,
        diffs=sorted({re.split(r"[.\[]", path)[0] for path in changes}),
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and replacement.delete_first,
        hasDetailedDiff=True,
        detailedDiff={
            path: pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(kind), inputDiff=True)
            for path, kind in kinds.items()
        },
    )


def serve(provider: Provider, port: int, journal: Journal) -> tuple[grpc.Server, int]:
    """Serve `provider` on 127.0.0.1 and return the server and its port; port 0 picks a free one.

    Raises a ProviderError if the port is taken.
    """
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=options)
    add_ResourceProviderServicer_to_server(ProviderService(provider, journal), server)
    try:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError:
        raise ProviderError(
            f"port {port} of the {provider.name} provider is taken by another program"
        ) from None
    server.start()
    return server, port
