"""The memory of a job stays within its limit, whatever the rows; `make bench` measures ten million."""

from bench.__main__ import Case, measure
from bench.measure import container
from bench.tables import NARROW
from importer.spec.memory import DEFAULT_MEMORY_MB
from localcloud.home import Home

#: How much the peak varies from run to run.
NOISE = 1.05


def test_import_and_curation_of_two_million_rows_stay_within_their_memory(home: Home) -> None:
    container(home).create_container()
    measured = measure(home, Case(NARROW, 2_000_000, ("import", "curate"), 1))
    assert [found.way for found in measured] == ["import", "curate"]
    assert max(found.peak_mb for found in measured) <= DEFAULT_MEMORY_MB * NOISE
