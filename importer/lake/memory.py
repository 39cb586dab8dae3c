"""How much freed memory glibc's allocator keeps. Other C libraries are left as they are."""

import ctypes
from contextlib import suppress

#: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def share_one_heap() -> None:
    """Make glibc use one heap for all threads, and return large blocks to the system when they are freed.

    It saves about 20 MB: otherwise each thread has a heap of its own, which keeps what was freed. Arrow is
    not affected: it has its own allocator. Without glibc, as on macOS, this does nothing.
    """
    with suppress(AttributeError, OSError, TypeError):  # there is no such function, or no C library to open
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * 2**20)
