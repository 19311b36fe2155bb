"""The Parquet lake (`lake/layout.py` says where things lie). Keeps every event.

A commit writes a file for each folder and hands them, with the position, to `lake/store.py`, whose steps see to it that a crash at
any moment leaves either all of it or nothing, and that a glob over `*.parquet` never shows an uncommitted event.

Not done here: putting the many small files of a live session together (`lake/compaction.py`), retention, queries.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event
from tapeline.lake import tables
from tapeline.lake.files import sync_file, sync_folder
from tapeline.lake.layout import file_name
from tapeline.lake.state import Added, Intent
from tapeline.lake.store import Store
from tapeline.sinks.hold import Hold
from tapeline.sinks.storable import storable


class LakeSink:
    """`store`: the files and the state, which upkeep in another thread may share while the sink is open."""

    name = "lake"

    def __init__(self, data: Path) -> None:
        self.store = Store(data)
        self._hold: Hold | None = None

    def open(self) -> None:
        self._hold = Hold(self.store.root / "_lock")
        try:
            self.store.open()
        except (ConfigError, IntegrityError):
            self.close()
            raise

    def position(self, session: str) -> int:
        return self.store.state.position(session)[0]

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        stands, count = self.store.state.position(session)
        if seq <= stands:
            raise IntegrityError(f"lake: frame {seq} of session {session} is not past the committed {stands}")
        name = file_name(session, stands + 1, seq)
        try:
            staged = self._stage(session, name, events, count)
        except (OverflowError, ValueError):
            staged = self._stage(session, name, [storable(e) for e in events], count)
        self.store.commit(session, seq, len(events), staged)

    def _stage(self, session: str, name: str, events: Sequence[Event], count: int) -> list[Added]:
        """Write the files of one commit into `_pending`, durable. After a failure there are none."""
        staged: list[Added] = []
        names: list[str] = []
        try:
            for part in tables.parts(session, events, count):
                intent = Intent(f"{name}-{len(names)}.tmp", f"{part.partition.path}/{name}")
                names.append(intent.pending)
                staged.append((intent, tables.described(part, intent.final, self._write(part, intent.pending))))
            if staged:
                sync_folder(self.store.pending)
        except BaseException:
            self.store.discard(names)
            raise
        return staged

    def _write(self, part: tables.Part, name: str) -> int:
        """The size of the file in bytes."""
        path = self.store.pending / name
        try:
            tables.write(part.table, path)
            sync_file(path)
            return path.stat().st_size
        except OSError as e:
            raise OSError(e.errno, f"{e.strerror or e}: the lake cannot write {path}") from e

    def finished(self) -> Iterable[str]:
        return self.store.state.finished()

    def finish(self, session: str) -> None:
        self.store.finish(session)

    def close(self) -> None:
        self.store.close()
        if self._hold is not None:
            self._hold.release()
            self._hold = None
