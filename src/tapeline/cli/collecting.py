"""What Python's garbage collector looks at in a command that runs for long: not what was there when it began.

A full collection visits every container that there is, on the thread that the event loop runs on, and most of them are modules,
classes and functions that stay until the end: measured with four instruments, 119 ms for 145,000 objects, in which no frame is
handled. What is frozen is not visited any more (16 to 37 ms were left). It goes on being freed by its reference count, so only
cycles among what was there at those moments would stay. Libraries that a sink or a face imports late come with its first work:
hence the first few collections.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

FIRST = 4


@contextmanager
def settled() -> Iterator[None]:
    """Freeze what there is now, and what is left of each of the first `FIRST` full collections; let go of it at the end."""
    left = FIRST

    def look(phase: str, info: dict[str, int]) -> None:
        nonlocal left
        if phase == "stop" and info["generation"] == 2 and left:
            left -= 1
            gc.freeze()

    gc.collect()
    gc.freeze()
    gc.callbacks.append(look)
    try:
        yield
    finally:
        gc.callbacks.remove(look)
        gc.unfreeze()
