"""Files that are uploaded while they are written."""

from collections.abc import Iterable

import pytest

from importer.lake.upload import Upload, uploading


class Store:
    """A store for complete files."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def upload(self, name: str, blocks: Iterable[bytes]) -> None:
        self.files[name] = b"".join(blocks)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.lake.upload.BLOCK_BYTES", 10)


def test_written_bytes_arrive_in_order() -> None:
    store = Store()
    with uploading(store.upload, "numbers") as sink:
        for number in range(1000):
            sink.write(str(number).encode())
    assert store.files == {"numbers": "".join(map(str, range(1000))).encode()}
    assert sink.size == len(store.files["numbers"])


def half_written(upload: Upload) -> None:
    with uploading(upload, "half") as sink:
        sink.write(b"x" * 100)
        raise ZeroDivisionError


def test_file_whose_writer_fails_is_not_stored() -> None:
    store = Store()
    with pytest.raises(ZeroDivisionError):
        half_written(store.upload)
    assert store.files == {}


def test_failed_upload_raises_its_own_error_in_the_writer() -> None:
    def refuse(_name: str, blocks: Iterable[bytes]) -> None:
        next(iter(blocks))
        raise ConnectionError("no space")

    def write_for_ever() -> None:
        with uploading(refuse, "refused") as sink:
            while True:
                sink.write(b"x" * 10)

    with pytest.raises(ConnectionError, match="no space"):
        write_for_ever()


def test_upload_that_fails_at_the_end_raises_its_error() -> None:
    def refuse(_name: str, blocks: Iterable[bytes]) -> None:
        b"".join(blocks)
        raise ConnectionError("no space")

    with pytest.raises(ConnectionError, match="no space"), uploading(refuse, "refused") as sink:
        sink.write(b"x")
