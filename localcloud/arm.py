"""The state of the local Azure: ARM documents by id, shared by the providers and the workspace service."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class ArmStore:
    """ARM documents (`{id, name, type, properties, …}`) in SQLite; ids are case-insensitive, as in ARM.

    Safe across processes and `kill -9`: each call is one committed transaction.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY, body TEXT NOT NULL)")
            db.execute("CREATE TABLE IF NOT EXISTS deleted (key TEXT PRIMARY KEY, body TEXT NOT NULL)")

    def get(self, arm_id: str) -> Document | None:
        """Return the document of `arm_id`, or None."""
        with self._transaction() as db:
            row = db.execute("SELECT body FROM documents WHERE key = ?", (_key(arm_id),)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, arm_id: str, body: Document) -> None:
        """Store `body` as the document of `arm_id`, replacing an existing one."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (_key(arm_id), json.dumps(body)))

    def delete(self, arm_id: str) -> bool:
        """Delete the document and all below it; return whether it existed."""
        key = _key(arm_id)
        with self._transaction() as db:
            gone = db.execute("DELETE FROM documents WHERE key = ?", (key,)).rowcount
            # ids may contain LIKE's wildcard `_`, so the prefix is compared as text
            db.execute("DELETE FROM documents WHERE substr(key, 1, ?) = ?", (len(key) + 1, key + "/"))
        return gone > 0

    def children(self, prefix: str) -> list[Document]:
        """Return the documents whose id is `prefix` and one more segment, ordered by id."""
        depth = _key(prefix).count("/") + 1
        return [body for key, body in self._below(prefix) if key.count("/") == depth]

    def descendants(self, prefix: str) -> list[Document]:
        """Return all documents below `prefix`, ordered by id; `""` returns every document."""
        return [body for _, body in self._below(prefix)]

    def _below(self, prefix: str) -> Iterator[tuple[str, Document]]:
        start = _key(prefix) + "/"
        with self._transaction() as db:
            rows = db.execute(
                "SELECT key, body FROM documents WHERE substr(key, 1, ?) = ? ORDER BY key",
                (len(start), start),
            ).fetchall()
        for key, body in rows:
            yield key, json.loads(body)

    def soft_delete(self, scope: str, body: Document) -> None:
        """Store a soft-deleted document under `scope`, which identifies its reserved name."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO deleted VALUES (?, ?)", (scope.lower(), json.dumps(body)))

    def soft_deleted(self, scope: str) -> Document | None:
        """Return the document that was soft-deleted under `scope`, or None."""
        with self._transaction() as db:
            row = db.execute("SELECT body FROM deleted WHERE key = ?", (scope.lower(),)).fetchone()
        return json.loads(row[0]) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection whose changes are committed together; closed at once.

        A connection that lives on after the services have stopped sees none of what the next ones write.
        """
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level="IMMEDIATE")) as db, db:
            yield db


def _key(arm_id: str) -> str:
    return arm_id.lower().rstrip("/")
