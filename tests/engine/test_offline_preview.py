"""The previews of dev and prod that need no account, no credential and no state."""

import json
import os
import subprocess
import sys
from collections import Counter

from tests.local_cloud import REPOSITORY

#: Sign-ins of the shell, which an offline preview must neither need nor use.
SIGN_INS = {
    "ARM_CLIENT_SECRET": "Canary-51",
    "AZURE_SUBSCRIPTION_ID": "not-this-one",
    "PULUMI_BACKEND_URL": "https://127.0.0.1:9/nowhere",
    "SNOWFLAKE_USER": "NOBODY",
    "SNOWFLAKE_PASSWORD": "Canary-52",
}


def start(stack: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.offline_preview", stack, *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **SIGN_INS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(started: subprocess.Popen[str]) -> str:
    """Return what a preview prints, which is no credential."""
    printed, errors = started.communicate()
    assert started.returncode == 0, errors
    assert "Canary" not in printed + errors
    return printed


def test_offline_preview_shows_the_whole_program_without_credentials() -> None:
    settings = (REPOSITORY / "Pulumi.dev.yaml").read_bytes()
    preview = json.loads(answer(start("dev", "--json")))
    types = Counter(step["newState"]["type"] for step in preview["steps"])
    assert set(preview["changeSummary"]) == {"create"}
    assert types["azure-native:machinelearningservices:Workspace"] == 1
    assert types["azure-native:containerservice:ManagedCluster"] == 1
    assert types["kubernetes:helm.sh/v3:Release"] == 3
    assert types["pulumi-python:dynamic/azureml:ImportSchedule"] == 1
    assert (REPOSITORY / "Pulumi.dev.yaml").read_bytes() == settings


def test_two_offline_previews_are_equal_and_know_every_value() -> None:
    one, other = map(answer, [start("prod"), start("prod")])
    assert one == other
    assert "[unknown]" not in one
    assert 'resourceGroupName       : "rg-globoprod"' in one
    assert 'rawContainer  : "rawdata"' in one
    assert 'schedule: "import_raw_house_data"' in one
