"""Injected faults: error responses that a test wants in place of the service's own.

`faults.json` in the local cloud's directory lists them:
`[{"method": "PUT", "path": "/schedules/", "status": 429, "headers": {"Retry-After": "0"}, "times": 2}]`.
`path` is a regular expression to search for in the request's path; each use decrements `times`.
"""

import json
import re
import threading
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.errors import ServiceError


class FaultMiddleware:
    """Responds with the first fault of `file` that matches the request and has `times` left."""

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self._app = app
        self._file = file
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with a fault, or pass the request on if there is none for it."""
        fault = self._take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        error = ServiceError(fault["status"], "InjectedFault", "a fault from faults.json")
        await error.response(fault.get("headers"))(scope, receive, send)

    def _take(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the fault for a request, and decrement its `times` in the file."""
        if not self._file.exists():
            return None
        with self._lock:
            faults: list[dict[str, Any]] = json.loads(self._file.read_text())
            for fault in faults:
                if fault["times"] > 0 and fault["method"] == method and re.search(fault["path"], path):
                    fault["times"] -= 1
                    self._file.write_text(json.dumps(faults))
                    return fault
        return None
