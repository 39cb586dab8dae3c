"""A stack's config as the engine hands it to the program, and what is said of one that is refused."""

import json
from typing import Any

import pytest

from stacks.settings.explain import SettingsError
from stacks.settings.load import load

#: In the platform's own registry, whose name ends in random characters.
IMAGE = "globodevregistry0a1b2c3d.azurecr.io/importer@sha256:" + "0" * 64
SNOWFLAKE = {"account": "globo-dev", "warehouse": "IMPORT_WH", "role": "IMPORTER"}
IMPORT = {"name": "raw_house_data", "query": "SELECT * FROM A.B.C", "schedule": "0 6 * * *"}

#: The network, the subnets and the private DNS zones of a hub.
HUB = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub/providers/Microsoft.Network"
SUBNET = f"{HUB}/virtualNetworks/hub/subnets"
ZONE = f"{HUB}/privateDnsZones"
EXISTING_NETWORK = {"nodesSubnetId": f"{SUBNET}/nodes", "endpointsSubnetId": f"{SUBNET}/endpoints"}
#: An office's public addresses.
OFFICE = ["203.0.113.0/24"]
#: The object id of a group or a service principal.
PRINCIPAL = "5ab0ec0f-0000-4000-8000-000000000000"


def config(**changes: Any) -> dict[str, str]:
    """Return a config: scalars as they are, the rest as JSON. A change of None leaves a setting out."""
    settings: dict[str, Any] = {
        "name": "globodev",
        "location": "westeurope",
        # in the registry of the platform with this name
        "importerImage": IMAGE.replace("globodev", changes.get("name") or "globodev"),
        "snowflake": SNOWFLAKE,
        "imports": [IMPORT],
        **changes,
    }
    return {
        f"ai-platform:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in settings.items()
        if value is not None
    }


def snowflake(**changes: Any) -> dict[str, Any]:
    return {**SNOWFLAKE, **changes}


def imports(**changes: Any) -> list[dict[str, Any]]:
    """Return one import's settings, as a list."""
    return [{**IMPORT, **changes}]


def refusal(**changes: Any) -> str:
    """Return the message with which the settings are refused."""
    with pytest.raises(SettingsError) as refused:
        load(config(**changes))
    return str(refused.value)
