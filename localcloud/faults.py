"""Trouble on request: answers that a test wants from the service instead of its own.

`faults.json` in the local cloud's directory lists them:
`[{"method": "PUT", "path": "/schedules/", "status": 429, "headers": {"Retry-After": "0"}, "times": 2}]`.
`path` is a regular expression that is searched in the request's path; each use takes one off `times`.
"""

import json
import re
import threading
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.errors import ServiceError


class FaultMiddleware:
    """Answers with the first fault of `file` that fits the request, as often as its `times` says."""

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self._app = app
        self._file = file
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless there is a fault for it."""
        fault = self._take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        error = ServiceError(fault["status"], "InjectedFault", "a fault from faults.json")
        await error.response(fault.get("headers"))(scope, receive, send)

    def _take(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the fault for a request, one use of it taken off the file."""
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
