"""The allocator that Arrow has in the importer."""

import os
import subprocess
import sys


def test_importer_uses_arrows_own_allocator_whatever_the_environment_says() -> None:
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    program = "import importer.job.run, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == "mimalloc\n"
