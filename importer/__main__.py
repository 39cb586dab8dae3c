"""The commands of `python -m importer`."""

import logging
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from importer.errors import ImporterError
from importer.spec.schedule import parse_tick, version_of

app = typer.Typer(
    help="Imports Snowflake queries as versioned data assets of the Azure ML workspace in the environment.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The import's name, as in ai-platform:imports.", metavar="NAME")]

# The clients of Azure and Snowflake are imported by the command that needs them: together they take seconds.


@app.command()
def run(
    name: Name,
    version: Annotated[
        str | None, typer.Option(help="The scheduled time, such as 2026-11-23T06:00:00Z; now if not given.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read all rows, also if it is incremental.")] = False,
) -> None:
    """Import once, unless the version is registered already."""
    tick = _tick(version) if version is not None else datetime.now(UTC)

    from importer.job.run import Import
    from importer.job.telemetry import recording
    from importer.progress import open_progress
    from importer.versions.workspace import Workspace

    with open_progress() as shown, recording(name, tick, shown) as progress:
        workspace = Workspace()
        Import(workspace.spec(name), workspace, progress, full=full).run(version_of(tick))


@app.command("list")
def list_imports(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="First wait until no import is running.")] = False,
    timeout: Annotated[float, typer.Option(help="How long to wait, in seconds.")] = 300,
) -> None:
    """List the imports, each with its schedule, newest version and last job (--wait: fail with it)."""
    from importer.commands.import_list import check_last_jobs, import_statuses, print_statuses, wait_for_jobs
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    if wait:
        wait_for_jobs(workspace, timeout)
    statuses = import_statuses(workspace, datetime.now(UTC))
    print_statuses(statuses, as_json=json)
    if wait:
        check_last_jobs(statuses)


@app.command()
def retire(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Archive and delete the versions past keepVersions and keepDays, as every run does at its end."""
    from importer.lake.blob import AssetBlobs
    from importer.progress import open_progress
    from importer.versions.retention import retire_versions, tell_fates
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    spec = workspace.spec(name)
    assets = {spec.name: spec.datastore}
    if spec.curate is not None:
        assets[spec.curate.asset] = spec.clean_datastore
    with open_progress() as progress:
        for asset, datastore in assets.items():
            blobs = AssetBlobs(workspace.datastore(datastore), asset)
            (tell_fates if dry_run else retire_versions)(spec, workspace, blobs, progress)


@app.command()
def preview(name: Name) -> None:
    """Show the columns of an import's query, its number of rows and the first ten; write nothing."""
    from importer.commands.preview import preview_query, print_preview
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    print_preview(preview_query(workspace.spec(name), workspace))


@app.command()
def curate(
    name: Name,
    version: Annotated[
        str | None, typer.Option(help="The version's scheduled time; the newest version if not given.")
    ] = None,
) -> None:
    """Make the clean version of a version by the import's rules, unless it is registered already."""
    tick = _tick(version) if version is not None else None

    from importer.job.curate.run import CleanAsset
    from importer.progress import open_progress
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    spec = workspace.spec(name)
    if spec.curate is None:
        raise ImporterError(f"import {name} has no rules: set curate in ai-platform:imports")
    with open_progress() as progress:
        clean = CleanAsset(spec, spec.curate, workspace, progress)
        clean.make(version_of(tick) if tick else clean.newest_source())


@app.command()
def contract(name: Name) -> None:
    """Print a first contract for an import, as its rows are now; write nothing."""
    from importer.commands.first_contract import first_contract
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    typer.echo(first_contract(workspace.spec(name), workspace), nl=False)


@app.command()
def migrate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="YAML of data imports, import schedules, connections.")
    ] = None,
    workspace: Annotated[
        bool, typer.Option("--workspace", help="Also read the workspace in the environment.")
    ] = False,
) -> None:
    """Print the settings that take over from `az ml data import`, its schedules and connections."""
    from importer.commands.migrate import migrate as settings_of

    yaml, problem = settings_of(files or [], with_workspace=workspace)
    typer.echo(yaml, nl=False)
    if problem is not None:
        raise ImporterError(problem)


@app.command()
def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; NAME-VERSION.html here if not given.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="The version or its scheduled time; the newest if not given.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out; may be given again.")
    ] = None,
) -> None:
    """Write a page about a version: its columns, how they changed, and the versions before it."""
    from importer.commands.report import write_report
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    path = write_report(workspace, workspace.spec(name), version, output, set(without or ()))
    print(path)  # noqa: T201


@app.command()
def grants(
    name: Name,
    user: Annotated[
        str | None, typer.Option(help="The importer's user; the connection's if not given.")
    ] = None,
    tenant_id: Annotated[
        str | None, typer.Option(envvar="AZURE_TENANT_ID", help="The tenant of the importer's identity.")
    ] = None,
    object_id: Annotated[
        str | None, typer.Option(help="The object id of the importer's identity, or of the OAuth client's.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="A file with the public key, in PEM.", metavar="FILE")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option(help="An address or range that it comes from; may be given again.")
    ] = None,
) -> None:
    """Print the SQL with which an administrator of Snowflake lets an import in; run nothing."""
    from importer.commands.grants import administration, grants_script
    from importer.lake.blob import AssetBlobs
    from importer.versions.workspace import Workspace

    given = administration(user, tenant_id, object_id, public_key, address or [])
    workspace = Workspace()
    spec = workspace.spec(name)
    lake = AssetBlobs(workspace.datastore(spec.datastore), spec.name) if spec.storage_integration else None
    script = grants_script(
        spec, workspace.connection(spec.connection), given, lake.snowflake_url("") if lake else None
    )
    typer.echo(script, nl=False)


def _tick(version: str) -> datetime:
    try:
        return parse_tick(version)
    except ValueError as error:
        raise ImporterError(f"--version {version}: {error}") from None


def main() -> None:
    """Run the command line; what stops a command is one line on standard error, and exit code 1."""
    # The clients' own logs and warnings: what matters in them is in our errors.
    logging.disable()
    warnings.simplefilter("ignore")
    try:
        app()
    except ImporterError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
