"""The error responses of the local Snowflake."""

from starlette.responses import JSONResponse


class RefusedError(Exception):
    """Snowflake refuses a request: its error code, message and SQLSTATE."""

    def __init__(self, code: str, message: str, sql_state: str) -> None:
        super().__init__(message)
        self._answer = {
            "data": {"errorCode": code, "sqlState": sql_state},
            "code": code,
            "message": message,
            "success": False,
        }

    def response(self) -> JSONResponse:
        """Return the response in the format of Snowflake's drivers."""
        return JSONResponse(self._answer)
