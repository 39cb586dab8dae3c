"""`importer retire`: deletes the versions that an import no longer keeps, or lists them."""

from importer.lake.blob import AssetBlobs
from importer.progress import open_progress
from importer.versions.retention import retire_versions, tell_fates
from importer.versions.workspace import Workspace


def retire_import(name: str, *, dry_run: bool) -> None:
    """Archive and delete the versions past the retention of an import and of its clean asset.

    With `dry_run`, only print what would be deleted.
    """
    workspace = Workspace()
    spec = workspace.spec(name)
    assets = {spec.name: spec.datastore}
    if spec.curate is not None:
        assets[spec.curate.asset] = spec.clean_datastore
    with open_progress() as progress:
        for asset, datastore in assets.items():
            blobs = AssetBlobs(workspace.datastore(datastore), asset)
            if dry_run:
                tell_fates(spec, workspace, blobs, progress)
            else:
                retire_versions(spec, workspace, blobs, progress)
