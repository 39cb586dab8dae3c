"""The deployer's own sign-in to Snowflake, from the environment."""

import os
from collections.abc import Mapping

#: The variables of Snowflake's own tools, by the connector's argument
#: (https://docs.snowflake.com/en/developer-guide/snowflake-cli/connecting/configure-connections).
_VARIABLES = {
    "user": "SNOWFLAKE_USER",
    "password": "SNOWFLAKE_PASSWORD",
    "authenticator": "SNOWFLAKE_AUTHENTICATOR",
    "token": "SNOWFLAKE_TOKEN",
    "private_key_file": "SNOWFLAKE_PRIVATE_KEY_FILE",
    "workload_identity_provider": "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER",
    "host": "SNOWFLAKE_HOST",
    "port": "SNOWFLAKE_PORT",
    "protocol": "SNOWFLAKE_PROTOCOL",
}
_CONNECTION_VARIABLE = "SNOWFLAKE_DEFAULT_CONNECTION_NAME"

#: The variable by which the connector (4.8) chooses a managed identity, if the authenticator is
#: WORKLOAD_IDENTITY.
_CLIENT_ID = "MANAGED_IDENTITY_CLIENT_ID"

#: A sign-in needs one of these.
SIGN_IN_VARIABLES = (_CONNECTION_VARIABLE, _VARIABLES["user"], _VARIABLES["authenticator"])


def deployer_sign_in() -> dict[str, str] | None:
    """Return the connector's arguments for the deployer's sign-in, or None if the environment has none.

    It is a named connection of Snowflake's `connections.toml` (SNOWFLAKE_DEFAULT_CONNECTION_NAME), or
    SNOWFLAKE_USER with SNOWFLAKE_PASSWORD, or SNOWFLAKE_AUTHENTICATOR with the variables that it needs.
    """
    if name := os.environ.get(_CONNECTION_VARIABLE):
        return {"connection_name": name}
    if not any(os.environ.get(variable) for variable in SIGN_IN_VARIABLES):
        return None
    return {key: os.environ[name] for key, name in _VARIABLES.items() if os.environ.get(name)}


def deployer_client_id(sign_in: Mapping[str, str]) -> str | None:
    """Return the client id of the sign-in, or that none is set; None if the method has no client id."""
    if sign_in.get("authenticator", "").upper() != "WORKLOAD_IDENTITY":
        return None
    client_id = os.environ.get(_CLIENT_ID)
    return f"client id {client_id}" if client_id else f"{_CLIENT_ID} is not set"
