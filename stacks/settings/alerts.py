"""The settings of alerts."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from importer.spec.section import Section
from stacks.settings.explain import contradiction

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]


def _without_repeats(emails: list[str]) -> list[str]:
    if len({email.casefold() for email in emails}) < len(emails):
        raise contradiction([], "contains an address twice", emails)
    return emails


class AlertSettings(Section):
    """Alerts."""

    emails: Annotated[list[Email], AfterValidator(_without_repeats)] = Field(
        default=[],
        description="Addresses that get alerts by mail. Without any, alerts show in the Azure portal only.",
    )
    late_after_minutes: Annotated[int, Field(ge=15, le=1440)] = Field(
        default=60,
        description="Minutes after its scheduled time at which an import without a new version is late.",
    )
    monthly_budget: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Monthly budget in the subscription's currency; costs of 80 and 100 % raise an alert.",
    )
