"""Which Pulumi resource created which id: the next `pulumi up` after an interrupted one finds it again."""

import json
import threading
from pathlib import Path

from localcloud.home import write_atomically


class Journal:
    """The URN that created each id, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._urns: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def urn_of(self, type_: str, resource_id: str) -> str | None:
        """Return the URN that created the resource, or None."""
        return self._urns.get(_key(type_, resource_id))

    def note(self, type_: str, resource_id: str, urn: str) -> None:
        """Record that `urn` created the resource."""
        with self._lock:
            self._urns[_key(type_, resource_id)] = urn
            write_atomically(self._file, json.dumps(self._urns, indent=2) + "\n")


def _key(type_: str, resource_id: str) -> str:
    return f"{type_} {resource_id.lower()}"
