"""Checks of the settings against what they are deployed with: the environment's cloud, and real values."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network

from stacks.settings.explain import SettingsError, problem
from stacks.settings.stack import PROJECT, Endpoints, Settings

#: Set by `tools/offline_preview.py`: stand-ins answer, and nothing is deployed.
OFFLINE_VARIABLE = "AI_PLATFORM_OFFLINE_PREVIEW"

#: The time that an offline preview shows for "now", so that two previews can be compared.
_OFFLINE_TIME = datetime(2026, 1, 1, tzinfo=UTC)

#: The variables that redirect Pulumi's providers and azure-ai-ml to the local cloud.
_REDIRECTING = ("PULUMI_DEBUG_PROVIDERS", "AZUREML_DEV_URL_MFE")

#: All variables that a deployment to the local cloud needs.
_LOCAL = (*_REDIRECTING, "SNOWFLAKE_HOST", "SNOWFLAKE_PORT", "SNOWFLAKE_PROTOCOL")

#: The account that the examples and the description of `snowflake.account` name.
_EXAMPLE_ACCOUNT = "myorg-myaccount"

#: https://datatracker.ietf.org/doc/html/rfc2606#section-2
_EXAMPLE_DOMAIN = re.compile(r"[^\s/]+[.@]example|([^\s/]+[.@])?example\.(com|net|org)", re.IGNORECASE)

#: No subscription, identity or group has such an id.
_EXAMPLE_ID = re.compile(r"(?<![0-9a-f-])0{8}(-0{4}){3}-0{10}[0-9a-f]{2}(?![0-9a-f-])", re.IGNORECASE)

_EXAMPLE_DIGEST = re.compile(r"\S+@sha256:0{64}")

#: https://datatracker.ietf.org/doc/html/rfc5737
_EXAMPLE_RANGES = tuple(map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))

#: The settings whose text is free: a query may contain anything.
_FREE = {"imports", "tags"}


def check_deployment(settings: Settings, stack: str, environment: Mapping[str, str]) -> list[str]:
    """Return a line for each example value that an offline preview accepts; elsewhere raise a SettingsError.

    Also raises it if the settings are for Azure and the environment is for the local cloud, or the other
    way round.
    """
    is_offline = bool(environment.get(OFFLINE_VARIABLE))
    _check_cloud(settings.endpoints, stack, environment, is_offline=is_offline)
    examples = list(example_values(settings))
    if examples and not is_offline:
        raise SettingsError("\n".join(examples))
    return examples


def deployment_time(environment: Mapping[str, str]) -> datetime:
    """Return the current time; a fixed one in an offline preview."""
    return _OFFLINE_TIME if environment.get(OFFLINE_VARIABLE) else datetime.now(UTC)


def _check_cloud(
    endpoints: Endpoints, stack: str, environment: Mapping[str, str], *, is_offline: bool
) -> None:
    match endpoints:
        case Endpoints.LOCAL:
            missing = [name for name in _LOCAL if not environment.get(name)]
            if missing:
                raise SettingsError(
                    f"{PROJECT}:endpoints: local needs {', '.join(missing)} in the environment: run "
                    "`python -m localcloud start`, then `. .local/env`"
                )
        case Endpoints.PUBLIC:
            found = [name for name in _REDIRECTING if environment.get(name)]
            if found and not is_offline:
                raise SettingsError(
                    f"{PROJECT}:endpoints: public, but {' and '.join(found)} of .local/env would deploy the "
                    f"stack into the local cloud: use a new shell, and if Pulumi has just added an "
                    f"encryptionsalt to Pulumi.{stack}.yaml, remove it"
                )


def example_values(settings: Settings) -> Iterator[str]:
    """Yield a line for each value that stands in for a real one; the local cloud accepts any."""
    if settings.endpoints is Endpoints.LOCAL:
        return
    values = settings.model_dump(mode="json", by_alias=True, exclude=_FREE, exclude_defaults=True)
    for path, value in _texts(values, []):
        if reason := _example(path, value):
            yield problem(PROJECT, path, f"{reason}: replace it with your own", value)


def _texts(value: object, path: list[int | str]) -> Iterator[tuple[list[int | str], str]]:
    """Yield each text in a value, with its path."""
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from _texts(item, [*path, str(key)])
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, [*path, index])


def _example(path: list[int | str], value: str) -> str | None:
    """Return why a value cannot be real; None if it can."""
    if path == ["snowflake", "account"] and value.lower() == _EXAMPLE_ACCOUNT:
        return "is the account of the examples"
    if _EXAMPLE_DIGEST.fullmatch(value):
        return "has the digest of the examples, all zeros"
    if _EXAMPLE_ID.search(value):
        return "has an id of the examples, all zeros"
    if _EXAMPLE_DOMAIN.fullmatch(value):
        return "is in a domain that is reserved for examples"
    if _is_example_range(value):
        return "is in an address range that is reserved for documentation"
    return None


def _is_example_range(value: str) -> bool:
    try:
        network = IPv4Network(value)
    except ValueError:
        return False
    return any(network.subnet_of(reserved) for reserved in _EXAMPLE_RANGES)
