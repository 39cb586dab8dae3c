"""Session parameters of the local Snowflake: the defaults of its users, and what they change in a result.

The user IMPORTER has defaults that an administrator may have set and that lose or change values: an import is
right only if its session sets them itself. https://docs.snowflake.com/en/sql-reference/parameters
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from fakesnow.arrow import to_sf

from localcloud.snowflake_chunks import inline_ipc

#: Snowflake's own defaults of the parameters that this module knows.
_DEFAULTS: Mapping[str, Any] = {
    "JSON_INDENT": 2,
    "STRICT_JSON_OUTPUT": False,
    "ROWS_PER_RESULTSET": 0,
    "UNLOAD_PARQUET_TIME_TIMESTAMP_MILLIS": True,
    "ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION": True,
}
_HOSTILE: Mapping[str, Mapping[str, Any]] = {"IMPORTER": {"JSON_INDENT": 4, "ROWS_PER_RESULTSET": 1000}}

#: Stands for `undefined` while a document is encoded as JSON; no text of a document has it.
_UNDEFINED = "\ufdd0undefined"


@dataclass(frozen=True)
class Parameters:
    """The parameters of one session that change what it gets."""

    json_indent: int
    strict_json: bool
    most_rows: int
    unloads_milliseconds: bool
    unloads_smallest_types: bool

    @classmethod
    def of(cls, user: str, given: Mapping[str, Any]) -> "Parameters":
        """Return the parameters of a user who signs in with the `given` ones."""
        values = {**_DEFAULTS, **_HOSTILE.get(user, {}), **given}
        return cls(
            json_indent=int(values["JSON_INDENT"]),
            strict_json=bool(values["STRICT_JSON_OUTPUT"]),
            most_rows=int(values["ROWS_PER_RESULTSET"]),
            unloads_milliseconds=bool(values["UNLOAD_PARQUET_TIME_TIMESTAMP_MILLIS"]),
            unloads_smallest_types=bool(values["ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION"]),
        )

    def apply(self, answer: dict[str, Any], table: pa.Table) -> tuple[dict[str, Any], pa.Table]:
        """Return the answer to a query and its rows as the session gets them."""
        rowtype = answer["data"]["rowtype"]
        documents = [n for n, column in enumerate(rowtype) if column["type"] == "variant"]
        is_cut = 0 < self.most_rows < table.num_rows
        if not is_cut and (not documents or (not self.json_indent and self.strict_json)):
            return answer, table
        if is_cut:
            table = table.slice(0, self.most_rows)
        for place in documents:
            texts = [self._json(text) for text in table.column(place).to_pylist()]
            table = table.set_column(place, table.schema.field(place), pa.array(texts, pa.string()))
        content = base64.b64encode(inline_ipc(to_sf(table, rowtype))).decode()
        return answer | {"data": answer["data"] | {"rowsetBase64": content, "total": table.num_rows}}, table

    def _json(self, text: str | None) -> str | None:
        if text is None:
            return None
        document = json.loads(text)
        shown = document if self.strict_json else _with_undefined(document)
        separators = (",", ": ") if self.json_indent else (",", ":")
        encoded = json.dumps(shown, indent=self.json_indent or None, separators=separators)
        return encoded.replace(json.dumps(_UNDEFINED), "undefined")


def _with_undefined(document: Any) -> Any:
    """Return a document whose arrays have `undefined` where a NULL was put into them."""
    match document:
        case list():
            return [_UNDEFINED if item is None else _with_undefined(item) for item in document]
        case dict():
            return {name: _with_undefined(value) for name, value in document.items()}
        case _:
            return document
