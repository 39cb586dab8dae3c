"""The whole life of the importer's code in a workspace, against the real azure-ai-ml and Blob clients."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from azure.core.pipeline.transport import HttpTransport

from components.dynamic.import_schedule import ImportScheduleProvider
from components.dynamic.importer_code import ImporterCodeProvider
from components.dynamic.importer_snapshot import BASE_IMAGE, read_environment, read_snapshot
from components.dynamic.provider import ResourceError
from components.dynamic.workspace import WorkspaceRef
from tests.unit.components.dynamic.fake_workspace import ROOT, WORKSPACE, FakeWorkspace

ID = f"{ROOT}/codes/importer"
SIGNATURE = "sig=not-for-an-error"
PROVIDER = ImporterCodeProvider()


class Blobs:
    """A Blob service in memory: the stored blobs, and the status of every upload."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.status = 201
        blobs = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(404)

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "comp=metadata" not in self.path and blobs.status == 201:
                    blobs.stored[unquote(urlsplit(self.path).path)] = body
                self._answer(200 if "comp=metadata" in self.path else blobs.status)

            def _answer(self, status: int) -> None:
                message = f"http://127.0.0.1{self.path} is refused, by its signature"
                body = f"<Error><Code>No</Code><Message>{escape(message)}</Message></Error>".encode()
                body = b"" if status in (200, 201, 404) else body
                self.send_response(status)
                self.send_header("x-ms-error-code", "BlobNotFound" if status == 404 else "No")
                self.send_header("Last-Modified", "Mon, 23 Nov 2026 06:00:00 GMT")
                self.send_header("ETag", '"1"')
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/account/container"


class CodeWorkspace(FakeWorkspace):
    """A workspace that accepts uploads of code."""

    blob_url = ""

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "POST" and path.endswith("/startPendingUpload"):
            credential = {"credentialType": "SAS", "sasUri": f"{self.blob_url}?{SIGNATURE}"}
            return 200, {"blobReferenceForConsumption": {"blobUri": self.blob_url, "credential": credential}}
        if method == "GET" and path == "codes/importer/versions":  # those with the upload's hash
            return 200, {"value": []}
        return super()._answer(method, path, body)


