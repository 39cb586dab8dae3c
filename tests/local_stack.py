"""The stack `local` on a local cloud of a test's own, driven by the real engine."""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.importer_process import run_importer
from tests.local_cloud import REPOSITORY, Cloud

UP = ("up", "--yes", "--skip-preview", "--suppress-progress")


@dataclass
class LocalStack:
    """The repository's program and stack `local`, on a local cloud of the test's own."""

    cloud: Cloud

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, **self.cloud.env}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**self.env, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def pulumi(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        stack = ("--stack", "local", "--non-interactive", "--color", "never")
        return self.run("pulumi", *command, *stack, **environment)

    def succeed(self, *command: str) -> str:
        done = self.pulumi(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def importer(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_importer(command, {**self.env, **environment})

    def imports(self) -> list[dict[str, Any]]:
        done = self.importer("list", "--json", "--wait")
        assert done.returncode == 0, done.stderr
        listed: list[dict[str, Any]] = json.loads(done.stdout)
        return listed

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self.succeed("stack", "output", "--json"))
        return outputs

    def start(self) -> None:
        self.cloud.start()
        self.run("pulumi", "stack", "select", "--create", "local")

    def up(self) -> str:
        self.start()
        return self.succeed(*UP)
