"""How the local Snowflake says no."""

from starlette.responses import JSONResponse


class RefusedError(Exception):
    """Snowflake's answer to what it does not allow: its error code, message and SQLSTATE."""

    def __init__(self, code: str, message: str, sql_state: str) -> None:
        super().__init__(message)
        self._answer = {
            "data": {"errorCode": code, "sqlState": sql_state},
            "code": code,
            "message": message,
            "success": False,
        }

    def response(self) -> JSONResponse:
        """Return the answer in the form that Snowflake's drivers read."""
        return JSONResponse(self._answer)
