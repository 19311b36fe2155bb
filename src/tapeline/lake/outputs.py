"""Where an export goes: a file that appears whole or not at all, or standard output.

A file is written under a temporary name beside its place, synced, and renamed. One that is there already is only replaced where that
was asked for. Texts may be packed by the name's ending (`.gz`, `.zst`).
"""

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO

import zstandard

from tapeline.errors import UsageError
from tapeline.tape.layout import sync_dir

STDOUT = "-"


class Counted:
    """A file that counts what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0
        self.closed = False

    def write(self, data: "bytes | memoryview") -> int:
        size = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        self._file.write(data)
        self.bytes += size
        return size

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._file.flush()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Whoever opened the file beneath closes it."""
        self.closed = True


def check(target: str, *, force: bool) -> None:
    """Before any work is done. Raises UsageError where a file is in the way, or its folder is not there."""
    if target == STDOUT:
        return
    path = Path(target)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--output {target}: {'this is a folder' if path.is_dir() else f'there is no folder {path.parent}'}")
    if path.exists() and not force:
        raise UsageError(f"{target} is there already; --force replaces it")


@contextmanager
def opened(target: str) -> Iterator[Counted]:
    if target == STDOUT:
        yield Counted(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with renamed(Path(target)) as temporary, temporary.open("wb") as file:
        yield Counted(file)


@contextmanager
def renamed(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, that becomes `path` where all goes well and goes away where not."""
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        if _is_left(left):  # by an export that was killed
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_dir(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _is_left(temporary: Path) -> bool:
    """Whether the process that it is named after is gone."""
    pid = temporary.name.rsplit(".", 2)[1]
    if not pid.isdecimal() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()


@contextmanager
def packed(file: Counted, name: str) -> Iterator[IO[bytes] | Counted]:
    """What texts are written to: packed as the name says."""
    if name.endswith(".gz"):
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped:
            yield zipped  # type: ignore[misc]  # it takes bytes, and that is all
    elif name.endswith(".zst"):
        with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as zipped:  # type: ignore[arg-type]
            yield zipped
    else:
        yield file
