"""`importer preview`: what an import's query returns, without importing it."""

import json
from contextlib import closing
from typing import Any, NamedTuple

from rich.table import Table

from importer.commands.table import open_console
from importer.snowflake.columns import Column, columns_of
from importer.snowflake.session import connect, describe, execute
from importer.snowflake.sign_in import stored_secret
from importer.snowflake.type_table import TypeOptions, check_columns, check_options
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace

_ROWS = 10


class Preview(NamedTuple):
    """The columns of a query, its row count, and its first rows."""

    columns: list[Column]
    total: int
    rows: list[tuple[Any, ...]]


def show_preview(name: str, *, as_json: bool) -> None:
    """Print what an import of the workspace in the environment would read, as a table or as JSON lines."""
    workspace = Workspace()
    print_preview(preview_query(workspace.spec(name), workspace), as_json=as_json)


def preview_query(spec: ImportSpec, workspace: Workspace) -> Preview:
    """Run the import's query with the importer's sign-in, and return what it returns; write nothing.

    An ImporterError names a column that the import would refuse.
    """
    target = workspace.connection(spec.connection)
    secret = stored_secret(target)
    with closing(connect(target, secret, f"ai-platform preview {spec.name}")) as connection:
        columns = describe(connection, spec.query)
        check_columns(columns)
        check_options(columns, TypeOptions.of(spec))
        # a query may end in a comment, so the closing parenthesis is on a line of its own
        [(total,)] = execute(connection, f"SELECT COUNT(*) FROM (\n{spec.query}\n)").fetchall()  # noqa: S608
        rows = execute(connection, f"SELECT * FROM (\n{spec.query}\n) LIMIT {_ROWS}").fetchall()  # noqa: S608
    return Preview(columns_of(columns), total, rows)


def print_preview(preview: Preview, *, as_json: bool) -> None:
    """Print a table with a line per column; as JSON a line for the query, and one for each row."""
    if not as_json:
        _print_table(preview)
        return
    names = [column.name for column in preview.columns]
    head = {"rows": preview.total, "columns": [column._asdict() for column in preview.columns]}
    for line in (head, *(dict(zip(names, row, strict=True)) for row in preview.rows)):
        print(json.dumps(line, default=str))  # noqa: T201


def _print_table(preview: Preview) -> None:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("column", no_wrap=True)
    table.add_column("type", no_wrap=True)
    table.add_column(f"first {len(preview.rows)} of {preview.total:,} rows", no_wrap=True, ratio=1)
    for index, column in enumerate(preview.columns):
        kind = column.type if column.nullable else f"{column.type} NOT NULL"
        table.add_row(column.name, kind, " | ".join(str(row[index]) for row in preview.rows))
    open_console().print(table)
