"""How an incremental import made a version. The manifest keeps it, and the next version starts from it."""

from pydantic import BaseModel, ConfigDict


class Step(BaseModel):
    """How a version got its rows: by a full read, or by adding new rows to its base."""

    model_config = ConfigDict(frozen=True)

    column: str
    key: list[str]
    full: bool
    base: str | None = None
    """The version whose rows this one includes."""
    steps: int = 0
    """The number of versions since the last full read."""
    watermark: str | None = None
    """The greatest value of the column, exactly; None if there is no value."""
    null_watermarks: int = 0
    """How many rows of the last full read have NULL there: later ones come only with the next full read."""
    added_rows: int
    added_bytes: int

    def tags(self) -> dict[str, str]:
        """Return the tags of the registered version."""
        tags = {"step": "full" if self.full else "incremental"}
        return tags if self.watermark is None else {**tags, "watermark": self.watermark}
