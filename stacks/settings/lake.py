"""The settings of the data lake."""

from typing import Annotated

from pydantic import Field

from importer.spec.section import Section

Days = Annotated[int, Field(ge=1, le=36500)]


class LakeSettings(Section):
    """The data lake."""

    cool_after_days: Days = Field(
        default=90, description="Days after which unchanged raw data moves to the cool tier."
    )
    immutable_days: Annotated[int, Field(ge=1, le=146000)] | None = Field(
        default=None,
        description="Days in which nothing can change or delete raw data, the importer's retention included.",
    )