@pytest.fixture
def blobs() -> Iterator[Blobs]:
    blobs = Blobs()
    Thread(target=blobs.server.serve_forever, args=(0.01,), daemon=True).start()
    yield blobs
    blobs.server.shutdown()
    blobs.server.server_close()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small importer in place of the one beside the program."""
    package = tmp_path / "importer"
    package.mkdir()
    (package / "__init__.py").write_bytes(b"")
    (package / "run.py").write_bytes(b"print('hello')\n")
    (package / "requirements.txt").write_bytes(b"duckdb==2.0.0\n")
    monkeypatch.setattr("importer.__file__", str(package / "__init__.py"))
    return package


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, blobs: Blobs, package: Path) -> CodeWorkspace:  # noqa: ARG001
    fake = CodeWorkspace()
    fake.blob_url = blobs.url
    monkeypatch.setattr(WorkspaceRef, "client", lambda _, show_progress=False: fake.client(show_progress))
    return fake


def declared() -> dict[str, Any]:
    """Return the checked properties that a program declares for the current files."""
    snapshot = read_snapshot()
    given = {
        "workspace": WORKSPACE,
        "code_version": snapshot.version,
        "environment_version": read_environment(snapshot).version,
        "managed_by_stack": "ai-platform/dev/importer-code",
    }
    result = PROVIDER.check({}, given)
    assert result.failures == []
    return result.inputs


def create() -> dict[str, Any]:
    result = PROVIDER.create(declared())
    assert result.id == ID
    assert result.outs is not None
    return result.outs


def document(workspace: FakeWorkspace, arm_id: str) -> dict[str, Any]:
    properties: dict[str, Any] = workspace.documents[arm_id.removeprefix(f"{ROOT}/")]["properties"]
    return properties


def writes(workspace: FakeWorkspace) -> list[str]:
    """Return the method and the collection of each write, and clear them."""
    lines = [f"{line.split()[0]} {line.split()[1].split('/')[0]}" for line in workspace.writes]
    workspace.writes.clear()
    return lines


def test_create_uploads_and_registers_code_and_environment(workspace: CodeWorkspace, blobs: Blobs) -> None:
    outs = create()

    assert outs["code"] == f"{ROOT}/codes/importer/versions/{outs['code_version']}"
    assert document(workspace, outs["code"])["codeUri"] == f"{blobs.url}/importer-code"
    assert blobs.stored == {
        "/account/container/importer-code/importer/__init__.py": b"",
        "/account/container/importer-code/importer/run.py": b"print('hello')\n",
        "/account/container/importer-code/importer/requirements.txt": b"duckdb==2.0.0\n",
    }
    assert outs["environment"] == f"{ROOT}/environments/importer/versions/{outs['environment_version']}"
    environment = document(workspace, outs["environment"])
    assert environment["image"] == BASE_IMAGE
    assert "duckdb==2.0.0" in environment["condaFile"]
    assert SIGNATURE not in f"{outs} {workspace.documents}"


def test_create_restores_archived_versions_without_an_upload(workspace: CodeWorkspace, blobs: Blobs) -> None:
    outs = create()
    PROVIDER.delete(ID, outs)
    blobs.stored.clear()
    writes(workspace)

    assert create() == outs

    assert blobs.stored == {}
    assert document(workspace, outs["code"])["isArchived"] is False
    assert document(workspace, outs["environment"])["isArchived"] is False
    create()
    assert "PUT codes" in writes(workspace)
    create()
    assert "PUT codes" not in writes(workspace)


@pytest.mark.parametrize("status", [403, 400])
def test_refused_upload_registers_nothing_and_hides_the_signature(
    workspace: CodeWorkspace, blobs: Blobs, status: int
) -> None:
    blobs.status = status
    with pytest.raises(ResourceError, match="codes/importer in workspace mlw: cannot upload the") as raised:
        create()
    assert "is refused, by its signature" in str(raised.value)
    assert SIGNATURE not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not [path for path in workspace.documents if path.startswith("codes/")]

    blobs.status = 201
    assert document(workspace, create()["code"])


def test_unreachable_storage_is_one_line_without_the_signature(
    monkeypatch: pytest.MonkeyPatch, workspace: CodeWorkspace, blobs: Blobs
) -> None:
    monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)  # the pause before a retry
    workspace.blob_url = blobs.url.replace(str(blobs.server.server_port), "9")
    with pytest.raises(ResourceError, match=r"cannot upload the importer's code: .*refused") as raised:
        create()
    assert SIGNATURE not in str(raised.value)


def test_preview_knows_the_ids_that_an_update_registers(workspace: CodeWorkspace) -> None:  # noqa: ARG001
    foreseen = declared()
    registered = create()
    assert {name: foreseen[name] for name in ("code", "environment")} == {
        name: registered[name] for name in ("code", "environment")
    }


def test_unchanged_importer_is_no_difference(workspace: CodeWorkspace) -> None:
    outs = create()
    assert PROVIDER.diff(ID, outs, declared()).changes is False
    read = PROVIDER.read(ID, outs)
    assert (read.id, read.outs, read.inputs) == (ID, outs, declared())
    assert writes(workspace).count("PUT codes") == 1


@pytest.mark.parametrize(
    ("file", "content", "changed"),
    [
        ("run.py", "print('bye')\n", ["code_version"]),
        ("requirements.txt", "duckdb==2.0.1\n", ["code_version", "environment_version"]),
    ],
)
def test_changed_importer_registers_new_versions_and_archives_the_old_ones(
    workspace: CodeWorkspace, package: Path, file: str, content: str, changed: list[str]
) -> None:
    before = create()
    (package / file).write_text(content)

    diff = PROVIDER.diff(ID, before, declared())
    after = PROVIDER.update(ID, before, declared()).outs or {}

    assert PROVIDER.changes(before, declared()) == changed
    assert (diff.changes, diff.replaces) == (True, [])
    assert after["code"] != before["code"]
    assert (after["environment"] != before["environment"]) is ("environment_version" in changed)
    assert document(workspace, before["code"])["isArchived"] is True
    assert document(workspace, before["environment"])["isArchived"] is ("environment_version" in changed)
    assert not document(workspace, after["code"]).get("isArchived")
    assert PROVIDER.diff(ID, after, declared()).changes is False


@pytest.mark.usefixtures("workspace")
def test_file_changed_before_create_is_registered_and_recorded(package: Path) -> None:
    inputs = declared()
    (package / "run.py").write_text("print('later')\n")
    outs = PROVIDER.create(inputs).outs or {}
    assert outs["code"].endswith(outs["code_version"])
    assert PROVIDER.diff(ID, outs, declared()).changes is False
    assert PROVIDER.diff(ID, outs, inputs).changes is True


@pytest.mark.parametrize("gone", ["code", "environment"])
def test_deleted_version_shows_as_drift_and_an_update_registers_it(
    workspace: CodeWorkspace, gone: str
) -> None:
    outs = create()
    del workspace.documents[outs[gone].removeprefix(f"{ROOT}/")]

    live = PROVIDER.read(ID, outs).outs or {}

    assert PROVIDER.changes(live, declared()) == [f"{gone}_version"]
    assert PROVIDER.update(ID, live, declared()).outs == outs
    assert document(workspace, outs[gone])


def test_read_of_deleted_versions_returns_no_id(workspace: CodeWorkspace) -> None:
    outs = create()
    workspace.documents.clear()
    result = PROVIDER.read(ID, outs)
    assert (result.id, result.outs) == (None, {})


def test_delete_archives_and_a_second_delete_does_nothing(workspace: CodeWorkspace) -> None:
    outs = create()
    PROVIDER.delete(ID, outs)
    assert document(workspace, outs["code"])["isArchived"] is True
    assert document(workspace, outs["environment"])["isArchived"] is True
    PROVIDER.delete(ID, outs)
    workspace.documents.clear()
    PROVIDER.delete(ID, outs)


def use(code: dict[str, Any], mark: str, name: str = "houses") -> None:
    """Create a schedule with a mark, whose job runs registered code."""
    given = {
        "workspace": WORKSPACE,
        "spec": {"name": name, "connection": "snowflake", "query": "SELECT 1"},
        "cron": "0 6 * * *",
        "time_zone": "UTC",
        "environment": code["environment"],
        "code": code["code"],
        "run_on_create": False,
        "managed_by_stack": mark,
    }
    ImportScheduleProvider().create(given)


def archived(workspace: FakeWorkspace, code: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether the code and the environment are archived."""
    first, second = (document(workspace, code[kind]).get("isArchived") for kind in ("code", "environment"))
    return bool(first), bool(second)


