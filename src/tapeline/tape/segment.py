"""One segment being written: whole blocks, or nothing.

A write that the disk cuts short is repaired at once by cutting the file back to its last whole block (that works on a full
disk, too). Where even that fails the torn bytes stay; readers know a torn tail, and the writer never appends to it again:
after any failure the next block goes into a new file.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from tapeline.tape import layout


class Removed(OSError):
    """Somebody took the file away while it was written: what is in it is not on the tape any more."""

    def __init__(self, segment: "Segment") -> None:
        super().__init__(errno.ENOENT, "the segment was removed while it was written")
        self.segment = segment


class Segment:
    """Written by one thread, synced by one other; the two never touch the same attribute."""

    def __init__(self, directory: Path, first_seq: int, first_ts: int) -> None:
        """Creates the file. Raises OSError, FileExistsError among them: an old segment is never written to."""
        self.path = layout.segment_path(directory, first_seq, layout.OPEN)
        self.first_seq, self.first_ts = first_seq, first_ts
        self.size = self.frames = 0
        self._synced = 0
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)

    def write(self, block: bytes, frames: int) -> None:
        """Hand one block of that many frames to the operating system. Raises OSError, with nothing of the block left in the file."""
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[_some(self._fd, rest) :]
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._fd, self.size)
            raise
        self.size += len(block)
        self.frames += frames

    def sync(self) -> None:
        """Make what was written so far survive a power cut. May take long: never call it on the event loop.

        Raises OSError, `Removed` where the file is not where it was made: the system goes on taking what nobody will find.
        """
        size = self.size
        if size > self._synced:
            layout.data_sync(self._fd)
            if not self._synced:
                layout.sync_dir(self.path.parent)
            self._synced = size
            if not self._there():
                raise Removed(self)

    def _there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    @property
    def dirty(self) -> bool:
        return self.size > self._synced

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            if not self.size:
                with suppress(OSError):
                    self.path.unlink()


def _some(fd: int, data: memoryview) -> int:
    done = os.write(fd, data)
    if not done:
        raise OSError(errno.EIO, "the disk took no byte")
    return done
