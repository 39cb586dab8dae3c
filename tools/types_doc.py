"""Writes docs/types.md, the page of types; with --check it fails if the page is out of date."""

import sys
from collections.abc import Iterator
from typing import assert_never

from importer.snowflake.columns import DescribedColumn, type_text
from importer.snowflake.type_table import TYPES, Refused, Stored, TypeOptions, arrow_schema, casts
from importer.spec.import_spec import Mode
from importer.spec.snowflake_types import SnowflakeType
from tools.page import write_or_check

HEAD = """# Types

This page is for people who read an import's files, or write its query. It lists what each type of Snowflake
becomes, as Arrow names the types of Parquet. It is generated from the importer's own table: `make docs`.

A type depends on the query's columns and on the import's settings, never on the rows: all versions of an
asset have the same types until the query's columns change. The manifest lists each conversion below as a
cast. A type that is not listed is refused in the preview and by the run, with the name of the column.

- **Whole numbers** have 64 bits. If a number needs more, the run fails with the name of the column: add it
  to the import's setting `decimal`.
- **Times** have microseconds, because Spark and mltable cannot read nanoseconds; further digits are cut
  off. `nanoseconds: true` keeps them, in mode `stream`, for years from 1678 to 2261.
- **Time zones**: a TIMESTAMP_TZ keeps its moment and loses its offset. What `unload` writes is in UTC
  too, but its files do not say so.
- **Nested values** are JSON text on one line. A structured ARRAY, OBJECT or MAP is refused if Snowflake
  sends it as such: cast it in the query to VARIANT.

| Snowflake | setting | in `stream` | in `unload` |
| --- | --- | --- | --- |
"""

#: A column of each type; of types with variants several, with the setting that makes one.
_WHOLE = DescribedColumn("C", SnowflakeType.NUMBER, 38, 0)
_EXAMPLES: dict[SnowflakeType, list[tuple[DescribedColumn, str, TypeOptions]]] = {
    SnowflakeType.NUMBER: [
        (_WHOLE, "", TypeOptions()),
        (_WHOLE, "`decimal`", TypeOptions(decimal=("C",))),
        (DescribedColumn("C", SnowflakeType.NUMBER, 12, 2), "", TypeOptions()),
    ],
    SnowflakeType.VECTOR: [
        (DescribedColumn("C", SnowflakeType.VECTOR, element=element, dimension=3), "", TypeOptions())
        for element in ("FLOAT", "INT")
    ],
    **{
        kind: [
            (DescribedColumn("C", kind, scale=9), "", TypeOptions()),
            (DescribedColumn("C", kind, scale=9), "`nanoseconds`", TypeOptions(nanoseconds=True)),
        ]
        for kind in (
            SnowflakeType.TIME,
            SnowflakeType.TIMESTAMP_NTZ,
            SnowflakeType.TIMESTAMP_LTZ,
            SnowflakeType.TIMESTAMP_TZ,
        )
    },
}


def main() -> int:
    """Write or check the page; return the exit code."""
    return write_or_check("types.md", HEAD + "".join(rows()), "importer/snowflake/type_table.py")


def rows() -> Iterator[str]:
    """Yield the rows of the table."""
    for kind, rule in TYPES.items():
        match rule:
            case Refused(instead):
                yield f"| {kind} | | refused: {instead} | refused |\n"
            case Stored():
                for column, setting, options in _EXAMPLES.get(
                    kind, [(DescribedColumn("C", kind), "", TypeOptions())]
                ):
                    streamed = _cell(column, "stream", options)
                    unloaded = "refused" if options.nanoseconds else _cell(column, "unload", options)
                    yield f"| {type_text(column)} | {setting} | {streamed} | {unloaded} |\n"
            case _:
                assert_never(rule)


def _cell(column: DescribedColumn, mode: Mode, options: TypeOptions) -> str:
    """Return the type in one mode, with the conversion if there is one."""
    [type_] = arrow_schema([column], mode, options).types
    return f"`{type_}`" + "".join(f", cast to {cast.target}" for cast in casts([column], mode, options))


if __name__ == "__main__":
    sys.exit(main())
