"""Where the tape lies, and who may touch it.

    DATA/tape/SESSION/000000000000.tape        sealed: compressed, never changed again
    DATA/tape/SESSION/000000412160.open        still written, or left behind by a crash
    DATA/tape/SESSION/000000412160.tape.tmp    being sealed; worth nothing
    DATA/tape/SESSION/000000412160.state       what a pipeline knew there, see `states`
    DATA/tape/SESSION/removed.tape             what is left of segments that were removed on purpose, see `retention`
    DATA/tape/SESSION/lock                     held by `flock` while a process writes or seals the session

A file is named by the seq of its first frame. Where `.open` and `.tape` of one name stand side by side (a crash between the
two steps of sealing), the `.tape` counts: it was verified before it got its name. Session ids sort by their start.
"""

import errno
import os
import sys
from pathlib import Path
from types import TracebackType

from tapeline.clock import Clock, iso
from tapeline.errors import TapeError, UsageError
from tapeline.tape.format import HEADER_SIZE, Damaged, read_header

OPEN, SEALED, TEMPORARY, LOCK = ".open", ".tape", ".tape.tmp", "lock"
REMOVED = "removed.tape"

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

data_sync = getattr(os, "fdatasync", os.fsync)  # not on macOS


def new_session_id(clock: Clock) -> str:
    """`20261121T100500Z-1a2b`: the second of the start, and how far it was gone, in 65,536ths: ids sort by their start."""
    now = clock.now()
    return f"{iso(now)[:19].replace('-', '').replace(':', '')}Z-{(now % 10**9 << 16) // 10**9:04x}"


def tape_dir(root: Path) -> Path:
    return root / "tape"


def session_ids(root: Path) -> list[str]:
    """Oldest first. Raises TapeError where the directory cannot be listed; none at all is an empty tape."""
    return sorted(p.name for p in _listing(tape_dir(root)) if p.is_dir())


def session_dir(root: Path, session: str) -> Path:
    """Raises UsageError where there is no such session."""
    directory = tape_dir(root) / session
    if not session or Path(session).name != session or not directory.is_dir():
        raise UsageError(f"no session {session!r} in {tape_dir(root)}; `tapeline tape ls {root}` lists them")
    return directory


def segments(directory: Path) -> list[tuple[int, Path]]:
    """`(first seq, path)` in order, one path a segment. Raises TapeError where the directory cannot be listed.

    Without those that are to be removed: a crash may have left them between the two steps of removing.
    """
    found: dict[int, Path] = {}
    gone = removed(directory)
    for path in _listing(directory):
        if path.suffix in (OPEN, SEALED) and path.stem.isdecimal():
            first = int(path.stem)
            if 0 <= first <= gone:
                continue
            if path.suffix == SEALED or first not in found:
                found[first] = path
    return sorted(found.items())


def removed(directory: Path) -> int:
    """The last frame that was removed on purpose, with every one before it; -1 where nothing was."""
    try:
        with (directory / REMOVED).open("rb") as file:
            file.seek(-HEADER_SIZE, os.SEEK_END)
            end = read_header(file.read(HEADER_SIZE))
    except (OSError, Damaged):
        return -1
    return end.first_seq - 1 if end.is_end else -1


def _listing(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise TapeError(f"cannot list {directory}: {e.strerror}") from e


def segment_path(directory: Path, first_seq: int, suffix: str) -> Path:
    return directory / f"{first_seq:012d}{suffix}"


def sync_dir(directory: Path) -> None:
    """Make created, renamed and removed names durable."""
    if sys.platform == "win32":
        return  # directories cannot be opened there; NTFS journals names itself
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class SessionLock:
    """Exclusive right to write into a session's directory. The kernel drops it when the process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK
        self._fd = -1

    def take(self, *, wait: bool = False) -> bool:
        """False: another process (or another part of this one) has it. A file system without locks gives it to everybody.

        Raises OSError where the lock file cannot be made. `wait` is for the writer of a new session: only somebody who
        looks whether it is live can hold the lock, and only for that moment.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            taken = _lock(fd, wait=wait)
        except OSError as e:
            taken = e.errno in _NO_LOCKS
            if not taken:
                os.close(fd)
                raise
        if taken:
            self._fd = fd
        else:
            os.close(fd)
        return taken

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "SessionLock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def is_live(directory: Path) -> bool:
    """Whether somebody writes or seals this session now. Where it cannot be told, it is taken to be so."""
    try:
        fd = os.open(directory / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _lock(fd, shared=True)
    except OSError:
        return True
    finally:
        os.close(fd)


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int, *, shared: bool = False, wait: bool = False) -> bool:  # noqa: ARG001  no shared lock, no waiting there
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _lock(fd: int, *, shared: bool = False, wait: bool = False) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
