"""The stack `local` after a `pulumi up` that was killed."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from localcloud.arm import ArmStore
from localcloud.processes import with_variable
from tests.local_cloud import REPOSITORY, new_cloud
from tests.local_stack import UP, LocalStack


def test_the_next_up_completes_one_that_was_killed(tmp_path: Path) -> None:
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
    found = []
    for process in with_variable("PULUMI_BACKEND_URL", stack.env["PULUMI_BACKEND_URL"]):
        with suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return [command for command in found if "pulumi" in command]


def wait_for_documents(stack: LocalStack, count: int) -> None:
    """Return once the local Azure holds `count` resources."""

    @retry(retry=retry_if_not_result(bool), stop=stop_after_delay(60), wait=wait_fixed(0.05))
    def are_there() -> bool:
        return len(ArmStore(stack.cloud.home.arm_db).descendants("")) >= count

    assert are_there()
