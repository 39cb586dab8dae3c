"""Files that are uploaded while they are written."""

from itertools import cycle
from typing import Any

import pytest

from importer.lake.upload import uploading


class Blobs:
    """Blobs in memory: complete ones, and the blocks of the others."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.blocks: dict[str, bytes] = {}

    def send_block(self, _path: str, block: str, content: bytes) -> None:
        self.blocks[block] = content

    def commit_blocks(self, path: str, blocks: list[str]) -> None:
        self.files[path] = b"".join(self.blocks[block] for block in blocks)


class FullBlobs(Blobs):
    """Blobs in an account without space: what it refuses fails, except the first block."""

    def send_block(self, path: str, block: str, content: bytes) -> None:
        if self.blocks:
            raise ConnectionError("no space")
        super().send_block(path, block, content)

    def commit_blocks(self, _path: str, _blocks: list[str]) -> None:
        raise ConnectionError("no space")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.lake.upload.BLOCK_BYTES", 10)


def write(blobs: Any, pieces: Any) -> int:
    with uploading(blobs, "file") as upload:
        for piece in pieces:
            upload.write(piece)
    return upload.size


def test_written_bytes_arrive_in_order() -> None:
    blobs = Blobs()
    pieces = [str(number).encode() for number in range(1000)]
    assert write(blobs, pieces) == len(b"".join(pieces))
    assert blobs.files == {"file": b"".join(pieces)}


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
def test_every_block_but_the_last_is_full(size: int) -> None:
    blobs = Blobs()
    write(blobs, [b"x" * size])
    assert blobs.files == {"file": b"x" * size}
    sizes = [len(block) for block in blobs.blocks.values()]
    assert sizes == [10] * (size // 10) + ([size % 10] if size % 10 else [])


def test_file_whose_writer_fails_is_not_stored() -> None:
    def pieces() -> Any:
        yield b"x" * 100
        raise ZeroDivisionError

    blobs = Blobs()
    with pytest.raises(ZeroDivisionError):
        write(blobs, pieces())
    assert blobs.files == {}


def test_failed_block_raises_its_own_error_in_the_writer() -> None:
    with pytest.raises(ConnectionError, match="no space"):
        write(FullBlobs(), cycle([b"x" * 10]))


def test_failed_block_raises_its_own_error_if_the_writer_hides_it() -> None:
    def write_badly() -> None:
        with uploading(FullBlobs(), "file") as upload:  # type: ignore[arg-type] # as far as it is used
            try:
                upload.write(b"x" * 100)
            except ConnectionError:
                raise ValueError("cannot close the file") from None

    with pytest.raises(ConnectionError, match="no space"):
        write_badly()


def test_failure_of_the_last_block_raises_its_error() -> None:
    with pytest.raises(ConnectionError, match="no space"):
        write(FullBlobs(), [b"x"])
