"""`importer curate`: makes the clean version of a version that is imported already."""

from datetime import datetime

from importer.errors import ImporterError
from importer.job.curate.run import CleanAsset
from importer.progress import open_progress
from importer.spec.schedule import version_of
from importer.versions.workspace import Workspace


def curate_version(name: str, tick: datetime | None) -> None:
    """Make the clean version of the version of `tick`, or of the newest, unless it is registered already.

    An ImporterError says that the import has no `curate`, or why the version cannot be curated.
    """
    workspace = Workspace()
    spec = workspace.spec(name)
    if spec.curate is None:
        raise ImporterError(f"import {name} has no rules: set curate in ai-platform:imports")
    with open_progress() as progress:
        clean = CleanAsset(spec, spec.curate, workspace, progress)
        clean.make(version_of(tick) if tick is not None else clean.newest_source())
