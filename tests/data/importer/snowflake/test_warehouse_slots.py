"""The limit on imports that ask one warehouse at once, on the leases of a real blob service."""

import json
import threading
from collections.abc import Iterator

import pytest
from azure.storage.blob import BlobLeaseClient, ContainerClient
from tenacity import stop_after_attempt, wait_none

from importer.errors import ImporterError
from importer.progress import JsonLines
from importer.snowflake.warehouse_slots import TURNS, import_slot
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from importer.versions.workspace import Workspace
from localcloud.home import BLOB_KEY, Home
from tests.data_cloud import blob_names, container, run, spec


def target(at_once: int, warehouse: str) -> SnowflakeTarget:
    return SnowflakeTarget(
        account="local",
        host="127.0.0.1",
        warehouse=warehouse,
        role="IMPORTER",
        sign_in=SignIn.PASSWORD,
        concurrent_imports=at_once,
    )


@pytest.fixture
def lake(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerClient]:
    monkeypatch.setattr("importer.snowflake.warehouse_slots.TURNS", TURNS.copy(wait=wait_none()))
    with container(home) as client:
        yield client


def test_parallel_imports_never_exceed_the_limit(lake: ContainerClient) -> None:
    inside, most = set[str](), 0
    counting = threading.Lock()
    two = threading.Barrier(2, timeout=60)

    def one_import(name: str) -> None:
        nonlocal most
        with import_slot(lake, target(2, "BUSY_WH"), name, JsonLines()):
            with counting:
                inside.add(name)
                most = max(most, len(inside))
            two.wait()  # both slots are used
            with counting:
                inside.remove(name)

    threads = [threading.Thread(target=one_import, args=(f"import_{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert most == 2


def test_full_warehouse_does_not_delay_imports_of_another(
    lake: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "importer.snowflake.warehouse_slots.TURNS", TURNS.copy(wait=wait_none(), stop=stop_after_attempt(1))
    )
    with (
        import_slot(lake, target(1, "ONE_WH"), "a", JsonLines()),
        import_slot(lake, target(1, "OTHER_WH"), "b", JsonLines()),
    ):
        for warehouse in ("ONE_WH", "OTHER_WH"):
            slot = lake.get_blob_client(f"_slots/local/{warehouse}/0")
            assert slot.get_blob_properties().lease.state == "leased"


def test_import_waits_for_a_slot_and_logs_it(
    lake: ContainerClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = Workspace.connection
    monkeypatch.setattr(
        Workspace,
        "connection",
        lambda self, name: connection(self, name).model_copy(update={"concurrent_imports": 1}),
    )
    first = import_slot(lake, target(1, "IMPORT_WH"), "first", JsonLines())
    first.__enter__()
    waiting = threading.Event()
    monkeypatch.setattr(
        "importer.snowflake.warehouse_slots.TURNS",
        TURNS.copy(wait=wait_none(), sleep=lambda _: waiting.set()),
    )
    second = threading.Thread(target=run, args=(spec("second"),))
    second.start()
    assert waiting.wait(60)
    assert [name for name in blob_names_of(lake) if name.startswith("second/")] == []
    first.__exit__(None, None, None)
    second.join(60)

    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in said] == ["started", "waiting for other imports", "registered"]
    assert said[1] == {"event": "waiting for other imports", "warehouse": "IMPORT_WH", "at_once": 1}


def blob_names_of(lake: ContainerClient) -> list[str]:
    return list(lake.list_blob_names())


def test_import_without_a_slot_fails_with_what_to_change(
    lake: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "importer.snowflake.warehouse_slots.TURNS", TURNS.copy(wait=wait_none(), stop=stop_after_attempt(3))
    )
    with (
        import_slot(lake, target(1, "FULL_WH"), "a", JsonLines()),
        pytest.raises(
            ImporterError,
            match=r"no slot of warehouse FULL_WH was free .* raise snowflake\.concurrentImports",
        ),
        import_slot(lake, target(1, "FULL_WH"), "b", JsonLines()),
    ):
        pass


def test_slot_is_a_lease_of_limited_time_that_is_renewed(
    lake: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = threading.Event()
    renew = BlobLeaseClient.renew

    def renewing(self: BlobLeaseClient) -> None:
        renew(self)
        renewed.set()

    monkeypatch.setattr(BlobLeaseClient, "renew", renewing)
    monkeypatch.setattr("importer.snowflake.warehouse_slots._RENEWED_AFTER", 0.01)
    with import_slot(lake, target(1, "KEPT_WH"), "a", JsonLines()):
        assert renewed.wait(60)
        lease = lake.get_blob_client("_slots/local/KEPT_WH/0").get_blob_properties().lease
        assert (lease.state, lease.duration) == ("leased", "fixed")
    assert lake.get_blob_client("_slots/local/KEPT_WH/0").get_blob_properties().lease.state == "available"


def test_storage_error_is_not_reported_as_a_busy_warehouse(home: Home) -> None:
    nowhere = ContainerClient(f"{home.blob_url}/lake", "no-such-container", credential=BLOB_KEY)
    with (
        pytest.raises(ImporterError, match="no-such-container"),
        import_slot(nowhere, target(1, "A_WH"), "a", JsonLines()),
    ):
        pass


def test_failed_import_frees_its_slot(home: Home, lake: ContainerClient) -> None:
    with pytest.raises(ImporterError, match="failed in Snowflake"):
        run(spec("slotless", "SELECT * FROM NO.SUCH.TABLE"))
    assert blob_names(home, "slotless") == []
    states = {
        lake.get_blob_client(name).get_blob_properties().lease.state
        for name in lake.list_blob_names(name_starts_with="_slots/local/IMPORT_WH/")
    }
    assert states == {"available"}
