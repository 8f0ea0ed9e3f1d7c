"""Memory that nothing uses any more, given back to the system: the allocator keeps it for later, scattered as it is."""

import gc

MANY = 50_000
"""Entries of a wave that leaves so much that it is worth the time."""


def give_back() -> None:
    """Collect what only cycles hold, which stops all threads for a moment, and `trim`."""
    gc.collect()
    trim()


def trim() -> None:
    """Give back what is free, where the allocator is glibc's; elsewhere nothing is done.

    Threads that allocate meanwhile wait for it: some 0.2 ms for each MB that lies scattered.
    """
    try:
        import ctypes  # takes 5 ms, which a small wave need not wait for

        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (ImportError, OSError):  # a Python that was built without libffi, or that loads no libraries
        return
    if malloc_trim is not None:
        malloc_trim(0)
