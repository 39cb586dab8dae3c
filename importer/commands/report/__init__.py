"""One self-contained page about a version of an asset: its rows, its columns, and how they changed.

Statistics come from one pass over the version's Parquet files and one over the previous version's, by DuckDB;
Vega-Lite draws the charts. The page loads nothing when it is opened.
"""

from datetime import UTC, datetime
from pathlib import Path

from importer.errors import ImporterError
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace


def write_report(
    workspace: Workspace, spec: ImportSpec, version: str | None, output: Path | None, without: set[str]
) -> Path:
    """Write the report of a version, or of the newest, and return the file's path.

    An ImporterError says what is missing: the packages, the version, a column, the folder to write to.
    """
    try:
        from importer.commands.report.build import make_report
        from importer.commands.report.page import render
    except ModuleNotFoundError as error:
        raise ImporterError(
            f"the report needs the package {error.name}: pip install duckdb jinja2 vl-convert-python"
        ) from None
    made = make_report(workspace, spec, version, without)
    path = output or Path(f"{spec.name}-{made.manifest.version}.html")
    try:
        path.write_text(render(made, datetime.now(UTC)), encoding="utf-8")
    except OSError as error:
        raise ImporterError(f"--output {path}: {error.strerror}") from None
    return path
