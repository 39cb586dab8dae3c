"""Snowflake for the local cloud: fakesnow's server with sign-in, roles and warehouses, stored on disk.

fakesnow translates Snowflake's SQL to DuckDB and speaks the drivers' protocol, but accepts any sign-in. Here
`sign_in` and `run_statement` refuse what Snowflake would refuse, and leave the rest to fakesnow's handlers.
"""

import gzip
import json
import logging
import secrets
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import fakesnow.arrow
import fakesnow.server
import pyarrow as pa
import pyarrow.compute as pc
import uvicorn
from fakesnow.arrow import timestamp_to_sf_struct
from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.dialect import parse_one
from fakesnow.server import (
    ServerError,
    login_request,
    query_request,
    routes,
    sessions,
    shared_fs,
    to_conn,
    to_token,
)
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp
from sqlglot.errors import SqlglotError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.home import Home, end_with
from localcloud.houses import load_houses
from localcloud.snowflake_account import (
    DATABASE,
    PRIVATE_SCHEMA,
    READ_ONLY_ROLES,
    ROLES,
    SCHEMA,
    WAREHOUSE,
)
from localcloud.snowflake_chunks import StoredResults, inline_ipc
from localcloud.snowflake_copy import Unload, is_unload
from localcloud.snowflake_parameters import Parameters
from localcloud.snowflake_refusal import RefusedError
from localcloud.snowflake_types import define_functions, rowtype
from localcloud.snowflake_users import Users, is_alter_user

# How many results RESULT_SCAN can find; fakesnow would keep all of them in memory.
_RESULTS_KEPT = 32

logger = logging.getLogger(__name__)

_WRITES = (exp.DDL, exp.DML, exp.Alter, exp.Comment, exp.Drop, exp.TruncateTable)


@dataclass
class Session:
    """The state of a signed-in client that fakesnow does not have: user, role and warehouse."""

    user: str
    role: str
    warehouse: str | None
    parameters: Parameters
    has_secondary_roles: bool
    """Whether the grants of the user's other roles count too: Snowflake's default."""

    def use(self, statement: exp.Use) -> None:
        """Switch to the role of `USE ROLE` or the warehouse of `USE WAREHOUSE`; fakesnow runs other kinds."""
        kind = str(statement.args.get("kind") or "").upper()
        identifier = statement.find(exp.Identifier)
        name = (identifier.name if identifier.quoted else identifier.name.upper()) if identifier else ""
        if kind == "ROLE":
            if name not in ROLES[self.user]:
                message = (
                    f"SQL access control error:\nRequested role '{name}' is not assigned to the "
                    "executing user. Specify another role to activate."
                )
                raise RefusedError("003013", message, "42501")
            self.role = name
        if kind == "WAREHOUSE":
            if name != WAREHOUSE:
                message = "SQL compilation error:\nObject does not exist, or operation cannot be performed."
                raise RefusedError("002043", message, "02000")
            self.warehouse = name

    def check(self, statement: exp.Expr, *, describe_only: bool) -> None:
        """Refuse a statement that the role may not run, or that needs a warehouse if the session has none."""
        writes = isinstance(statement, _WRITES) and str(statement.args.get("kind")).upper() != "SESSION"
        if writes and self.role in READ_ONLY_ROLES:
            message = (
                f"SQL access control error:\nInsufficient privileges: the role '{self.role}' only reads."
            )
            raise RefusedError("003001", message, "42501")
        roles = ROLES[self.user] if self.has_secondary_roles else (self.role,)
        for table in statement.find_all(exp.Table):
            if table.db.upper() == PRIVATE_SCHEMA and READ_ONLY_ROLES.issuperset(roles):
                message = f"SQL compilation error:\nObject '{table.sql()}' does not exist or not authorized."
                raise RefusedError("002003", message, "02000")
        reads_rows = isinstance(statement, exp.Query | exp.DML) and statement.find(exp.Table) is not None
        if reads_rows and self.warehouse is None and not describe_only:
            message = (
                "No active warehouse selected in the current session.  "
                "Select an active warehouse with the 'use warehouse' command.\n"
            )
            raise RefusedError("000606", message, "57P03")

    def show_in(self, connection: FakeSnowflakeConnection) -> None:
        """Define functions such as `current_user()` on the session's DuckDB connection."""
        values = {"user": self.user, "role": self.role, "warehouse": self.warehouse, "account": "LOCAL"}
        for name, value in values.items():
            constant = exp.Literal.string(value).sql("duckdb") if value else "NULL::VARCHAR"
            connection._duck_conn.execute(f"CREATE OR REPLACE TEMP MACRO current_{name}() AS {constant}")
        define_functions(connection)


