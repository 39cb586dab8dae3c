"""The settings of who is told what."""

from typing import Annotated

from pydantic import Field, StringConstraints

from stacks.section import Section

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]


class AlertSettings(Section):
    """Alerts."""

    emails: list[Email] = Field(
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
