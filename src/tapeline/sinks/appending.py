"""What the sinks of plain text files share: rows appended, each once, to one file a kind, instrument and UTC day.

    <folder>/trade/binance/BTC-USDT/2026-11-21.csv[.gz|.zst]        (`places.py` says where an event lies)

A commit:

    1. files that are written for the first time in this run are noted as busy in `_state.sqlite`
    2. the rows are appended and fsynced; packed, as one whole gzip member or zstd frame, so that the file is valid at any moment
    3. one transaction: the position, and how long each file is by right             from here on the rows are kept

Whatever goes wrong in 2 or 3, in the process or with it, leaves a file that is longer than it is by right: it is cut back, at once
where the process lives, else by the next `open`, and on the disk before anybody relies on it. So there is no torn last line and no
row twice.

Files belong to their user, too. One that is not there any more (moved away, deleted) is forgotten, and begun anew if something
is still to be written to it. One that somebody else changed is told of and never touched again: rows go on in `2026-11-21-2.csv`.
So they do where the columns of an earlier release, or a file that was there before, stand in the way.
"""

import gzip
import os
import sqlite3
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from itertools import count
from pathlib import Path

import structlog

from tapeline.config import FilesSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import TYPES, Event
from tapeline.lake.files import sync_file, sync_folder
from tapeline.sinks.appending_state import FilesState, Known
from tapeline.sinks.hold import Hold
from tapeline.sinks.places import place_of
from tapeline.sinks.storable import storable

log = structlog.get_logger("tapeline.sinks")
MOST_OPEN = 128
Rendered = dict[str, tuple[type[Event], bytes]]
"""By place: the kind of event, and the lines of one commit."""
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def packed(data: bytes, compression: str) -> bytes:
    """A whole gzip member or zstd frame, which may follow others; "none": as it is."""
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if compression == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)
    return data


class Target:
    """One file that rows go to. `known.length` is what is committed; `file` is open, or None."""

    def __init__(self, root: Path, known: Known) -> None:
        self.path, self.known = root / known.path, known
        self.file: FileIO | None = None

    def stands(self) -> bool:
        """Whether it is still the file that was opened, as long as it is by right."""
        if self.file is None:
            return False
        try:
            there, ours = self.path.stat(), os.fstat(self.file.fileno())
        except OSError:
            return False
        return (there.st_ino, there.st_dev, there.st_size) == (ours.st_ino, ours.st_dev, self.known.length)

    def append(self, data: bytes) -> None:
        if self.file is None:
            self.file = FileIO(self.path, "ab")
        left = memoryview(data)
        while left:
            left = left[self.file.write(left) :]

    def sync(self) -> None:
        if self.file is not None:
            os.fsync(self.file.fileno())

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