class SnowflakeServer:
    """The handlers that replace or precede fakesnow's, and the sessions that they share."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._users = Users(home)
        self._results = StoredResults(home.path / "results", f"http://127.0.0.1:{home.ports['snowflake']}")
        self._sessions: weakref.WeakKeyDictionary[FakeSnowflakeConnection, Session] = (
            weakref.WeakKeyDictionary()
        )

    def build_app(self) -> Starlette:
        """Return the application; its own routes take precedence over fakesnow's of the same path."""
        own = [
            Route("/session/v1/login-request", self.sign_in, methods=["POST"]),
            Route("/queries/v1/query-request", self.run_statement, methods=["POST"]),
            Route("/queries/{query_id}/result", self.send_result, methods=["GET"]),
            Route("/results/{query_id}/{number:int}", self._results.send_chunk, methods=["GET"]),
        ]
        return Starlette(routes=[*own, *routes])

    async def sign_in(self, request: Request) -> Response:
        """Start a session for a user and one of its roles."""
        _set_default_namespace(request)
        data = (await _json(request))["data"]
        try:
            user = self._users.authenticate(data)
            role = _granted_role(user, request.query_params.get("roleName"))
        except RefusedError as refusal:
            return refusal.response()
        # by default the users' warehouse; as in Snowflake, an unknown one fails the first query
        warehouse = (request.query_params.get("warehouse") or WAREHOUSE).upper()
        session = Session(
            user,
            role,
            WAREHOUSE if warehouse == WAREHOUSE else None,
            Parameters.of(user, data.get("SESSION_PARAMETERS") or {}),
            str(data.get("SECONDARY_ROLES") or "ALL").upper() == "ALL",
        )
        answer = json.loads(bytes((await login_request(request)).body))
        connection = sessions[answer["data"]["token"]]
        session.show_in(connection)
        self._sessions[connection] = session
        answer["data"]["sessionInfo"] |= {"roleName": session.role, "warehouseName": session.warehouse}
        # unused, but without it the Python driver does not sign out, and the session stays open
        answer["data"]["masterToken"] = secrets.token_urlsafe()
        return JSONResponse(answer)

    async def run_statement(self, request: Request) -> Response:
        """Run one statement, unless the session's role or warehouse forbids it."""
        body = await _json(request)
        try:
            connection = to_conn(to_token(request))
            statement = parse_one(body["sqlText"])
        except (ServerError, ProgrammingError, SqlglotError):
            if "AZURE_SAS_TOKEN" in body["sqlText"].upper():  # fakesnow would log it
                return RefusedError("001003", "SQL compilation error:\nsyntax error.", "42000").response()
            return await _fakesnow_response(request)  # its error says what is wrong
        session = self._sessions[connection]
        try:
            if is_unload(statement):
                return await self._unload(connection, session, statement)
            if is_alter_user(body["sqlText"]):
                return JSONResponse(self._users.alter(body["sqlText"], session.role))
            if not isinstance(statement, exp.Use):
                session.check(statement, describe_only=bool(body.get("describeOnly")))
                return await self._with_chunks(session, await _fakesnow_response(request))
            session.use(statement)
        except RefusedError as refusal:
            return refusal.response()
        session.show_in(connection)
        response = await _fakesnow_response(request)
        answer = json.loads(bytes(response.body))
        if answer["success"]:
            answer["data"] |= {"finalRoleName": session.role, "finalWarehouseName": session.warehouse}
        return JSONResponse(answer, response.status_code)

    async def _with_chunks(self, session: Session, response: Response) -> Response:
        """Return the answer as the session gets it, with the rows that it leaves out as chunks."""
        answer = json.loads(bytes(response.body))
        data = answer["data"] or {}
        table = shared_fs.results_cache.get(str(data.get("queryId")), (None,))[0]
        if not data.get("rowsetBase64") or table is None:
            return response
        answer, table = session.parameters.apply(answer, table)
        return JSONResponse(await run_in_threadpool(self._results.store, answer, table))

    def send_result(self, request: Request) -> Response:
        """Send the answer of an earlier statement to a client that is signed in."""
        try:
            to_conn(to_token(request))
        except ServerError as error:
            answer = {"data": None, "code": error.code, "message": error.message, "success": False}
            return JSONResponse(answer, error.status_code)
        return self._results.send_answer(request)

    async def _unload(
        self, connection: FakeSnowflakeConnection, session: Session, statement: exp.Copy
    ) -> Response:
        unload = Unload.read(statement, self._home)
        session.check(unload.query, describe_only=False)
        try:
            return JSONResponse(
                await run_in_threadpool(unload.run, connection, self._home, session.parameters)
            )
        except RefusedError:
            raise
        except Exception:
            logger.exception("an unload failed")
            raise _internal_error() from None


