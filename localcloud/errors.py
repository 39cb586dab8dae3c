"""The error responses of Azure's services: a status, a code and one line."""

import uuid

from starlette.responses import JSONResponse


class ServiceError(Exception):
    """An error in the format of https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self, headers: dict[str, str] | None = None) -> JSONResponse:
        """Return the response with this error and a request id."""
        return JSONResponse(
            {"error": {"code": self.code, "message": self.message}},
            self.status,
            {"x-ms-request-id": str(uuid.uuid4()), **(headers or {})},
        )
