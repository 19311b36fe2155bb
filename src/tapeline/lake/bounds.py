"""A bound on this process's memory that the system keeps, around work whose need nobody can tell beforehand.

DuckDB's `memory_limit` is for its buffers: a text of gigabytes that a function makes, and an answer on its way to Arrow, lie outside
of it. So the address space itself is bounded (RLIMIT_AS): what the process has, and so much more. An allocation past that fails, and
the question with it, instead of the machine.

Linux only, as nobody else says how large a process is and keeps to such a limit: elsewhere DuckDB's own limit is all there is.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1 << 20
MARGIN_MB = 128
"""For what every question needs beside its own: threads, file headers, plans."""
_ARENA_MB = 72
"""What the allocator reserves for each further thread, and that thread's stack."""


def size() -> int | None:
    """Bytes of address space that this process has, where the system says so."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split(maxsplit=1)[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cap(more: int) -> None:
    """From now on at most `more` bytes than there are; a new call replaces the last."""
    if sys.platform == "win32" or (now := size()) is None:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = now + more
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


@contextmanager
def capped(memory_mb: int | None) -> Iterator[None]:
    """A bound on what happens within; by default four fifths of the machine. Allocations past it raise MemoryError, or DuckDB's."""
    if sys.platform == "win32" or size() is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    own = _machine() * 4 // 5 if memory_mb is None else memory_mb * MEGABYTE
    cap(own + (MARGIN_MB + _ARENA_MB * (os.cpu_count() or 1)) * MEGABYTE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
