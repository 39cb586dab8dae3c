"""The settings of who is told what."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from importer.spec.section import Section
from stacks.settings.explain import contradiction

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]


def _without_repeats(emails: list[str]) -> list[str]:
    if len({email.casefold() for email in emails}) < len(emails):
        raise contradiction([], "has an address twice", emails)
    return emails


class AlertSettings(Section):
    """Alerts."""

    emails: Annotated[list[Email], AfterValidator(_without_repeats)] = Field(
        default=[],
        description="Who gets the alerts by mail; where nobody does, they show in the portal only.",
    )
    late_after_minutes: Annotated[int, Field(ge=15, le=1440)] = Field(
        default=60, description="Minutes after its time at which an import that has not arrived is late."
    )
    monthly_budget: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Amount a month, in the subscription's currency, of which 80 and 100 % raise an alert.",
    )
