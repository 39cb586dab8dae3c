"""Arguments of components in tests: written flat, nested as the components take them."""

import dataclasses
from typing import Any

from components.component import AzureArgs, ServiceArgs


def in_service(**flat: Any) -> dict[str, Any]:
    """Return the arguments with those of `ServiceArgs` in `service`."""
    return _nested("service", ServiceArgs, flat)


def in_azure(**flat: Any) -> dict[str, Any]:
    """Return the arguments with those of `AzureArgs` in `azure`."""
    return _nested("azure", AzureArgs, flat)


def _nested(name: str, args: type[AzureArgs], flat: dict[str, Any]) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(args)}
    inner = {key: value for key, value in flat.items() if key in fields}
    return {name: args(**inner), **{key: value for key, value in flat.items() if key not in fields}}
