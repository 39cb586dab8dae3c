"""`.local/env`: the environment variables with which the real clients reach the local cloud."""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from azure.mgmt.core.tools import parse_resource_id

from localcloud.arm import ArmStore, Document
from localcloud.home import BLOB_KEY, SUBSCRIPTION_ID, TENANT_ID, Home, write_atomically
from localcloud.pulumi_state import state_directory
from localcloud.snowflake_account import DATABASE, ROLES, SCHEMA, WAREHOUSE, read_passwords

#: The variable with the directory of the Pulumi CLI, if it is not the one on PATH.
PULUMI_BIN_VARIABLE = "AI_PLATFORM_PULUMI_BIN"

#: The variable that tells the program how long the local cloud's roles take.
ROLE_SECONDS_VARIABLE = "AI_PLATFORM_ROLE_SECONDS"

_LAKE_DATASTORE = "rawdata"

#: The name of the connection to the local Snowflake.
_CONNECTION = "local"


def write_environment(home: Home) -> None:
    """Write `env`: an `export` line for each of `variables`, and PATH. It has a password: mode 600."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(home).items()]
    lines.append(f'export PATH={shlex.quote(os.pathsep.join(map(str, _path_entries())))}:"$PATH"')
    write_atomically(home.environment_file, "\n".join(lines) + "\n", mode=0o600)


def variables(home: Home) -> dict[str, str]:
    """Return all variables except PATH; the workspace's and the lake's once Pulumi has made them."""
    return _azure(home) | _snowflake(home) | _pulumi(home) | _workspace(home)


def _azure(home: Home) -> dict[str, str]:
    return {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "AZURE_TENANT_ID": TENANT_ID,
        "AZUREML_DEV_URL_MFE": home.azure_url,
        "IDENTITY_ENDPOINT": home.identity_url,
        ROLE_SECONDS_VARIABLE: f"{home.role_seconds:g}",
        "IDENTITY_HEADER": "local",
        "REQUESTS_CA_BUNDLE": str(home.ca_bundle),
        "SSL_CERT_FILE": str(home.ca_bundle),
    }


def _snowflake(home: Home) -> dict[str, str]:
    """Return the deployer's sign-in, field by field and as the connector's default connection.

    Without arguments, the connector opens the connection that SNOWFLAKE_DEFAULT_CONNECTION_NAME names, of
    those in SNOWFLAKE_CONNECTIONS (TOML); otherwise both would come from the user's own files
    (https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-connect).
    """
    fields: dict[str, str | int] = {
        "account": "local",
        "user": "DEPLOYER",
        "password": read_passwords(home)["DEPLOYER"],
        "role": ROLES["DEPLOYER"][0],
        "warehouse": WAREHOUSE,
        "database": DATABASE,
        "schema": SCHEMA,
        "host": "127.0.0.1",
        "port": home.ports["snowflake"],
        "protocol": "http",
    }
    # JSON's strings and numbers are TOML's too
    table = ", ".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
    return {
        **{f"SNOWFLAKE_{name.upper()}": str(value) for name, value in fields.items()},
        "SNOWFLAKE_CONNECTIONS": f"{_CONNECTION} = {{{table}}}",
        "SNOWFLAKE_DEFAULT_CONNECTION_NAME": _CONNECTION,
    }


def _pulumi(home: Home) -> dict[str, str]:
    providers = ("azure-native", "kubernetes")
    return {
        "PULUMI_BACKEND_URL": state_directory(home).as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "local",
        "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{home.ports[name]}" for name in providers),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def _workspace(home: Home) -> dict[str, str]:
    """Return the variables of the workspace with the data lake's datastore; empty if there is none."""
    for datastore in ArmStore(home.arm_db).descendants(""):
        if not _is_lake(datastore):
            continue
        workspace = parse_resource_id(datastore["id"])
        account = datastore["properties"]["accountName"]
        return {
            "AZURE_RESOURCE_GROUP": str(workspace["resource_group"]),
            "AZUREML_WORKSPACE": str(workspace["name"]),
            "AZURE_STORAGE_CONNECTION_STRING": (
                f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={BLOB_KEY};"
                f"BlobEndpoint={home.blob_url}/{account};"
            ),
        }
    return {}


def _is_lake(document: Document) -> bool:
    end = f"/datastores/{_LAKE_DATASTORE}"
    return bool(document["id"].lower().endswith(end)) and "accountName" in document.get("properties", {})


def _path_entries() -> list[Path]:
    """Return the directories of this virtual environment and then of the Pulumi CLI, if there is one.

    In this order, since the directory of the CLI, such as /usr/local/bin, may contain the system's Python.
    """
    cli = shutil.which("pulumi")
    chosen = os.environ.get(PULUMI_BIN_VARIABLE) or (cli and str(Path(cli).parent))
    return [Path(sys.executable).parent, *([Path(chosen).resolve()] if chosen else [])]
