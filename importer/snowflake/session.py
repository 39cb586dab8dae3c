"""Sessions of Snowflake: sign-in, describing a query and running it."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import Error, OperationalError
from snowflake.connector.vendored.requests.exceptions import RequestException
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from importer.errors import ImporterError
from importer.snowflake.columns import DescribedColumn
from importer.snowflake.cursor import DescribingCursor
from importer.snowflake.deployer import deployer_client_id
from importer.snowflake.session_parameters import session_parameters
from importer.snowflake.sign_in import client_id_of, open_connection, sign_in_arguments
from importer.spec.snowflake_target import SnowflakeTarget

#: The secret part of a shared access signature
#: (https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas).
_SIGNATURE = re.compile(r"(\bsig=)[^&'\"\s]+", re.IGNORECASE)

#: Seconds until a connection attempt or a read times out; while a query runs, Snowflake answers every 45.
_TIMEOUT = 60

#: How long sign-in is retried. A refusal is not retried: it is another DatabaseError.
_LOGIN_SECONDS = 20
LOGIN_RETRIES = Retrying(
    retry=retry_if_exception_type((OperationalError, RequestException)),
    wait=wait_random_exponential(max=5),
    stop=stop_after_delay(_LOGIN_SECONDS),
    reraise=True,
)

#: The tries of a statement. The connector (4.8) retries a missing response, but not a truncated one.
_STATEMENT_RETRIES = Retrying(
    retry=retry_if_exception_type(RequestException),
    wait=wait_random_exponential(max=10),
    stop=stop_after_attempt(4),
    reraise=True,
)


def connect(target: SnowflakeTarget, secret: str | None, query_tag: str) -> SnowflakeConnection:
    """Return an open connection of the importer; `secret` is its Key Vault secret.

    Raises an ImporterError with Snowflake's own message.
    """
    arguments = {**_address(target), **sign_in_arguments(target, secret)}
    return _open(target, arguments, query_tag, client_id_of(target))


def deployer_connection(target: SnowflakeTarget, sign_in: Mapping[str, str]) -> SnowflakeConnection:
    """Return a connection in the importer's role with the `deployer_sign_in`.

    It has no current schema, as the importer's connection has none: both find the same tables.
    """
    where = {"database": None, "schema": None} if "connection_name" in sign_in else _address(target)
    return _open(target, {**where, **sign_in}, "ai-platform probe", deployer_client_id(sign_in))


def describe(connection: SnowflakeConnection, query: str) -> list[DescribedColumn]:
    """Return the columns of `query` without running it; an ImporterError has Snowflake's own message."""
    with connection.cursor(DescribingCursor) as cursor:
        try:
            _STATEMENT_RETRIES.copy()(cursor.describe, query)
        except (Error, RequestException) as error:
            raise ImporterError(f"Snowflake refuses the query: {error_text(error)}") from None
        return cursor.columns


def execute(
    connection: SnowflakeConnection, query: str, timeout: timedelta | None = None
) -> DescribingCursor:
    """Run `query` and return its cursor; an ImporterError has Snowflake's own message.

    Snowflake cancels the query after `timeout`.
    """
    cursor = connection.cursor(DescribingCursor)
    try:
        seconds = int(timeout.total_seconds()) if timeout else None
        _STATEMENT_RETRIES.copy()(cursor.execute, query, timeout=seconds)
    except (Error, RequestException) as error:
        raise ImporterError(f"the query failed in Snowflake: {error_text(error)}") from None
    return cursor


def error_text(error: Exception) -> str:
    """Return Snowflake's error code and message, without what the connector adds.

    A message may quote the statement with its storage token: the token's signature is removed.
    """
    given = getattr(error, "raw_msg", None) or getattr(error, "msg", None) or str(error)
    message = _SIGNATURE.sub(r"\1...", str(given))
    number = getattr(error, "errno", None)
    return f"{number}: {message}" if number and number > 0 and str(number) not in message else message


def _open(
    target: SnowflakeTarget, sign_in: Mapping[str, Any], query_tag: str, client_id: str | None
) -> SnowflakeConnection:
    """Return an open connection in the importer's role; an error names its address and `client_id`."""
    given = {
        "host": target.host,
        "port": target.port,
        **sign_in,
        "role": target.role,
        "warehouse": target.warehouse,
    }
    # the other arguments may be secret
    shown = ("connection_name", "host", "port", "user", "role", "warehouse")
    parts = [f"{name} {given[name]}" for name in shown if name in given]
    where = ", ".join([*parts, client_id] if client_id else parts)
    try:
        connection = LOGIN_RETRIES.copy()(
            open_connection,
            **sign_in,
            role=target.role,
            warehouse=target.warehouse,
            validate_default_parameters=True,
            login_timeout=_LOGIN_SECONDS,
            socket_timeout=_TIMEOUT,
            backoff_policy=_pauses,
            platform_detection_timeout_seconds=0.0,  # the sign-in is known
            arrow_number_to_decimal=True,  # NUMBER(12,2) as a decimal, not as the nearest double
            # only the grants of the importer's role count: a user's default is all roles that it has
            # (https://docs.snowflake.com/en/sql-reference/sql/use-secondary-roles)
            secondary_roles="NONE",
            session_parameters=session_parameters(query_tag),
        )
    except (Error, RequestException) as error:
        raise ImporterError(f"cannot sign in to Snowflake ({where}): {error_text(error)}") from None
    if connection.warehouse is None:
        connection.close()
        raise ImporterError(f"Snowflake ({where}): there is no such warehouse, or the role may not use it")
    return connection


def _pauses() -> Iterator[int]:
    """Yield the seconds between the connector's tries of one request, then raise an error.

    The connector's `network_timeout` does not fit: it also cancels a query that runs longer.
    """
    yield from (1, 2, 4, 8, 8, 0)
    raise OperationalError(msg="no response after 6 tries")


def _address(target: SnowflakeTarget) -> dict[str, str | int]:
    return {"account": target.account, "host": target.host, "port": target.port, "protocol": target.protocol}
