"""Trouble on the wire, once at every request of an import, and for ever at each kind of request."""

import gzip
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from tenacity import stop_after_attempt

from importer.lake import azure
from importer.snowflake.result_chunks import CHUNK_RETRIES
from importer.snowflake.session import LOGIN_RETRIES
from importer.spec.import_spec import Mode
from importer.spec.schedule import version_of
from localcloud.home import Home
from tests.data_cloud import V1, V2, spec
from tests.fault_proxy import Action, Answer, Exchange, FaultProxy, Request, pass_on
from tests.forked_importer import Ended, ForkedRun, proxied
from tests.listed_asset import QUERY, ListedAsset, write_several_files

MODES: list[Mode] = ["stream", "unload"]
#: All that may tell two tries of one request apart.
_TRIES = {"request_id", "request_guid", "clientStartTime", "retryCount", "retryReason"}


@pytest.fixture(scope="module")
def proxy(home: Home) -> Iterator[FaultProxy]:
    with proxied(home) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clients wait for a hundredth of the time, and a small table come in parts and blocks."""
    sleep = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: sleep(seconds / 100))
    monkeypatch.setitem(azure.TIMEOUTS, "read_timeout", 0.5)
    monkeypatch.setattr("importer.snowflake.session._TIMEOUT", 1)
    monkeypatch.setattr("importer.snowflake.result_chunks._TIMEOUTS", (1, 0.5))
    monkeypatch.setattr(
        "importer.snowflake.session.LOGIN_RETRIES", LOGIN_RETRIES.copy(stop=stop_after_attempt(2))
    )
    monkeypatch.setattr("importer.snowflake.session._LOGIN_SECONDS", 2)
    monkeypatch.setattr(
        "importer.snowflake.result_chunks.CHUNK_RETRIES", CHUNK_RETRIES.copy(stop=stop_after_attempt(3))
    )
    write_several_files(monkeypatch)


def answered(status: int, **headers: str) -> Action:
    """Return what answers with a status, as a gateway in front of the service does."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.send(Answer(status, told))


def refused(exchange: Exchange) -> None:
    """Reset the connection before the service has the request."""
    exchange.reset()


def lost(exchange: Exchange) -> None:
    """Reset the connection when the service has done what it is asked for."""
    exchange.forward()
    exchange.reset()


def cut_off(exchange: Exchange) -> None:
    """Send half of the answer, and reset the connection."""
    send_half(exchange)
    exchange.reset()


def ended_early(exchange: Exchange) -> None:
    """Send half of the answer, and close the connection in an orderly way."""
    send_half(exchange)
    exchange.hang_up()


