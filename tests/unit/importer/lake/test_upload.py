"""Files that are uploaded while they are written."""

from collections.abc import Iterable

import pytest

from importer.lake.upload import Upload, uploading


class Store:
    """Where files go that are whole."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def upload(self, name: str, blocks: Iterable[bytes]) -> None:
        self.files[name] = b"".join(blocks)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.lake.upload.BLOCK_BYTES", 10)


def test_what_is_written_arrives_in_order() -> None:
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


def test_a_file_that_is_not_whole_does_not_arrive() -> None:
    store = Store()
    with pytest.raises(ZeroDivisionError):
        half_written(store.upload)
    assert store.files == {}


def test_an_upload_that_fails_ends_the_writing_with_its_own_error() -> None:
    def refuse(_name: str, blocks: Iterable[bytes]) -> None:
        next(iter(blocks))
        raise ConnectionError("no space")

    def write_for_ever() -> None:
        with uploading(refuse, "refused") as sink:
            while True:
                sink.write(b"x" * 10)

    with pytest.raises(ConnectionError, match="no space"):
        write_for_ever()


def test_an_upload_that_fails_at_the_end_fails() -> None:
    def refuse(_name: str, blocks: Iterable[bytes]) -> None:
        b"".join(blocks)
        raise ConnectionError("no space")

    with pytest.raises(ConnectionError, match="no space"), uploading(refuse, "refused") as sink:
        sink.write(b"x")
