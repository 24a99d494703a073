"""Keeping the memory of one training step for the next."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3), and the values that glibc begins with or comes to
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
KEEPING = {TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 << 20, MMAP_MAX: 0}
USUAL = {TRIM_THRESHOLD: 64 << 20, TOP_PAD: 128 << 10, MMAP_MAX: 65_536}


@contextmanager
def freed_memory_is_kept() -> Iterator[None]:
    """While it lasts, large blocks that are freed stay with the process, and go back to the system in the end.

    Each step of a training on the CPU allocates and frees the same blocks, as large as the gradients. glibc would give
    them back each time, and the system fill every page with zeros anew: up to a sixth of a step. Elsewhere than on
    Linux with glibc nothing is done.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "gnu_get_libc_version"):
        yield
        return
    for parameter, value in KEEPING.items():
        library.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in USUAL.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)
