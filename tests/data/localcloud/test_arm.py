"""The local Azure's documents, which several processes share through one SQLite database."""

import gc
from pathlib import Path

import psutil

from localcloud.arm import ArmStore


def test_no_call_leaves_the_database_open(tmp_path: Path) -> None:
    # Python breaks the reference cycle of a connection only now and then, so `with` alone leaves it open
    gc.disable()
    try:
        store = ArmStore(tmp_path / "arm.db")
        store.put("/subscriptions/1/resourceGroups/rg", {"id": "rg"})
        assert store.get("/subscriptions/1/resourceGroups/rg") == {"id": "rg"}
        assert store.descendants("") == [{"id": "rg"}]
        assert store.delete("/subscriptions/1/resourceGroups/rg")
        opened = [file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]
        assert opened == []
    finally:
        gc.enable()
