"""An Azure ML workspace in memory: the real azure-ai-ml client with a transport that answers itself."""

import json
import time
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.ai.ml import MLClient
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

WORKSPACE = {"subscription_id": "5ab0", "resource_group": "rg", "name": "mlw"}
ROOT = "/subscriptions/5ab0/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/mlw"


class FakeWorkspace(BaseAdapter):
    """ARM documents by their path in the workspace, and the write requests."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[str, Any] = {}
        self.writes: list[str] = []
        self.refused: dict[str, int] = {}
        """The status of requests whose `METHOD path body` contains the key."""

    def client(self, show_progress: bool = False) -> MLClient:
        """Return azure-ai-ml's client of this workspace."""
        session = requests.Session()
        session.mount("https://", self)
        transport = RequestsTransport(session=session, session_owner=False)
        return MLClient(
            _Credential(),
            *WORKSPACE.values(),
            transport=transport,
            retry_total=0,
            show_progress=show_progress,
        )

    def put(self, path: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Store the document of a path, and return it."""
        document = {"id": f"{ROOT}/{path}", "name": path.rsplit("/", 1)[-1], "properties": properties}
        self.documents[path] = document
        return document

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Answer a request as ARM does."""
        path = urlsplit(str(request.url)).path.removeprefix(ROOT).strip("/")
        line = f"{request.method} {path}"
        if request.method != "GET":
            self.writes.append(line)
        whole = f"{line} {request.body!r}"
        status = next((code for part, code in self.refused.items() if part in whole), None)
        if status is not None:
            return _response(
                request, status, {"error": {"code": "Refused", "message": "the service\nsays no"}}
            )
        return _response(request, *self._answer(str(request.method), path, request.body))

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "PUT":
            return 200, self.put(path, {**json.loads(body)["properties"], "provisioningState": "Succeeded"})
        if method == "DELETE":
            return (200 if self.documents.pop(path, None) else 404), {"error": {"message": "not found"}}
        if method == "POST":
            return 200, {"submissionId": "job-1", "scheduleActionType": "CreateJob"}
        if path in ("", "jobs", "schedules") or path.endswith("/versions"):
            prefix = f"{path}/"
            found = [document for key, document in self.documents.items() if key.startswith(prefix)]
            return 200, {"value": found, "name": "mlw", "location": "westeurope", "properties": {}}
        if path in self.documents:
            return 200, self.documents[path]
        return 404, {"error": {"code": "ResourceNotFound", "message": f"{path} was not found"}}


def _response(request: requests.PreparedRequest, status: int, body: Any) -> requests.Response:
    headers = {"Content-Type": "application/json", "x-ms-request-id": "req-7"}
    raw = HTTPResponse(BytesIO(json.dumps(body).encode()), headers, status, preload_content=False)
    return HTTPAdapter().build_response(request, raw)


class _Credential:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)
