"""How the stack `local` comes and goes: killed on the way, taken down, up again."""

import json
import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from localcloud.arm import ArmStore
from tests.local_cloud import REPOSITORY, new_cloud
from tests.local_stack import UP, LocalStack


def test_an_up_that_was_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    stack = LocalStack(new_cloud(tmp_path / "cloud"))
    try:
        stack.start()
        with subprocess.Popen(
            ["pulumi", *UP, "--stack", "local", "--non-interactive"],
            cwd=REPOSITORY,
            env=stack.env,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as killed:
            wait_for_documents(stack, 20)
            os.kill(killed.pid, signal.SIGKILL)  # its children live on
        checkpoint = stack.cloud.home.path / "state/.pulumi/stacks/ai-platform/local.json"
        checkpoint.write_text("")  # as where the kill comes during a save
        stack.up()
        state = json.loads(stack.succeed("stack", "export"))["deployment"]
        assert state.get("pending_operations", []) == []
        assert children_of_pulumi(stack) == []
        stack.succeed("preview", "--refresh", "--expect-no-changes")
        assert stack.imports()[0]["rows"] == 2930
    finally:
        stack.cloud.run("stop")


def children_of_pulumi(stack: LocalStack) -> list[str]:
    """Return the command lines of the processes that have the stack's state in their environment."""
    marker = f"PULUMI_BACKEND_URL={stack.env['PULUMI_BACKEND_URL']}\0".encode()
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (directory / "cmdline").read_bytes().decode()
            if "pulumi" in command and marker in (directory / "environ").read_bytes():
                found.append(command)
    return found


def wait_for_documents(stack: LocalStack, count: int) -> None:
    """Return once the local Azure holds `count` resources."""

    @retry(retry=retry_if_not_result(bool), stop=stop_after_delay(60), wait=wait_fixed(0.05))
    def are_there() -> bool:
        return len(ArmStore(stack.cloud.home.arm_db).descendants("")) >= count

    assert are_there()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_down_leaves_nothing_and_up_works_again(tmp_path: Path) -> None:
    stack = LocalStack(new_cloud(tmp_path / "cloud"))
    try:
        stack.up()
        first = stack.outputs()
        stack.succeed("destroy", "--yes", "--skip-preview")
        assert json.loads(stack.succeed("stack", "export"))["deployment"].get("resources", []) == []
        assert stack.cloud.run("stop").returncode == 0
        assert not [port for port in stack.cloud.home.ports.values() if is_open(port)]
        stack.up()
        second = stack.outputs()
        # the vault is soft-deleted and holds on to its name, so the new one has another
        assert second["vaultUri"] != first["vaultUri"]
        assert stack.imports()[0]["rows"] == 2930
    finally:
        stack.cloud.run("stop")
