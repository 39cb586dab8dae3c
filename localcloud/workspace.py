"""Azure Resource Manager and Azure ML over TLS: the requests that azure-ai-ml and the importer send.

Every document is in the `ArmStore`. Rules of a kind of resource are in `workspace_rules` and `_ACTIONS`.
"""

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localcloud.arm import ArmStore, Document
from localcloud.arm_id import ArmId
from localcloud.code_snapshots import CodeSnapshots
from localcloud.errors import ServiceError
from localcloud.faults import FaultMiddleware
from localcloud.home import Home, end_with
from localcloud.identity import build_identity_app
from localcloud.jobs import SCHEDULE_PROPERTY, JobRunner
from localcloud.log_ingestion import ingestion_routes
from localcloud.vault import vault_routes
from localcloud.workspace_rules import check_body

_NAME = re.compile(r"[A-Za-z0-9_][\w.\-()]*")


class Workspace:
    """The requests of Azure Resource Manager, one method each, on the `ArmStore`."""

    def __init__(self, store: ArmStore, runner: JobRunner, snapshots: CodeSnapshots) -> None:
        self._store = store
        self._runner = runner
        self._snapshots = snapshots

    def get(self, arm_id: ArmId) -> Document:
        """Return the resource without its secrets; a ServiceError if it does not exist."""
        return _public(arm_id, self._find(arm_id))

    def _find(self, arm_id: ArmId) -> Document:
        document = self._store.get(arm_id.path)
        if document is None:
            raise ServiceError(
                404, "ResourceNotFound", f"The resource {arm_id.type} {arm_id.name} was not found."
            )
        return document

    def list(self, arm_id: ArmId, query: dict[str, str]) -> Document:
        """Return the resources of a collection that match the query, newest first."""
        member = ArmId(arm_id.path + "/_")
        # before an upload, a client lists the versions with the same content, even if the code is new
        self._require(member.parent.parent if arm_id.kind == "codes/versions" else member.parent)
        found = [d for d in self._store.children(arm_id.path) if _is_wanted(d, query)]
        found.sort(key=lambda d: d.get("systemData", {}).get("createdAt", ""), reverse=True)
        top = int(query.get("$top", len(found)))
        return {"value": [_public(member, document) for document in found[:top]]}

    def put(self, arm_id: ArmId, body: Document) -> tuple[int, Document]:
        """Create or replace a resource; return the status (201 if it is new) and the resource."""
        if not _NAME.fullmatch(arm_id.name):
            raise ServiceError(400, "InvalidResourceName", f"{arm_id.name} is not a valid name.")
        existing = self._store.get(arm_id.path)
        if arm_id.kind.endswith("/versions"):
            self._put_container(arm_id, body)
        else:
            self._require(arm_id.parent)
        check_body(arm_id.kind, existing, body)
        document = {**body, **_envelope(arm_id, existing)}
        self._store.put(arm_id.path, document)
        # the REST API of connections has only status 200
        return (200 if existing or arm_id.kind == "connections" else 201), _public(arm_id, document)

    def _put_container(self, arm_id: ArmId, body: Document) -> None:
        """Create the asset of a version, unless it exists, and record its latest version."""
        container = arm_id.parent
        existing = self._store.get(container.path)
        self._require(container.parent)
        if existing and self._store.get(arm_id.path):
            return
        properties = (existing or {}).get("properties", {"isArchived": False})
        properties["latestVersion"] = arm_id.name
        if "dataType" in body["properties"]:
            properties["dataType"] = body["properties"]["dataType"]
        self._store.put(container.path, {**_envelope(container, existing), "properties": properties})

    def _require(self, parent: ArmId) -> None:
        is_subscription = len(parent.segments) == 2
        if not is_subscription and self._store.get(parent.path) is None:
            message = f"The parent resource {parent.type} {parent.name} was not found."
            raise ServiceError(404, "ParentResourceNotFound", message)

    def patch(self, arm_id: ArmId, body: Document) -> Document:
        """Merge `body` into a resource (RFC 7396) and return it."""
        return self.put(arm_id, _merge(self._find(arm_id), body))[1]

    def delete(self, arm_id: ArmId) -> int:
        """Delete a resource and all below it; return the status, 204 if it did not exist."""
        document = self._store.get(arm_id.path)
        if document and arm_id.kind == "schedules" and document["properties"].get("isEnabled", True):
            raise ServiceError(
                400, "UserError", f"Schedule {arm_id.name} is enabled; disable it before deleting it."
            )
        return 200 if self._store.delete(arm_id.path) else 204

    def post(self, arm_id: ArmId, action: str, body: Document) -> Document:
        """Return the result of an action such as `listSecrets` or `trigger`."""
        if (arm_id.kind, action.lower()) == ("codes/versions", "startpendingupload"):
            return self._snapshots.start_upload(self._find(arm_id.parent.parent))
        act = _ACTIONS.get((arm_id.kind, action.lower()))
        if act is None:
            raise ServiceError(
                404, "InvalidAction", f"The local cloud has no action {action} for {arm_id.type}."
            )
        return act(self._find(arm_id), body, self._runner)


