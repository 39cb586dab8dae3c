"""The previews of dev and prod that need no account, no credential and no state."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.local_cloud import REPOSITORY

#: Sign-ins of the shell, which an offline preview must neither need nor use.
SIGN_INS = {
    "ARM_CLIENT_SECRET": "Canary-51",
    "AZURE_SUBSCRIPTION_ID": "not-this-one",
    "PULUMI_BACKEND_URL": "https://127.0.0.1:9/nowhere",
    "SNOWFLAKE_USER": "NOBODY",
    "SNOWFLAKE_PASSWORD": "Canary-52",
}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_offline_preview_shows_the_whole_program_without_credentials(stack: str) -> None:
    settings = (REPOSITORY / f"Pulumi.{stack}.yaml").read_bytes()
    done = subprocess.run(
        [sys.executable, "tools/offline_preview.py", stack, "--json"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **SIGN_INS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Canary" not in done.stdout + done.stderr
    preview = json.loads(done.stdout)
    types = Counter(step["newState"]["type"] for step in preview["steps"])
    assert set(preview["changeSummary"]) == {"create"}
    assert types["azure-native:machinelearningservices:Workspace"] == 1
    assert types["azure-native:containerservice:ManagedCluster"] == 1
    assert types["kubernetes:helm.sh/v3:Release"] == 3
    assert types["pulumi-python:dynamic/azureml:ImportSchedule"] == 1
    assert (REPOSITORY / f"Pulumi.{stack}.yaml").read_bytes() == settings
