"""A running pair of stand-in providers, and a Pulumi project of one file that uses them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from localcloud.arm import ArmStore
from localcloud.home import Home


@dataclass
class Providers:
    """A running pair of providers."""

    home: Home
    addresses: str

    @property
    def store(self) -> ArmStore:
        return ArmStore(self.home.arm_db)

    def stub(self, provider: str) -> ResourceProviderStub:
        port = dict(address.split(":") for address in self.addresses.split(","))[provider]
        return ResourceProviderStub(
            grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        )


@dataclass
class Stack:
    """A Pulumi project of one file, with a stack of its own."""

    directory: Path
    environment: dict[str, str]

    def run(self, program: str, *command: str) -> subprocess.CompletedProcess[str]:
        (self.directory / "__main__.py").write_text("import pulumi\n" + program)
        return self.pulumi(*command)

    def pulumi(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self, program: str) -> dict[str, Any]:
        done = self.run(program, "up", "--yes", "--skip-preview")
        assert done.returncode == 0, done.stdout + done.stderr
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").stdout)
        return outputs

    def refused(self, program: str, command: str = "preview") -> str:
        arguments = ("--yes", "--skip-preview") if command == "up" else ()
        done = self.run(program, command, *arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr
