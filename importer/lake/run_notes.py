"""Notes of the runs that registered no version: one failed, or it found nothing new.

Azure ML knows only the status of a job, so `importer list` and `importer history` read the reason here. A
note is a blob below `_runs/<asset>/`, named by the scheduled time and the outcome.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs

Outcome = Literal["failed", "unchanged"]

#: How many notes an import keeps: as many as the largest `fullEvery`, which counts them.
_KEPT = 1000


class RunNote(BaseModel):
    """A run that registered no version: `error` says why it failed, `read_rows` is what it read."""

    model_config = ConfigDict(frozen=True)

    version: str
    outcome: Outcome
    started: datetime
    finished: datetime
    error: str | None = None
    read_rows: int | None = None


class _Key(NamedTuple):
    """The scheduled time and the outcome of a note, from its name."""

    version: str
    outcome: str


class RunNotes:
    """The notes of one asset. A later run of the same scheduled time replaces a note of the same outcome."""

    def __init__(self, blobs: AssetBlobs) -> None:
        self._blobs = blobs
        self._folder = f"_runs/{blobs.asset}/"

    def write(self, note: RunNote) -> None:
        """Keep a note, and delete the oldest of too many."""
        self._blobs.write(self._path(_Key(note.version, note.outcome)), note.model_dump_json())
        for key in self._keys()[_KEPT:]:
            self._blobs.delete(self._path(key))

    def failure(self, version: str) -> RunNote | None:
        """Return the note of the last failed run of a scheduled time, if there is one."""
        key = _Key(version, "failed")
        return self._read(key) if self._blobs.exists(self._path(key)) else None

    def newest(self, count: int) -> list[RunNote]:
        """Return the newest notes by scheduled time."""
        return [note for key in self._keys()[:count] if (note := self._read(key)) is not None]

    def unchanged_between(self, after: str, before: str) -> int:
        """Return how many scheduled times between two found nothing new."""
        return sum(key.outcome == "unchanged" and after < key.version < before for key in self._keys())

    def _keys(self) -> list[_Key]:
        """Return the keys of all notes, newest first."""
        names = [name.removesuffix(".json") for name in self._blobs.sizes(self._folder)]
        return sorted((_Key(*name.split(".", 1)) for name in names if name.count(".") == 1), reverse=True)

    def _read(self, key: _Key) -> RunNote | None:
        try:
            return RunNote.model_validate_json(self._blobs.read(self._path(key)))
        except (ImporterError, ValidationError):  # it was deleted meanwhile, or written by hand
            return None

    def _path(self, key: _Key) -> str:
        return f"{self._folder}{key.version}.{key.outcome}.json"
