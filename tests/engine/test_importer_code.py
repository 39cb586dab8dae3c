"""The importer's code under the real engine: what a preview shows, and what an update registers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.dynamic.importer_snapshot import read_snapshot
from localcloud.arm import ArmStore, Document
from tests.data_cloud import WORKSPACE, deploy
from tests.local_cloud import REPOSITORY, Cloud, new_cloud

PROGRAM = """
import pulumi
from components.dynamic.import_schedule import ImportSchedule, ImportScheduleArgs
from components.dynamic.importer_code import ImporterCode, ImporterCodeArgs

_, _, subscription, _, group, _, _, _, name = "WORKSPACE".split("/")
workspace = {"subscription_id": subscription, "resource_group": group, "name": name}
code = ImporterCode("code", ImporterCodeArgs(workspace=workspace))
ImportSchedule("houses", ImportScheduleArgs(
    workspace=workspace, cron="0 6 * * *", time_zone="UTC", run_on_create=False,
    spec={"name": "houses", "connection": "snowflake", "query": "SELECT 1"},
    environment=code.environment, code=code.code))
pulumi.export("code", code.code)
""".replace("WORKSPACE", WORKSPACE)


@dataclass
class Stack:
    """A program with a copy of the importer beside it, on its own local cloud."""

    cloud: Cloud
    directory: Path

    @property
    def package(self) -> Path:
        return self.directory / "importer"

    def succeed(self, *command: str) -> str:
        done = subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.directory,
            env={
                **os.environ,
                **self.cloud.env,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(REPOSITORY),
                "PULUMI_HOME": str(self.directory.parent / "pulumi"),
                "PULUMI_BACKEND_URL": (self.directory.parent / "state").as_uri(),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def document(self, arm_id: str) -> Document:
        document = ArmStore(self.cloud.home.arm_db).get(arm_id)
        assert document
        return document

    def codes(self) -> list[str]:
        """Return the versions of the code that are registered and not archived."""
        found = ArmStore(self.cloud.home.arm_db).children(f"{WORKSPACE}/codes/importer/versions")
        return [d["name"] for d in found if not d["properties"].get("isArchived")]

    def job_variables(self) -> dict[str, Any]:
        schedule = self.document(f"{WORKSPACE}/schedules/import_houses")
        job = schedule["properties"]["action"]["jobDefinition"]
        variables: dict[str, Any] = job["jobs"]["import"]["environment_variables"]
        return variables


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    path = tmp_path_factory.mktemp("code")
    cloud = new_cloud(path / "cloud")
    deploy(cloud.home)
    for name in ("project", "state", "pulumi"):
        (path / name).mkdir()
    stack = Stack(cloud, path / "project")
    (stack.directory / "Pulumi.yaml").write_text("{name: code, runtime: python}")
    (stack.directory / "__main__.py").write_text(PROGRAM)
    shutil.copytree(REPOSITORY / "importer", stack.package, ignore=shutil.ignore_patterns("__pycache__"))
    cloud.start("blob", "azure")
    stack.succeed("stack", "init", "test")
    yield stack
    cloud.run("stop")


def test_changed_importer_shows_in_the_preview_and_is_registered(stack: Stack) -> None:
    first = read_snapshot(stack.package).version
    shown = stack.succeed("up", "--yes", "--skip-preview")
    assert "Uploading" not in shown
    assert stack.codes() == [first]
    arm_id = json.loads(stack.succeed("stack", "output", "--json"))["code"]
    assert arm_id == f"{WORKSPACE}/codes/importer/versions/{first}"
    assert stack.job_variables()["IMPORTER_CODE"] == arm_id

    for path in stack.package.rglob("*"):
        os.utime(path, (0, 0))
    (stack.package / "__pycache__").mkdir(exist_ok=True)
    (stack.package / "__pycache__" / "run.cpython-311.pyc").write_bytes(b"")
    (stack.package / "commands" / "report" / "page.html").write_bytes(b"<p>changed</p>")
    stack.succeed("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.succeed("preview", "--refresh", "--expect-no-changes")

    run = stack.package / "job" / "run.py"
    run.write_bytes(run.read_bytes() + b"#")
    second = read_snapshot(stack.package).version
    shown = stack.succeed("preview", "--diff")
    assert re.search(rf'~ code_version\s*: "{first}" => "{second}"', shown)
    assert "~ environment_version" not in shown
    assert "2 to update" in shown
    assert "replace" not in shown
    assert stack.codes() == [first]

    assert "2 updated" in stack.succeed("up", "--yes", "--skip-preview")
    assert stack.codes() == [second]
    assert stack.job_variables()["IMPORTER_CODE"].endswith(second)
    stack.succeed("preview", "--refresh", "--expect-no-changes")

    stack.succeed("destroy", "--yes", "--skip-preview")
    assert stack.codes() == []