def send_half(exchange: Exchange) -> None:
    status, headers, body, _ = astuple(exchange.forward())
    exchange.send(Answer(status, headers, body[: len(body) // 2], len(body)))


def silent(exchange: Exchange) -> None:
    """Never answer."""
    exchange.hang()


TROUBLES: dict[str, Action] = {
    "429": answered(429, Retry_After="1"),
    "500": answered(500),
    "503": answered(503),
    "reset": refused,
    "lost": lost,
    "cut-off": cut_off,
    "ended-early": ended_early,
    "silent": silent,
}


def sql(request: Request) -> str | None:
    """Return the statement that a request asks Snowflake to run or to describe, if it is for that."""
    if not request.path.startswith("/queries/v1/query-request"):
        return None
    body = json.loads(gzip.decompress(request.body))
    return f"{body['sqlText']} {body.get('describeOnly')}"


def same(request: Request) -> str:
    """Return what is the same of all tries of one request."""
    parts = urlsplit(request.path)
    if statement := sql(request):
        return statement
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _TRIES]
    return f"{request.service} {request.method} {parts.path} {query}"


Wanted = Callable[[Request], bool]


def requested(method: str, path: str, service: str = "blob") -> Wanted:
    return lambda request: (
        (request.service, request.method) == (service, method) and re.search(path, request.path) is not None
    )


def asked(statement: str) -> Wanted:
    return lambda request: (sql(request) or "").startswith(statement)


KINDS: dict[str, tuple[Mode, Wanted]] = {
    "token": ("stream", requested("GET", "/msi/token", "identity")),
    "secret": ("stream", requested("GET", "/vaults/", "azure")),
    "workspace": ("stream", requested("GET", "/datastores/", "azure")),
    "list": ("stream", requested("GET", "comp=list")),
    "sign-in": ("stream", requested("POST", "login-request", "snowflake")),
    "query": ("stream", asked("SELECT")),
    "chunk": ("stream", requested("GET", "/results/", "snowflake")),
    "block": ("stream", requested("PUT", "comp=block&")),
    "block-list": ("stream", requested("PUT", "comp=blocklist")),
    "manifest": ("stream", requested("PUT", "_manifest.json")),
    "commit": ("stream", requested("PUT", "_committed.json")),
    "registration": ("stream", requested("PUT", "/data/", "azure")),
    "key": ("unload", requested("POST", "comp=userdelegationkey")),
    "copy": ("unload", asked("COPY INTO")),
    "file": ("unload", requested("GET", r"\.parquet")),
}


class Once:
    """Trouble for each request at its first try; silence, which takes its time, for some."""

    def __init__(self, trouble: Action) -> None:
        self._trouble = trouble
        self._counting = threading.Lock()
        self.tries: Counter[str] = Counter()

    def __call__(self, exchange: Exchange) -> None:
        with self._counting:
            self.tries[same(exchange.request)] += 1
            is_first = self.tries[same(exchange.request)] == 1
        if self._trouble is silent:
            is_first &= any(wanted(exchange.request) for _, wanted in KINDS.values())
        (self._trouble if is_first else pass_on)(exchange)


def run(name: str, mode: Mode, proxy: FaultProxy, folder: Path, version: str = V1) -> Ended:
    return ForkedRun(spec(name, QUERY, mode=mode, keep_versions=1), version, proxy, folder).end(timeout=100)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_trouble_once_at_every_request_stops_no_import(
    home: Home, proxy: FaultProxy, tmp_path: Path, mode: Mode, trouble: Action, request: pytest.FixtureRequest
) -> None:
    asset = re.sub(r"\W", "_", f"once_{request.node.callspec.id}")
    proxy.act = pass_on
    assert run(asset, mode, proxy, tmp_path).code == 0
    once = Once(trouble)
    proxy.act = once

    done = run(asset, mode, proxy, tmp_path, V2)

    assert (done.code, done.stderr) == (0, ""), done.stderr
    assert "failed" not in done.stdout
    ListedAsset(home, spec(asset)).check(V2)
    assert len(once.tries) > 30


FORMER = "20261122T060000Z"
LATER = (version_of(datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=hours)) for hours in count())


def at_kinds(troubles: list[str], kinds: Iterable[str]) -> list[object]:
    return [pytest.param(t, kind, id=f"{t}-{kind}") for t in troubles for kind in kinds]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    at_kinds(["503", "silent"], KINDS) + at_kinds(["429", "reset", "cut-off"], ["query", "chunk", "copy"]),
)
def test_trouble_for_ever_is_one_line_and_leaves_the_version_before(
    home: Home, proxy: FaultProxy, tmp_path: Path, trouble: str, kind: str
) -> None:
    mode, wanted = KINDS[kind]
    # what is committed and not registered is so by the next run
    name = f"ever_{mode}" if kind != "registration" else f"registration_{trouble}"
    asset = ListedAsset(home, spec(name))
    if not asset.versions():
        proxy.act = pass_on
        assert run(name, mode, proxy, tmp_path, FORMER).code == 0
    tries: list[Request] = []

    def for_ever(exchange: Exchange) -> None:
        if wanted(exchange.request):
            tries.append(exchange.request)
        (TROUBLES[trouble] if wanted(exchange.request) else pass_on)(exchange)

    proxy.act = for_ever
    done = run(name, mode, proxy, tmp_path, next(LATER))

    assert done.code == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "sig=" not in line
    assert 1 < len(tries) < 40
    asset.check_readers()
    assert asset.versions() == [FORMER]


@pytest.mark.parametrize("trouble", ["503", "reset", "cut-off", "silent"])
def test_a_query_that_runs_for_long_is_asked_for_in_spite_of_trouble(
    home: Home, proxy: FaultProxy, tmp_path: Path, trouble: str
) -> None:
    name = f"long_{trouble}".replace("-", "_")
    kept: list[Answer] = []

    def end(exchange: Exchange) -> None:
        exchange.send(kept[0])

    progress = iter([TROUBLES[trouble], in_progress, TROUBLES[trouble], end])

    def act(exchange: Exchange) -> None:
        if exchange.request.path == "/queries/1/result":
            next(progress)(exchange)
            return
        if (sql(exchange.request) or "").startswith("SELECT"):
            kept.append(exchange.forward())
            in_progress(exchange)
            return
        pass_on(exchange)

    proxy.act = act
    done = run(name, "stream", proxy, tmp_path)

    assert (done.code, done.stderr) == (0, "")
    ListedAsset(home, spec(name)).check(V1)
    assert next(progress, None) is None


def in_progress(exchange: Exchange) -> None:
    """Answer as Snowflake does while a query runs: where its result will be."""
    data = {"getResultUrl": "/queries/1/result", "queryId": "1"}
    body = json.dumps({"data": data, "code": "333333", "message": None, "success": True})
    exchange.send(Answer(200, {"Content-Type": "application/json"}, body.encode()))
