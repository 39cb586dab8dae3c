"""`kill -9` before and after every request of an import, and a second run of the same version meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient

from importer.spec.import_spec import Mode
from importer.spec.schedule import version_of
from localcloud.home import Home
from tests.data_cloud import container, spec
from tests.fault_proxy import Exchange, FaultProxy, Request, pass_on
from tests.forked_importer import ForkedRun, proxied
from tests.listed_asset import QUERY, ListedAsset, write_several_files

MODES: list[Mode] = ["stream", "unload"]


@pytest.fixture(autouse=True)
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    write_several_files(monkeypatch)


@pytest.fixture(scope="module")
def proxy(home: Home) -> Iterator[FaultProxy]:
    with proxied(home) as proxy:
        yield proxy


class Moment(NamedTuple):
    """Where a test stops a run: before its request `number` reaches the service, or after the write `number`.

    Stops after requests that only read are left out: they change nothing.
    """

    number: int
    is_after: bool

    def counts(self, request: Request) -> bool:
        """Whether the request is one of those that are counted."""
        return not self.is_after or request.method not in ("GET", "HEAD")


class Stop:
    """Holds a run at a moment until `tell` says whether it continues; other requests pass."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._seen = 0
        self._counting = threading.Lock()
        self._is_told = threading.Event()
        self._goes_on = False
        self.reached = threading.Event()
        self.request = ""

    def __call__(self, exchange: Exchange) -> None:
        with self._counting:
            is_counted = self._moment.counts(exchange.request)
            self._seen += is_counted
            is_it = is_counted and self._seen == self._moment.number
        if not is_it:
            pass_on(exchange)
            return
        self.request = str(exchange.request)
        answer = exchange.forward() if self._moment.is_after else None
        self.reached.set()
        self._is_told.wait()
        if self._goes_on:
            exchange.send(answer or exchange.forward())
        else:
            exchange.hang_up()

    def tell(self, *, goes_on: bool) -> None:
        """Let the run continue from the moment, or close its connection."""
        self._goes_on = goes_on
        self._is_told.set()


def ticks() -> Iterator[str]:
    start = datetime(2026, 11, 23, 6, tzinfo=UTC)
    return (version_of(start + timedelta(hours=hours)) for hours in range(10_000))


def stop_at(stop: Stop, start: Callable[[], ForkedRun], proxy: FaultProxy) -> ForkedRun:
    """Start a run; return it once it has reached the moment, or has ended."""
    proxy.act = stop
    run = start()
    while not stop.reached.wait(0.01) and not run.has_ended:
        pass
    return run


@pytest.mark.timeout(900)  # a hundred runs
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("mode", MODES)
def test_run_after_a_kill_at_any_request_makes_one_version(
    home: Home, proxy: FaultProxy, tmp_path: Path, mode: Mode, is_after: bool
) -> None:
    imported = spec(f"killed_{mode}_{is_after}".lower(), QUERY, mode=mode, keep_versions=1)
    asset = ListedAsset(home, imported)
    for number, version in enumerate(ticks()):
        stop = Stop(Moment(number, is_after))
        start = partial(ForkedRun, imported, version, proxy, tmp_path)
        run = stop_at(stop, start, proxy)
        with told(number, stop):
            asset.check_readers()
            run.kill()
            stop.tell(goes_on=False)
            end_leases(home)
            done = start().end()
            assert (done.code, done.stderr) == (0, ""), done
            asset.check(version)
        if number and not stop.reached.is_set():
            break
    asset.check_alone(version)
    assert number > (20 if is_after else 40)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def test_run_overtaken_at_any_write_succeeds(
    home: Home, proxy: FaultProxy, tmp_path: Path, mode: Mode
) -> None:
    imported = spec(f"overtaken_{mode}", QUERY, mode=mode, keep_versions=1)
    asset = ListedAsset(home, imported)
    for number, version in enumerate(ticks()):
        stop = Stop(Moment(number, is_after=True))
        start = partial(ForkedRun, imported, version, proxy, tmp_path)
        first = stop_at(stop, start, proxy)
        with told(number, stop):
            second = start().end()
            assert (second.code, second.stderr) == (0, "")
            asset.check_readers()
            stop.tell(goes_on=True)
            done = first.end()
            assert (done.code, done.stderr) == (0, ""), done
            asset.check(version)
        if number and not stop.reached.is_set():
            break
    asset.check_alone(version)
    assert number > 20


@pytest.mark.parametrize("mode", MODES)
def test_two_concurrent_runs_make_one_version_and_succeed(
    home: Home, proxy: FaultProxy, tmp_path: Path, mode: Mode
) -> None:
    imported = spec(f"twins_{mode}", QUERY, mode=mode, keep_versions=1)
    proxy.act = pass_on
    for version in islice(ticks(), 3):
        runs = [ForkedRun(imported, version, proxy, tmp_path) for _ in range(2)]
        for done in [run.end() for run in runs]:
            assert (done.code, done.stderr) == (0, ""), done
        ListedAsset(home, imported).check(version)


@contextmanager
def told(number: int, stop: Stop) -> Iterator[None]:
    """Add to a failure the request at which it happened."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"at request {number}: {stop.request}") from error


def end_leases(home: Home) -> None:
    """Free the warehouse slots of killed runs at once, instead of after a minute."""
    for name in container(home).list_blob_names(name_starts_with="_slots/"):
        with suppress(HttpResponseError):  # it is free already
            BlobLeaseClient(container(home).get_blob_client(name)).break_lease(0)
