"""Settings of this program out of what Azure ML's own data import had: its YAML, or a live workspace."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from importer.commands.migrate.convert import convert
from importer.commands.migrate.documents import Inventory
from importer.commands.migrate.files import read_files
from importer.commands.migrate.render import render
from importer.errors import ImporterError


def migrate(files: Sequence[Path], *, with_workspace: bool) -> tuple[str, str | None]:
    """Return the settings as YAML, and a line on what must be mended first where that is needed.

    Raises an ImporterError where there is nothing to read, or the workspace cannot be read.
    """
    if not files and not with_workspace:
        raise ImporterError("nothing to migrate: name files of az ml, or give --workspace")
    inventory = read_files(files)
    if with_workspace:
        from importer.commands.migrate.live import LiveWorkspace  # azure-ai-ml takes seconds

        live = LiveWorkspace().inventory()
        inventory = Inventory([*inventory.found, *live.found], [*inventory.refused, *live.refused])
    migration = convert(inventory, datetime.now(UTC))
    broken = [refused.where for refused in inventory.refused if refused.is_broken]
    if broken:
        return render(migration), f"cannot be read, see the notes: {', '.join(broken)}"
    if migration.is_empty:
        return render(migration), "nothing could be taken over, see the notes"
    return render(migration), None
