"""The C library's heap: what is freed is kept for the passes to come, and given back while a model is loaded."""

from __future__ import annotations

import contextlib
import ctypes


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed, for the whole process; elsewhere nothing happens. Early is better: threads that
    have allocated before keep heaps of their own.

    Otherwise every large temporary is mapped and page-faulted anew: a third of a training step on a CPU, a tenth of a
    pass of eight runs. With several training workers a preloaded jemalloc does better still
    (MALLOC_CONF=dirty_decay_ms:4000,muzzy_decay_ms:4000; one that never gives memory back grows without bound).
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8  # malloc.h
    mallopt(arena_max, 1)  # only the main arena may grow large
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 256 << 20)


def give_back() -> None:
    """Hand memory that was freed back to the system. glibc keeps it, and loading frees as much as it leaves."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
