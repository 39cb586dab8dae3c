"""`importer retire`: deletes the versions that an import no longer keeps, or lists them."""

from importer.lake.asset_blobs import AssetBlobs
from importer.lake.stored_versions import StoredVersions
from importer.progress import open_progress
from importer.versions.retention import report_expired_versions, retire_versions
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
            stored = StoredVersions(AssetBlobs(workspace.datastore(datastore), asset))
            if dry_run:
                report_expired_versions(spec, workspace, stored, progress)
            elif retire_versions(spec, workspace, stored, progress) == 0:
                progress.say("nothing to retire", asset=asset, versions=len(workspace.versions(asset)))
