"""The commands of `python -m importer`."""

import logging
import os
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from importer.errors import ImporterError
from importer.spec.schedule import parse_tick, version_of
from importer.spec.scheduled_job import SPEC_VARIABLE

app = typer.Typer(
    help="Imports Snowflake queries as versioned data assets of the Azure ML workspace in the environment.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The import's name, as in ai-platform:imports.", metavar="NAME")]

#: What a run says that a person has started.
_RUNS_HERE = (
    "under your own sign-in, without a record for the alerts; `importer start {name}` runs the schedule's job"
)

# Each command imports what it needs: the clients of Azure and Snowflake take seconds.


@app.command()
def run(
    name: Name,
    version: Annotated[
        str | None, typer.Option(help="The scheduled time, such as 2026-11-23T06:00:00Z; now if not given.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read all rows, even if the import is incremental.")
    ] = False,
) -> None:
    """Import once, here and under your own sign-in, unless the version is registered already.

    In a schedule's job, the sign-in is the import's, and the run leaves a record for the alerts.
    """
    tick = _tick(version) if version is not None else datetime.now(UTC)

    # not importer.commands, which a job's code does without
    from importer.job.run import Import
    from importer.job.telemetry import recording
    from importer.progress import open_progress
    from importer.versions.workspace import Workspace

    with open_progress() as shown, recording(name, tick, shown) as progress:
        if not os.environ.get(SPEC_VARIABLE):  # a job has it
            progress.say("runs here", note=_RUNS_HERE.format(name=name))
        workspace = Workspace()
        Import(workspace.spec(name), workspace, progress, full=full).run(version_of(tick))


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait until no import is running, then fail if one is broken or its last job failed and no "
            "newer version is registered.",
        ),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="With --wait: a last job that started before this time, such as 2026-11-23T06:00:00Z, is no "
            "reason to fail.",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="How long --wait waits, in seconds.")] = 300,
) -> None:
    """List the imports, each with its schedule, newest version and last job, and why a job failed."""
    started_after = _time("--since", since) if since is not None else None

    from importer.commands.list import list_imports

    list_imports(as_json=json, wait_seconds=timeout if wait else None, since=started_after)


@app.command()
def history(
    name: Name,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    count: Annotated[int, typer.Option(min=1, help="How many runs to show.")] = 20,
) -> None:
    """Show the newest runs of an import: rows read, new and replaced, duration, outcome."""
    from importer.commands.history import show_history

    show_history(name, count=count, as_json=json)


@app.command()
def start(name: Name) -> None:
    """Start the job of the import's schedule now, with the import's own identity and alerts."""
    from importer.commands.start import start_import

    start_import(name)


@app.command()
def retire(
    name: Name,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the versions that would be deleted.")
    ] = False,
) -> None:
    """Archive and delete the versions past keepVersions and keepDays, as every run does at its end."""
    from importer.commands.retire import retire_import

    retire_import(name, dry_run=dry_run)


@app.command()
def preview(
    name: Name,
    json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for the query, and one for each row.")
    ] = False,
) -> None:
    """Show the columns of an import's query, its row count and its first ten rows; write nothing."""
    from importer.commands.preview import show_preview

    show_preview(name, as_json=json)


@app.command()
def curate(
    name: Name,
    version: Annotated[
        str | None, typer.Option(help="The version's scheduled time; the newest version if not given.")
    ] = None,
) -> None:
    """Make the clean version of an imported version, unless it is registered already."""
    tick = _tick(version) if version is not None else None

    from importer.commands.curate import curate_version

    curate_version(name, tick)


@app.command()
def contract(name: Name) -> None:
    """Print a first contract for an import, derived from its current rows; write nothing."""
    from importer.commands.contract import first_contract
    from importer.versions.workspace import Workspace

    workspace = Workspace()
    typer.echo(first_contract(workspace.spec(name), workspace), nl=False)


@app.command()
def migrate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="YAML files of data imports, import schedules and connections."),
    ] = None,
    workspace: Annotated[
        bool, typer.Option("--workspace", help="Also read the workspace in the environment.")
    ] = False,
) -> None:
    """Print the settings that replace `az ml data import`, its schedules and its connections."""
    from importer.commands.migrate import print_settings

    print_settings(files or [], with_workspace=workspace)


@app.command()
def report(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; reports/NAME-VERSION.html if not given."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="The version or its scheduled time; the newest version if not given."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out; may be repeated.")
    ] = None,
) -> None:
    """Write a page about a version: its columns, how they changed, and the versions before it."""
    from importer.commands.report import report_version

    report_version(name, version, output, without=set(without or ()))


@app.command()
def grants(
    name: Name,
    user: Annotated[
        str | None, typer.Option(help="The importer's user in Snowflake; the connection's if not given.")
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
        list[str] | None,
        typer.Option(help="An address or range from which the importer connects; may be repeated."),
    ] = None,
) -> None:
    """Print the SQL that a Snowflake administrator runs for an import: role, user, grants; run nothing."""
    from importer.commands.grants import administration, import_grants

    given = administration(user, tenant_id, object_id, public_key, address or [])
    typer.echo(import_grants(name, given), nl=False)


def _tick(version: str) -> datetime:
    return _time("--version", version)


def _time(option: str, text: str) -> datetime:
    try:
        return parse_tick(text)
    except ValueError as error:
        raise ImporterError(f"{option} {text}: {error}") from None


def main() -> None:
    """Run the command line; an error is one line on standard error, and exit code 1."""
    # the clients' logs and warnings: our errors contain what matters in them
    logging.disable()
    warnings.simplefilter("ignore")
    try:
        app()
    except ImporterError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
