"""Whether jobs may reach every host of the Snowflake account."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from typing import Any

from components.network.outbound import STORAGE_TAG
from importer.errors import ImporterError
from importer.snowflake.deployer import SIGN_IN_VARIABLES, deployer_sign_in
from stacks.arguments.workspace import outbound_hosts, outbound_service_tags
from stacks.settings.stack import Settings
from tools.preflight.check import Context, Problem

#: What a client needs (https://docs.snowflake.com/en/sql-reference/functions/system_allowlist); the account's
#: own host is in the settings.
_STAGE, _OCSP = "STAGE", "OCSP_CACHE"


def closed_hosts(context: Context) -> Iterator[Problem]:
    """Yield each host that Snowflake lists and that the outbound rules of jobs lack."""
    settings = context.settings
    try:
        listed = allowlist(settings)
    except ImporterError as error:
        yield Problem(f"not checked: {error}", "correct the sign-in to Snowflake", blocks=False)
        return
    if listed is None:
        yield Problem("not checked: no sign-in to Snowflake", f"set {SIGN_IN_VARIABLES[0]}", blocks=False)
        return
    reads_stages = any(item.mode != "unload" for item in settings.imports)
    wanted = [item["host"].lower() for item in listed if item["type"] in (_OCSP, _STAGE)[: 1 + reads_stages]]
    open_to = _is_open(outbound_hosts(settings), outbound_service_tags(settings))
    for host in dict.fromkeys(wanted):
        if not open_to(host):
            yield Problem(f"jobs do not reach {host}", f"add {host} to workspace.outboundHosts", blocks=False)


def allowlist(settings: Settings) -> list[dict[str, Any]] | None:
    """Return the hosts of the account, as Snowflake lists them; None if the deployer has no sign-in."""
    sign_in = deployer_sign_in()
    if sign_in is None:
        return None
    from importer.snowflake.session import deployer_connection, execute

    with closing(deployer_connection(settings.snowflake_target(), sign_in)) as connection:
        row: Any = execute(connection, "SELECT SYSTEM$ALLOWLIST()").fetchone()
    listed: list[dict[str, Any]] = json.loads(row[0])
    return listed


def _is_open(hosts: Sequence[str], tags: Sequence[str]) -> Callable[[str], bool]:
    """Return whether rules for these hosts and service tags let a job reach a host."""

    def is_open(host: str) -> bool:
        if STORAGE_TAG in tags and host.endswith(".core.windows.net"):
            return True
        return any(fnmatchcase(host, pattern.lower()) for pattern in hosts)

    return is_open
