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
    """The number of imports since the last full read, with those that found nothing new."""
    watermark: str | None = None
    """The greatest value of the column, exactly; None if there is no value."""
    null_watermarks: int = 0
    """How many rows of the last full read have NULL there: later ones come only with the next full read."""
    read_rows: int | None = None
    """How many rows the query returned; None in a manifest of an earlier importer."""
    added_rows: int
    """How many of them the version has: new ones, and those that replace a row of the base."""
    replaced_rows: int | None = None
    """How many rows of the base they replace; None in a manifest of an earlier importer."""
    added_bytes: int

    @property
    def is_unchanged(self) -> bool:
        """Whether the version would have the same rows as its base."""
        return not self.full and self.added_rows == 0

    def counts(self) -> dict[str, int]:
        """Return how many rows were read and, unless all rows were read, how many are new or replaced."""
        read = {} if self.read_rows is None else {"read_rows": self.read_rows}
        if self.full or self.replaced_rows is None:
            return read
        return {
            **read,
            "new_rows": self.added_rows - self.replaced_rows,
            "replaced_rows": self.replaced_rows,
        }

    def tags(self) -> dict[str, str]:
        """Return the tags of the registered version."""
        counts = {name: str(count) for name, count in self.counts().items()}
        tags = {"step": "full" if self.full else "incremental", **counts}
        return tags if self.watermark is None else {**tags, "watermark": self.watermark}
