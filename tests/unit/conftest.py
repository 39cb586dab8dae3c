"""Unit tests see nothing of the shell's sign-ins, whatever it has sourced."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_sign_in_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("SNOWFLAKE_", "AZURE_", "AZUREML_", "IDENTITY_")):
            monkeypatch.delenv(name)