def test_delete_archives_a_shared_version_with_its_last_user(workspace: CodeWorkspace) -> None:
    outs = create()
    use(outs, "ai-platform/other/houses")
    PROVIDER.delete(ID, outs)
    assert archived(workspace, outs) == (False, False)
    del workspace.documents["schedules/import_houses"]
    PROVIDER.delete(ID, outs)
    assert archived(workspace, outs) == (True, True)


@pytest.mark.parametrize(
    ("user", "is_kept"), [("ai-platform/other/houses", True), ("ai-platform/dev/houses", False)]
)
def test_new_code_archives_the_old_one_unless_another_stack_uses_it(
    workspace: CodeWorkspace, package: Path, user: str, is_kept: bool
) -> None:
    before = create()
    use(before, user)
    (package / "requirements.txt").write_text("duckdb==2.0.1\n")
    PROVIDER.update(ID, before, declared())
    assert archived(workspace, before) == (not is_kept, not is_kept)


def test_upgrade_of_a_stack_without_marks_archives_its_old_code(
    workspace: CodeWorkspace, package: Path
) -> None:
    before = create()
    del before["managed_by_stack"]
    use(before, "")
    (package / "run.py").write_text("print('bye')\n")
    PROVIDER.update(ID, before, declared())
    assert archived(workspace, before) == (True, False)


@pytest.mark.parametrize("version", ["", "latest", "A" * 32])
def test_check_refuses_a_malformed_version(version: str) -> None:
    given = {"workspace": WORKSPACE, "code_version": version, "environment_version": "0" * 32}
    (failure,) = PROVIDER.check({}, given).failures
    assert failure.reason.startswith("code_version: ")
