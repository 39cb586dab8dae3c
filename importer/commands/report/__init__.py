"""`importer report`: a self-contained page about a version: its rows, its columns, and how they changed.

DuckDB computes the statistics in one pass over the Parquet files of the version and one over those of the
previous version; Vega-Lite draws the charts. The page loads nothing when it is opened.
"""

from datetime import UTC, datetime
from pathlib import Path

import typer

from importer.errors import ImporterError
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace

#: The folder of reports, in the directory that the command is run in; git ignores it.
_FOLDER = Path("reports")


def report_version(name: str, version: str | None, output: Path | None, *, without: set[str]) -> None:
    """Write the report of an import of the workspace in the environment, and print the file's full path."""
    workspace = Workspace()
    typer.echo(write_report(workspace, workspace.spec(name), version, output, without))


def write_report(
    workspace: Workspace, spec: ImportSpec, version: str | None, output: Path | None, without: set[str]
) -> Path:
    """Write the report of a version, or of the newest one, and return the file's full path.

    Raises an ImporterError if a package, the version, a column in `without` or the output folder is missing.
    """
    try:
        from importer.commands.report.build import make_report
        from importer.commands.report.page import render
    except ModuleNotFoundError as error:
        raise ImporterError(
            f"the report needs the package {error.name}: pip install duckdb jinja2 vl-convert-python"
        ) from None
    made = make_report(workspace, spec, version, without)
    path = output or _FOLDER / f"{spec.name}-{made.manifest.version}.html"
    try:
        if output is None:
            _FOLDER.mkdir(exist_ok=True)
        path.write_text(render(made, datetime.now(UTC)), encoding="utf-8")
    except OSError as error:
        raise ImporterError(f"--output {path}: {error.strerror}") from None
    return path.resolve()
