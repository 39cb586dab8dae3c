"""The rules of the workspace service: what it adds to a resource, and what it refuses."""

from collections.abc import Callable

from importer.spec.schedule import check_cron, windows_time_zone
from localcloud.arm import Document
from localcloud.errors import ServiceError


def check_body(kind: str, existing: Document | None, body: Document) -> None:
    """Complete the body of a resource as the service does; a ServiceError if the service would refuse it."""
    if kind in _RULES:
        _RULES[kind](existing, body)


def _prepare_schedule(_: Document | None, body: Document) -> None:
    """Refuse a schedule that Azure ML would refuse, and mark a valid one as provisioned."""
    trigger = body["properties"]["trigger"]
    if trigger["triggerType"] != "Cron":
        raise ServiceError(400, "UserError", "trigger: the local cloud supports only cron triggers.")
    try:
        check_cron(trigger["expression"])
        windows_time_zone(trigger.get("timeZone", "UTC"))
    except ValueError as error:
        raise ServiceError(400, "UserError", f"trigger: {error}") from None
    body["properties"].setdefault("isEnabled", True)
    body["properties"]["provisioningState"] = "Succeeded"


def _prepare_data_asset(existing: Document | None, body: Document) -> None:
    """Keep the latest version, which only the service sets."""
    if existing and "latestVersion" in existing["properties"]:
        body["properties"]["latestVersion"] = existing["properties"]["latestVersion"]


def _prepare_data_version(existing: Document | None, body: Document) -> None:
    """Refuse another path for an existing version: only tags, description and isArchived can change."""
    if existing and existing["properties"]["dataUri"] != body["properties"]["dataUri"]:
        message = (
            "A data version with this name and version already exists, and its data uri cannot be changed; "
            "only tags, description and isArchived can."
        )
        raise ServiceError(400, "UserError", message)


def _prepare_code_version(existing: Document | None, body: Document) -> None:
    """Refuse other code for an existing version: only tags, description and isArchived can change."""
    if existing and existing["properties"]["codeUri"] != body["properties"]["codeUri"]:
        raise ServiceError(400, "UserError", "A code version is immutable; its code uri cannot be changed.")


def _prepare_environment_version(existing: Document | None, body: Document) -> None:
    """Refuse another image or other packages for an existing version."""
    for key in ("image", "condaFile"):
        if existing and existing["properties"].get(key) != body["properties"].get(key):
            raise ServiceError(409, "Conflict", f"An environment version is immutable; {key} differs.")


def _prepare_job(existing: Document | None, body: Document) -> None:
    """Queue a new job; an existing one keeps its status."""
    body["properties"]["status"] = existing["properties"]["status"] if existing else "NotStarted"


_RULES: dict[str, Callable[[Document | None, Document], None]] = {
    "schedules": _prepare_schedule,
    "data": _prepare_data_asset,
    "data/versions": _prepare_data_version,
    "codes/versions": _prepare_code_version,
    "environments/versions": _prepare_environment_version,
    "jobs": _prepare_job,
}
