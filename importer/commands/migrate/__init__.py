"""`importer migrate`: settings that replace Azure ML's own data import, from its YAML or a live workspace."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from importer.commands.migrate.convert import convert
from importer.commands.migrate.documents import Inventory
from importer.commands.migrate.files import read_files
from importer.commands.migrate.render import render
from importer.errors import ImporterError


def print_settings(files: Sequence[Path], *, with_workspace: bool) -> None:
    """Print the settings as YAML; then raise an ImporterError if a file must be fixed first."""
    yaml, problem = migrate(files, with_workspace=with_workspace)
    typer.echo(yaml, nl=False)
    if problem is not None:
        raise ImporterError(problem)


def migrate(files: Sequence[Path], *, with_workspace: bool) -> tuple[str, str | None]:
    """Return the settings as YAML, and the problem to fix first, if any.

    Raises an ImporterError if there is nothing to read, or the workspace cannot be read.
    """
    if not files and not with_workspace:
        raise ImporterError("nothing to migrate: give YAML files of `az ml`, or --workspace")
    inventory = read_files(files)
    if with_workspace:
        from importer.commands.migrate.live import LiveWorkspace  # azure-ai-ml takes seconds

        live = LiveWorkspace().inventory()
        inventory = Inventory([*inventory.found, *live.found], [*inventory.refused, *live.refused])
    migration = convert(inventory, datetime.now(UTC))
    broken = [refused.where for refused in inventory.refused if refused.is_broken]
    if broken:
        return render(migration), f"cannot read {', '.join(broken)}: see the notes"
    if migration.is_empty:
        return render(migration), "nothing could be migrated: see the notes"
    return render(migration), None
