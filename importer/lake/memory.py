"""What the C library keeps of memory that was freed. Arrow has an allocator of its own."""

import ctypes
from contextlib import suppress

#: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def share_one_heap() -> None:
    """Have glibc use one heap for all threads, and none for large blocks, as those of an upload are.

    Else it keeps what is freed, in a heap for each thread: 20 MB more.
    """
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * 2**20)
