"""`importer start`: starts the job of an import's schedule now."""

from datetime import UTC, datetime

import typer

from importer.commands.failure import log_place
from importer.errors import ImporterError
from importer.spec.schedule import version_of
from importer.versions.workspace import Workspace


def start_import(name: str) -> None:
    """Start the job of an import in the workspace of the environment, and print where to look."""
    workspace = Workspace()
    scheduled = workspace.scheduled(name)
    if not scheduled.is_enabled:
        raise ImporterError(
            f"import {name} is disabled: set enabled: true in ai-platform:imports, and deploy"
        )
    at = datetime.now(UTC)
    job = workspace.trigger(scheduled, at)
    typer.echo(f"Job {job} imports {name} as version {version_of(at)}.")
    for url in (found.url for found in workspace.jobs(scheduled) if found.name == job):
        typer.echo(f"Its log: {log_place(url)}")
    typer.echo(f"`importer list` shows how it ends, `importer history {name}` what it read.")
