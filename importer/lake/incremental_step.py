"""What a version of an incremental import keeps of how it was made: the next one goes on from there."""

from pydantic import BaseModel, ConfigDict


class Step(BaseModel):
    """How a version came to its rows: by a full read, or by what was new since its base."""

    model_config = ConfigDict(frozen=True)

    column: str
    key: list[str]
    full: bool
    base: str | None = None
    """The version whose rows are in this one too."""
    steps: int = 0
    """How many versions there were since the last full one."""
    watermark: str | None = None
    """The greatest value of the column, exactly; None where there is none."""
    null_watermarks: int = 0
    """How many rows of the last full read have none: new ones come with the next full read."""
    added_rows: int
    added_bytes: int

    def tags(self) -> dict[str, str]:
        """Return what the registered version is tagged with."""
        tags = {"step": "full" if self.full else "incremental"}
        return tags if self.watermark is None else {**tags, "watermark": self.watermark}
