"""Readers and swaps take turns, once a reader has asked for it.

A reader goes by a catalogue and needs no lock; if a swap takes a file away under it, it begins again with a new one. Where swaps
come faster than it reads (a large question beside a compactor that has much to catch up with) it would begin again for ever. So from
its second attempt on it holds `_turns` shared, and a swap, which is in no hurry, waits for that: at most `PATIENCE` seconds, since a
reader may hang, and not at all when the session ends. A reader waits for a swap only as long as one takes.

The lock is the kernel's (`flock`), asked for without writing, and gone with whoever held it. Where there is none (Windows, where a
file that is read cannot be unlinked anyway; some network drives) all go on as if they had their turn: only the guarantee against
beginning again is lost.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

try:
    import fcntl
except ImportError:  # not this system
    fcntl = None  # type: ignore[assignment]

FILE = "_turns"
PATIENCE = 10.0
LONGEST_SWAP = 2.0
LOOK_EVERY = 0.01


@contextmanager
def reading(lake: Path) -> Iterator[None]:
    """Within this no file of the lake in this folder is swapped away, unless it takes longer than `PATIENCE` seconds."""
    with _turn(lake, os.O_RDONLY, LONGEST_SWAP, Event()):
        yield


@contextmanager
def swapping(lake: Path, hurry: Event) -> Iterator[None]:
    """Once nobody holds `reading`, or `PATIENCE` is over, or `hurry` is set."""
    with _turn(lake, os.O_RDWR | os.O_CREAT, PATIENCE, hurry):
        yield


@contextmanager
def _turn(lake: Path, mode: int, seconds: float, hurry: Event) -> Iterator[None]:
    file = None
    try:
        if fcntl is not None:
            with suppress(OSError):
                file = os.open(lake / FILE, mode, 0o644)
                _wait(file, fcntl.LOCK_SH if mode == os.O_RDONLY else fcntl.LOCK_EX, seconds, hurry)
        yield
    finally:
        if file is not None:
            os.close(file)


def _wait(file: int, kind: int, seconds: float, hurry: Event) -> None:
    """Until the lock is ours; not longer."""
    for _ in range(round(seconds / LOOK_EVERY)):
        with suppress(BlockingIOError):
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return
        if hurry.wait(LOOK_EVERY):
            return
