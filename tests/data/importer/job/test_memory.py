"""The memory that a job takes, whatever the rows: `make bench` measures with ten million of them."""

from bench.__main__ import Case, measure
from bench.measure import container
from bench.tables import NARROW
from importer.spec.memory import DEFAULT_MEMORY_MB
from localcloud.home import Home

#: The system takes as much more or less in each run.
NOISE = 1.05


def test_an_import_and_a_curation_keep_to_their_memory(home: Home) -> None:
    container(home).create_container()
    measured = measure(home, Case(NARROW, 2_000_000, ("import", "curate"), 1))
    assert [found.way for found in measured] == ["import", "curate"]
    assert max(found.peak_mb for found in measured) <= DEFAULT_MEMORY_MB * NOISE