def _set_default_namespace(request: Request) -> None:
    """Add the users' default database to a sign-in that names none."""
    given = dict(parse_qsl(request.scope["query_string"].decode()))
    if "databaseName" not in given:
        given |= {"databaseName": DATABASE, "schemaName": SCHEMA}
        request.scope["query_string"] = urlencode(given).encode()


class RecentResults(dict[str, tuple[Any, ...]]):
    """The most recent query results by query id; the oldest are dropped."""

    def __setitem__(self, query_id: str, result: tuple[Any, ...]) -> None:
        super().__setitem__(query_id, result)
        if len(self) > _RESULTS_KEPT:
            del self[next(iter(self))]


def open_databases(directory: Path) -> None:
    """Make fakesnow store its databases in `directory`, and load the house sales once.

    Later changes to the sales are kept: a marker file records that they have been loaded.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shared_fs.db_path = directory
    shared_fs.results_cache = RecentResults()
    for database in directory.glob("*.db"):
        shared_fs.connect(database.stem)
    marker = directory / "houses.loaded"
    if not marker.exists():
        load_houses(shared_fs.connect(DATABASE, SCHEMA)._duck_conn)
        marker.touch()
    # from now on, a client that names an unknown database gets an error, not a new database
    shared_fs.create_database_on_connect = shared_fs.create_schema_on_connect = False


async def _json(request: Request) -> dict[str, Any]:
    """Return the request's body; Starlette caches it, so fakesnow's handler can read it again."""
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    document: dict[str, Any] = json.loads(body)
    return document


async def _fakesnow_response(request: Request) -> Response:
    """Return fakesnow's response; if it fails, an error that drivers report (they would retry HTTP 500)."""
    try:
        response: Response = await query_request(request)
    except Exception:
        logger.exception("fakesnow cannot encode a result")
    else:
        if response.status_code < 500:
            return response
    return _internal_error().response()


def _internal_error() -> RefusedError:
    message = (
        "SQL execution internal error: the local Snowflake cannot run this; see .local/logs/snowflake.log"
    )
    return RefusedError("000603", message, "XX000")


def timestamps_with_nulls(ts: pa.Array | pa.ChunkedArray) -> pa.StructArray:
    """Return fakesnow's encoding of timestamps, with nulls as nulls, not as 1970."""
    if isinstance(ts, pa.ChunkedArray):
        ts = ts.combine_chunks()
    encoded = timestamp_to_sf_struct(ts)
    fields = [encoded.type.field(n) for n in range(encoded.type.num_fields)]
    values = [pc.fill_null(encoded.field(n), 0) for n in range(encoded.type.num_fields)]
    return pa.StructArray.from_arrays(values, fields=fields, mask=ts.is_null())


def _granted_role(user: str, requested: str | None) -> str:
    role = requested.upper() if requested else ROLES[user][0]
    if role not in ROLES[user]:
        message = (
            f"Role '{role}' specified in the connect string does not exist or not authorized. "
            "Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC."
        )
        raise RefusedError("390189", message, "08001")
    return role


def serve(home: Home) -> None:
    """Serve until a signal ends the process."""
    end_with(home)
    fakesnow.arrow.timestamp_to_sf_struct = timestamps_with_nulls
    fakesnow.server.to_ipc = inline_ipc  # type: ignore[attr-defined] # a function has the module's name
    fakesnow.server.describe_as_rowtype = rowtype  # type: ignore[attr-defined]
    open_databases(home.path / "snowflake")
    app = SnowflakeServer(home).build_app()
    port = home.ports["snowflake"]
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3)


if __name__ == "__main__":
    serve(Home.open())
