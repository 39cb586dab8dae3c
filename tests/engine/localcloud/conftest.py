"""The stand-in providers under the real engine: small programs, a file backend, a temporary directory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.home import Home
from tests.engine.localcloud.provider_stack import Providers, Stack
from tests.local_cloud import REPOSITORY, new_cloud


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    home = new_cloud(tmp_path_factory.mktemp("localcloud")).home.path
    command = [sys.executable, "-m", "localcloud.providers", "--home", str(home), "--ports", "0,0"]
    with (
        (home / "providers.log").open("w") as log,
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout
        yield Providers(Home.open(home), process.stdout.readline().strip())
        process.terminate()
        assert process.wait() == 0


@pytest.fixture
def stack(providers: Providers, tmp_path: Path) -> Stack:
    for name in ("project", "state", "pulumi"):
        (tmp_path / name).mkdir()
    (tmp_path / "project" / "Pulumi.yaml").write_text("{name: providers, runtime: python}")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DEBUG_PROVIDERS": providers.addresses,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    stack = Stack(tmp_path / "project", environment)
    created = stack.pulumi("stack", "init", "test")
    assert created.returncode == 0, created.stderr
    return stack
