"""The address of a connection to Snowflake, in the form of its JDBC driver.

https://docs.snowflake.com/en/developer-guide/jdbc/jdbc-configure
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from importer.spec.names import IDENTIFIER

_SCHEME = "jdbc:snowflake://"
_DOMAIN = ".snowflakecomputing.com"
#: https://docs.snowflake.com/en/user-guide/private-snowflake-service
_PRIVATE_LINK = ".privatelink"
_HTTPS_PORT = 443

#: An organisation and account, or an account locator with its region
#: (https://docs.snowflake.com/en/user-guide/admin-account-identifier).
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_.-]*")
#: The parameters that are read, by each of their spellings.
_PARAMETERS = {
    "warehouse": "warehouse",
    "role": "role",
    "db": "database",
    "database": "database",
    "schema": "schema",
}

#: The role and the schema of a session whose connection names neither
#: (https://learn.microsoft.com/azure/machine-learning/how-to-connection,
#: https://docs.snowflake.com/en/sql-reference/sql/use-database).
_DEFAULT = "PUBLIC"


class SnowflakeAddress(NamedTuple):
    """The account and the session's defaults; None for a value that must be filled in."""

    account: str | None
    host: str | None
    warehouse: str | None
    role: str | None
    database: str | None
    schema: str | None
    notes: list[str]


def read_address(target: str) -> SnowflakeAddress:
    """Return the address in a connection's target; a ValueError says why it cannot be read.

    A parameter may be a secret, so no message shows its value.
    """
    if not target.lower().startswith(_SCHEME):
        raise ValueError(f"its target does not start with {_SCHEME}")
    if "@" in target.partition("?")[0]:
        raise ValueError("its target has a sign-in before the host, which Snowflake does not accept")
    try:
        url = urlsplit(target[len("jdbc:") :])
        domain, port = (url.hostname or "").rstrip("."), url.port
    except ValueError:
        raise ValueError("its target is not a valid address") from None
    notes: list[str] = []
    given, unreadable = _parameters(url.query, notes)
    if "role" not in given and "role" not in unreadable:
        given["role"] = _DEFAULT
        notes.append(f"its target has no role, so the import ran as {_DEFAULT}: give it a role of its own")
    if port not in (None, _HTTPS_PORT):
        notes.append(f"port {port} is replaced by {_HTTPS_PORT}")
    account, host = _account(domain, notes)
    known = {"account": account, **given}
    missing = [name for name in ("account", "warehouse", "role") if known.get(name) is None]
    if missing:
        notes.append(f"fill in {', '.join(missing)}: its target has no readable value")
    return SnowflakeAddress(
        account=account,
        host=host,
        warehouse=given.get("warehouse"),
        role=given.get("role"),
        database=given.get("database"),
        schema=None if "schema" in unreadable else given.get("schema", _DEFAULT),
        notes=notes,
    )


def _parameters(query: str, notes: list[str]) -> tuple[dict[str, str], set[str]]:
    """Return the parameters to migrate, and the names of those without a readable value, such as `<mydb>`."""
    given: dict[str, str] = {}
    unreadable: set[str] = set()
    others = 0
    for key, value in parse_qsl(query):
        name = _PARAMETERS.get(key.lower())
        if name is None:
            others += 1
        elif IDENTIFIER.fullmatch(value):
            given[name] = value
        else:
            unreadable.add(name)
    if others:
        notes.append(f"{others} other parameters of its target have no equivalent")
    return given, unreadable


def _account(domain: str, notes: list[str]) -> tuple[str | None, str | None]:
    """Return the account, and the host if it does not follow from the account."""
    account = domain.removesuffix(_DOMAIN)
    if not _ACCOUNT.fullmatch(account):
        return None, None
    if account == domain:
        notes.append(f"its host is not in {_DOMAIN[1:]}: set `account` to the account's own name")
        return account, domain
    if account.endswith(_PRIVATE_LINK):
        return account.removesuffix(_PRIVATE_LINK), domain
    return account, None
