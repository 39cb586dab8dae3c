"""No secret of a run, whether it succeeds or fails, is anywhere but where it belongs."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import psutil
import pytest

from importer.spec.import_spec import ImportSpec, Mode
from importer.spec.run_record import LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE
from localcloud.arm import ArmStore
from localcloud.home import Home, write_atomically
from localcloud.snowflake_account import read_passwords
from tests.data_cloud import ALL_SALES, REPOSITORY, V1, V2, blob_names, command, container, spec
from tests.fault_proxy import Answer, Exchange, FaultProxy
from tests.forked_importer import ForkedRun, proxied

MODES: list[Mode] = ["stream", "unload"]


class Wire:
    """Passes everything on; keeps the secrets that go by, and what is told to Azure Monitor."""

    def __init__(self, home: Home) -> None:
        self.secrets = {"password": read_passwords(home)["IMPORTER"]}
        self.records: list[str] = []
        self.is_forbidden = False

    def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        body = gzip.decompress(request.body) if request.body[:2] == b"\x1f\x8b" else request.body
        if "dataCollectionRules" in request.path:
            self.records.append(body.decode())
        if found := re.search(r"AZURE_SAS_TOKEN = '[^']*sig=([^'&]+)", body.decode(errors="replace")):
            self.secrets["signature"] = found[1]
        if self.is_forbidden and request.service == "blob" and request.method == "PUT":
            exchange.send(Answer(403, {"x-ms-error-code": "AuthorizationFailure"}))
            return
        answer = exchange.forward()
        if request.service == "identity":
            self.secrets[f"token {request.path}"] = json.loads(answer.body)["access_token"]
        if "login-request" in request.path:
            data = json.loads(answer.body)["data"] or {}
            self.secrets |= {name: data[name] for name in ("token", "masterToken") if name in data}
        for signature in re.findall(rb"results/[^\"]+?sig=(\w+)", answer.body):
            self.secrets[f"chunk {signature!r}"] = signature.decode()
        exchange.send(answer)


@pytest.fixture(scope="module")
def proxy(home: Home) -> Iterator[FaultProxy]:
    with proxied(home) as proxy:
        yield proxy


@pytest.fixture
def wire(home: Home, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setenv(LOG_ENDPOINT_VARIABLE, home.azure_url)
    monkeypatch.setenv(LOG_RULE_VARIABLE, "dcr-1")
    proxy.act = wire = Wire(home)
    return wire


def run(spec: ImportSpec, version: str, proxy: FaultProxy, folder: Path, code: int) -> None:
    done = ForkedRun(spec, version, proxy, folder).end()
    assert done.code == code, done


def check_nowhere(home: Home, wire: Wire, asset: str, folder: Path, kinds: int) -> None:
    """Look for each secret in what was said, told and stored."""
    blobs = {name: container(home).download_blob(name).readall() for name in blob_names(home, asset)}
    logs = [path.read_bytes() for path in (home.path / "logs").iterdir()]
    said = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    stored = json.dumps(ArmStore(home.arm_db).descendants("")).encode()
    told = [text.encode() for text in (*blobs, *wire.records)]
    places = [*told, *blobs.values(), *logs, *said, stored]
    assert wire.records
    assert said
    assert len(wire.secrets) >= kinds
    for name, secret in wire.secrets.items():
        forms = {form.encode() for form in (secret, quote(secret, safe=""), unquote(secret))}
        found = [place for place in places if any(form in place for form in forms)]
        assert not found, f"{name} in {found[0][:300]!r}"


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_succeeds_tells_no_secret(
    home: Home, wire: Wire, proxy: FaultProxy, tmp_path: Path, mode: Mode
) -> None:
    imported = spec(f"canary_{mode}", ALL_SALES, mode=mode)
    run(imported, V1, proxy, tmp_path, 0)
    page = command("report", imported.name, "--output", str(tmp_path / "page.html"), spec=imported)
    assert page.returncode == 0, page.stderr
    check_nowhere(home, wire, imported.name, tmp_path, 6)


@pytest.mark.parametrize("mode", MODES)
def test_runs_that_fail_tell_no_secret(
    home: Home, wire: Wire, proxy: FaultProxy, tmp_path: Path, mode: Mode
) -> None:
    name = f"canary_failing_{mode}"
    run(spec(name, "SELECT 'x'::INT AS X", mode=mode), V1, proxy, tmp_path, 1)
    wire.is_forbidden = True
    run(spec(name, ALL_SALES, mode=mode), V1, proxy, tmp_path, 1)
    wire.is_forbidden = False
    secrets = home.vault_file.read_text()
    wire.secrets["wrong password"] = "canary-7391"
    write_atomically(home.vault_file, json.dumps({"snowflake-importer": "canary-7391"}), mode=0o600)
    try:
        run(spec(name, ALL_SALES, mode=mode), V2, proxy, tmp_path, 1)
    finally:
        write_atomically(home.vault_file, secrets, mode=0o600)
    assert [json.loads(record)[0]["Outcome"] for record in wire.records] == ["failed"] * 3
    check_nowhere(home, wire, name, tmp_path, 6)


def test_no_secret_is_an_argument(home: Home) -> None:
    imported = spec("canary_arguments", mode="unload")
    process = subprocess.Popen(
        [sys.executable, "-m", "importer", "run", imported.name, "--version", V1],
        cwd=REPOSITORY,
        env={**os.environ, "IMPORT_SPEC": imported.model_dump_json()},
        stdout=subprocess.DEVNULL,
    )
    seen: set[str] = set()
    while process.poll() is None:
        seen |= {" ".join(other.info["cmdline"] or []) for other in psutil.process_iter(["cmdline"])}
    assert process.returncode == 0
    assert any("canary_arguments" in line for line in seen)
    password = read_passwords(home)["IMPORTER"]
    assert not [line for line in seen if password in line or "sig=" in line]