class AppendingSink(ABC):
    """Subclass with the file's ending, its header and its lines."""

    name: str

    def __init__(self, data: Path, settings: FilesSettings) -> None:
        self.root = (Path(settings.path) if settings.path else data) / self.name
        self.compression = settings.compression
        self.kinds = frozenset(TYPES[kind] for kind in settings.kinds)
        self.suffix = f".{self.name}{SUFFIXES[settings.compression]}"
        self._state: FilesState | None = None
        self._hold: Hold | None = None
        self._torn: set[str] = set()  # files that a failed commit left too long, and that could not be cut back
        self._targets: OrderedDict[str, Target] = OrderedDict()  # by place, the one used last at the end

    @abstractmethod
    def header(self, kind: type[Event]) -> str:
        """The line that a file begins with, without its end; empty where it has none."""

    @abstractmethod
    def lines(self, kind: type[Event], events: Sequence[Event]) -> bytes:
        """Whole lines. Raises OverflowError or ValueError where an event holds what a table does not."""

    # Life

    def open(self) -> None:
        self._hold = Hold(self.root / "_lock")
        try:
            self._state = FilesState(self.root / "_state.sqlite")
            for known in self._state.busy():
                self._restore(known, torn=True)
            self._state.settle()
        except (OSError, sqlite3.Error) as e:
            self.close()
            raise ConfigError("files.path", str(self.root), f"cannot be used ({e}); make it writable") from e
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        for target in self._targets.values():
            target.close()
        self._targets.clear()
        if self._state is not None:
            with suppress(OSError, sqlite3.Error):  # then the next start looks at the files
                if not self._torn:
                    self._state.settle()
            self._state.close()
            self._state = None
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    @property
    def _open_state(self) -> FilesState:
        if self._state is None:
            raise IntegrityError(f"the {self.name} sink is not open: call open() first")
        return self._state

    def position(self, session: str) -> int:
        return self._open_state.position(session)

    def finished(self) -> Iterable[str]:
        return self._open_state.finished()

    def finish(self, session: str) -> None:
        with self._as_oserror():
            self._open_state.finish(session)

    # A commit

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        if seq <= (stands := self.position(session)):
            raise IntegrityError(f"{self.name}: frame {seq} of session {session} is not past the committed {stands}")
        try:
            rendered = self._rendered(events)
        except (OverflowError, ValueError):
            rendered = self._rendered([storable(e) for e in events])
        targets: dict[str, Target] = {}
        try:
            with self._as_oserror():
                self._choose(rendered, targets)
                lengths = self._append(targets, rendered)
                self._open_state.commit(session, seq, lengths)
        except BaseException:
            self._undo(targets)
            raise
        for target in targets.values():
            target.known = Known(target.known.path, target.known.columns, lengths[target.known.path], busy=True)

    def _rendered(self, events: Sequence[Event]) -> Rendered:
        """The lines of each place."""
        groups: dict[str, list[Event]] = {}
        for event in events if not self.kinds else [e for e in events if type(e) in self.kinds]:
            groups.setdefault(place_of(event), []).append(event)
        return {place: (type(group[0]), self.lines(type(group[0]), group)) for place, group in groups.items()}

    def _choose(self, rendered: Rendered, targets: dict[str, Target]) -> None:
        """The file of each place, noted as busy."""
        for place, (kind, _) in rendered.items():
            targets[place] = self._target(place, kind)
        new = [t for t in targets.values() if not t.known.busy]
        if new:
            self._open_state.begin([t.known for t in new])

    def _target(self, place: str, kind: type[Event]) -> Target:
        known = self._targets.get(place)
        if known is not None:
            if known.stands():
                self._targets.move_to_end(place)
                return known
            self._targets.pop(place).close()
        return Target(self.root, self._find(place, self.header(kind)))

    def _find(self, place: str, columns: str) -> Known:
        for number in count(1):
            path = f"{place}{f'-{number}' if number > 1 else ''}{self.suffix}"
            known = self._open_state.file(path)
            if known is None:
                if (self.root / path).exists():
                    continue  # somebody else's
                return Known(path, columns, 0, busy=False)
            if not self._restore(known, torn=path in self._torn):
                return Known(path, columns, 0, busy=False)
            if known.columns == columns and self._size(known) == known.length:
                return known
        raise AssertionError  # not reached: `count` does not end

    def _restore(self, known: Known, *, torn: bool) -> bool:
        """Cut off what was not committed, where it is ours (`torn`); forget what is gone, or is not ours any more. False where there
        is no file.
        """
        path = self.root / known.path
        size = self._size(known)
        if torn and not known.length and size >= 0:
            path.unlink()
            sync_folder(path.parent)
            size = -1
        if size < 0:
            if known.length:
                log.warning("a file is not there any more, it is begun anew", file=str(path))
            self._open_state.forget(known.path)
        elif torn and size > known.length:
            os.truncate(path, known.length)
            sync_file(path)
        elif size != known.length:
            what = f"it has {size} bytes, {known.length} were written: somebody else changed it, rows go on in another file"
            log.error(what, file=str(path))
            self._open_state.forget(known.path)
        self._torn.discard(known.path)
        return size >= 0

    def _size(self, known: Known) -> int:
        """-1 where there is no such file."""
        try:
            return (self.root / known.path).stat().st_size
        except FileNotFoundError:
            return -1

    def _append(self, targets: dict[str, Target], rendered: Rendered) -> dict[str, int]:
        """The new length of each file, which is on the disk by then. A bounded number of them is open at a time."""
        lengths: dict[str, int] = {}
        places = list(targets)
        for at in range(0, len(places), MOST_OPEN):
            some = places[at : at + MOST_OPEN]
            folders: set[Path] = set()
            for place in some:
                target, (kind, lines) = targets[place], rendered[place]
                data = lines
                if not target.known.length:
                    folders |= self._make(target.path.parent)
                    data = f"{header}\n".encode() + lines if (header := self.header(kind)) else lines
                data = packed(data, self.compression)
                target.append(data)
                lengths[target.known.path] = target.known.length + len(data)
            for place in some:
                targets[place].sync()
            for folder in folders:
                sync_folder(folder)
            self._keep_open({place: targets[place] for place in some})
        return lengths

    def _keep_open(self, some: dict[str, Target]) -> None:
        self._targets.update(some)
        while len(self._targets) > MOST_OPEN:
            self._targets.popitem(last=False)[1].close()

    def _make(self, folder: Path) -> set[Path]:
        """Make a folder. It and those above in which one was made: their entries are to be made durable."""
        touched = {folder}
        while not folder.exists():
            folder = folder.parent
            touched.add(folder)
        for new in sorted(touched):
            new.mkdir(exist_ok=True)
        return touched

    def _undo(self, targets: dict[str, Target]) -> None:
        """Let go of the files and cut back what is longer than it is by right; where that fails, the next commit does it."""
        for place, target in targets.items():
            self._targets.pop(place, None)
            target.close()
            self._torn.add(target.known.path)
        with suppress(OSError, sqlite3.Error):
            for target in targets.values():
                if (known := self._open_state.file(target.known.path)) is not None:
                    self._restore(known, torn=True)
                self._torn.discard(target.known.path)

    @contextmanager
    def _as_oserror(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise OSError(f"{self.root / '_state.sqlite'}: {e}") from e
        except OSError as e:
            raise OSError(e.errno, f"{e.strerror or e}: the {self.name} sink cannot write {e.filename or self.root}") from e