def _envelope(arm_id: ArmId, existing: Document | None) -> Document:
    """Return the properties that the service sets: id, name, type and times."""
    now = datetime.now(UTC).isoformat()
    # an id keeps the case of its first request
    names = existing or {"id": arm_id.path, "name": arm_id.name, "type": arm_id.type}
    created = (existing or {}).get("systemData", {}).get("createdAt", now)
    return {
        **{key: names[key] for key in ("id", "name", "type")},
        "systemData": {"createdAt": created, "lastModifiedAt": now},
    }


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(target, dict) or not isinstance(patch, dict):
        return patch
    merged = {**target, **{key: _merge(target.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if patch.get(key, value) is not None}


def _public(arm_id: ArmId, document: Document) -> Document:
    """Return `document` without the secrets that only `listSecrets` returns."""
    properties = dict(document.get("properties", {}))
    if arm_id.kind == "connections":
        properties["credentials"] = None
    elif arm_id.kind == "datastores" and properties.get("credentials"):
        properties["credentials"] = {**properties["credentials"], "secrets": None}
    return {**document, "properties": properties}


def _is_wanted(document: Document, query: dict[str, str]) -> bool:
    """Whether a list with `query` includes the document: by category, hash, schedule and state."""
    properties = document.get("properties", {})
    if "category" in query and properties.get("category") != query["category"]:
        return False
    if "hash" in query and properties.get("properties", {}).get("hash_sha256") != query["hash"]:
        return False
    if (
        "scheduleId" in query
        and properties.get("properties", {}).get(SCHEDULE_PROPERTY) != query["scheduleId"]
    ):
        return False
    match query.get("listViewType"):
        case "EnabledOnly":
            return bool(properties.get("isEnabled", True))
        case "DisabledOnly":
            return not properties.get("isEnabled", True)
        case "ActiveOnly":
            return not properties.get("isArchived", False)
        case "ArchivedOnly":
            return bool(properties.get("isArchived", False))
    return True


def _trigger(schedule: Document, body: Document, runner: JobRunner) -> Document:
    """Start the job of a schedule now, for the time in the request."""
    if not schedule["properties"].get("isEnabled", True):
        raise ServiceError(
            400, "UserError", f"Schedule {schedule['name']} is disabled; enable it to trigger it."
        )
    at = datetime.fromisoformat(body["scheduleTime"]) if "scheduleTime" in body else datetime.now(UTC)
    return {"scheduleActionType": "CreateJob", "submissionId": runner.trigger(schedule, at)}


def _cancel(job: Document, _: Document, runner: JobRunner) -> Document:
    runner.cancel(job)
    return {}


def _connection_secrets(connection: Document, _: Document, __: JobRunner) -> Document:
    return connection


def _datastore_secrets(datastore: Document, _: Document, __: JobRunner) -> Document:
    secrets: Document | None = datastore["properties"].get("credentials", {}).get("secrets")
    if not secrets:
        raise ServiceError(
            400, "UserError", f"Datastore {datastore['name']} has no secrets; it signs in by identity."
        )
    return secrets


_ACTIONS: dict[tuple[str, str], Callable[[Document, Document, JobRunner], Document]] = {
    ("connections", "listsecrets"): _connection_secrets,
    ("datastores", "listsecrets"): _datastore_secrets,
    ("jobs", "cancel"): _cancel,
    ("schedules", "trigger"): _trigger,
}


def build_app(home: Home, store: ArmStore) -> Starlette:
    """Return the application of the `azure` port; it runs schedules and jobs while it is served."""
    runner = JobRunner(home, store)
    workspace = Workspace(store, runner, CodeSnapshots(home))
    lock = threading.Lock()

    def answer(request: Request, body: bytes) -> Response:
        arm_id = ArmId(request.url.path.rstrip("/"))
        try:
            # one request at a time, since it reads and then writes the store
            with lock:
                return _answer(workspace, request, arm_id, json.loads(body or "{}"))
        except ServiceError as error:
            return error.response()
        except (KeyError, ValueError) as error:
            return ServiceError(400, "InvalidRequestContent", f"The body is malformed: {error!r}").response()

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request, await request.body())

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        scheduler = asyncio.create_task(runner.run(lock))
        yield
        scheduler.cancel()

    return Starlette(
        routes=[
            Route("/subscriptions/{path:path}", endpoint, methods=["GET", "PUT", "PATCH", "DELETE", "POST"]),
            *vault_routes(store, home.vault_file),
            *ingestion_routes(store, home.path / "logs" / "records.jsonl"),
        ],
        middleware=[Middleware(RequestLog), Middleware(FaultMiddleware, file=home.path / "faults.json")],
        lifespan=lifespan,
    )


def _answer(workspace: Workspace, request: Request, arm_id: ArmId, body: Document) -> Response:
    match request.method:
        case "GET" if arm_id.is_resource:
            return JSONResponse(workspace.get(arm_id))
        case "GET":
            return JSONResponse(workspace.list(arm_id, dict(request.query_params)))
        case "PUT" if arm_id.is_resource:
            status, document = workspace.put(arm_id, body)
            return JSONResponse(document, status)
        case "PATCH" if arm_id.is_resource:
            return JSONResponse(workspace.patch(arm_id, body))
        case "DELETE" if arm_id.is_resource:
            return Response(status_code=workspace.delete(arm_id))
        case "POST" if not arm_id.is_resource:
            above, _, action = arm_id.path.rpartition("/")
            return JSONResponse(workspace.post(ArmId(above), action, body))
    raise ServiceError(405, "MethodNotAllowed", f"{request.method} is not possible on {arm_id.path}.")


class RequestLog:
    """Prints a line for each request: method, path, status, time; no query, as it may have a signature."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request and print its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.monotonic()

        async def send_and_print(message: Message) -> None:
            if message["type"] == "http.response.start":
                milliseconds = (time.monotonic() - start) * 1000
                line = f"{scope['method']} {scope['path']} {message['status']} {milliseconds:.0f} ms"
                print(line, flush=True)  # noqa: T201
            await send(message)

        await self._app(scope, receive, send_and_print)


async def serve(home: Home) -> None:
    """Serve the `azure` and the `identity` port of a local cloud until a signal ends the process."""
    end_with(home)
    store = ArmStore(home.arm_db)
    options: dict[str, Any] = {
        "host": "127.0.0.1",
        "log_level": "warning",
        "access_log": False,
        "timeout_graceful_shutdown": 3,
    }
    azure = uvicorn.Config(
        build_app(home, store),
        port=home.ports["azure"],
        ssl_certfile=home.certificate,
        ssl_keyfile=home.certificate_key,
        **options,
    )
    identity = uvicorn.Config(build_identity_app(store), port=home.ports["identity"], **options)
    await asyncio.gather(uvicorn.Server(azure).serve(), uvicorn.Server(identity).serve())


if __name__ == "__main__":
    asyncio.run(serve(Home.open()))
