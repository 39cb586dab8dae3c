"""The keys of unique rules, in bounded memory."""

from pathlib import Path

import pyarrow as pa
import pytest

from importer.errors import ImporterError
from importer.job.contract.keys import Keys


def test_long_keys_are_compared_in_the_memory_of_short_keys() -> None:
    keys = Keys()
    for group in range(20):
        keys.add("k", [pa.chunked_array([[f"{'é' * 200_000}{group}-{n}" for n in range(20)]])])
    assert keys.repeated("k", 5)[0] == 0
    keys.add("k", [pa.chunked_array([["é" * 200_000 + "3-7", None, "é"]])])
    count, found = keys.repeated("k", 5)
    assert (count, found["c0"].to_pylist()[0][:32]) == (1, "é" * 32)
    keys.close()


def test_keys_that_do_not_fit_in_memory_are_an_error_that_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.job.contract.keys._LONGEST", 10**9)
    keys = Keys()

    def fill() -> None:
        for group in range(20):
            keys.add("k", [pa.chunked_array([[f"canary{'x' * 1_000_000}{group}-{n}" for n in range(20)]])])

    with pytest.raises(ImporterError, match="unique: the keys do not fit in 64 MB of memory") as refused:
        fill()
    assert "canary" not in str(refused.value)
    keys.close()


def test_keys_are_on_disk_until_they_are_closed() -> None:
    keys = Keys()
    folder = Path(keys._folder.name)
    setting = "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
    assert keys._database.query(setting).fetchall() == [("61.0 MiB", str(folder))]
    keys.add("k", [pa.chunked_array([["a", "b"], ["a"]])])
    assert (folder / "keys.duckdb").is_file()
    keys.close()
    assert not folder.exists()
