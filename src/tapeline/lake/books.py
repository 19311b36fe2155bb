"""Books at any instant out of the lake.

    book(catalogue, "binance:BTC-USDT", at)                                    one book
    books(catalogue, "binance:BTC-USDT", start, end, every, depth)             one a row, resampled

A book is rebuilt (`rebuilding.py`) from the nearest of: a derived snapshot (`snapshots.py`), a snapshot that came from the venue,
the beginning of the session. Derived snapshots only make it quicker: without them the same book comes out.

**Which events count at an instant.** By default those that Tapeline had made by then, by our clock (`ts_recv`): the book that
somebody who looked at that moment saw, with nothing in it that was only heard later. What a frame made is there as a whole from
the frame's time on. By "event" it is the venue's clock: every update that the venue dates up to that instant, in order, whenever
it was heard; that is the right one for comparing venues with each other, and the wrong one for what could have been known.

**Which session.** A new session begins empty. Where several were heard before the instant, the one that was heard last stands, of
two such the later session. Past the end of its session a book stands for nothing: it is unproven then.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa

from tapeline.clock import SECOND, iso
from tapeline.config import PipelineSettings
from tapeline.errors import TapelineError, UsageError
from tapeline.events import Level
from tapeline.lake import derived, scan
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.known import instruments, nothing_of
from tapeline.lake.layout import DAY
from tapeline.lake.rebuilding import BEGINS, Rebuilt, State
from tapeline.lake.updates import SPARE, UNTIMED, Piece, Row, Updates, pieces_of
from tapeline.market.intervals import Interval
from tapeline.tape import reader

By = Literal["received", "event"]
MOST_ROWS = 1_000_000
SURE = 60 * SECOND  # a venue's snapshot this much older than an instant of the venue's clock surely counts
WINDOWS = (3600 * SECOND, DAY, 30 * DAY, None)
HEARD = ("book", "trade", "quote", "metrics", "ticker")
LONGEST_LIST = pa.list_(pa.float64())


class BookAt(msgspec.Struct, frozen=True, kw_only=True):
    """A book at the instant `at` (ns), best level first, as `engine.source.BookView` shows it live.

    `state` "synced": every update up to then is in it. "unproven": `reason` says why that cannot be said (a gap, resyncing, before
    the first snapshot, disconnected, the end of the recording); it is empty or may be wrong. `ts_event`, `ts_recv`, `seq` are those
    of the last update in it. Levels past `bid_floor` / `ask_ceiling` may be missing and are never given. `session_id`, `n`: the last
    event that was looked at; empty and -1 where there is none.
    """

    instrument: str
    at: int
    ts_event: int | None
    ts_recv: int | None
    seq: int | None
    state: State
    reason: str
    bids: list[Level]
    asks: list[Level]
    bid_floor: float | None
    ask_ceiling: float | None
    session_id: str
    n: int

    def __repr__(self) -> str:
        """In one line: a book has thousands of levels."""
        told = self.state if not self.reason else f"{self.state}: {self.reason}"
        best = " | ".join(f"{side[0][1]:.15g} at {side[0][0]:.15g}" if side else "-" for side in (self.bids, self.asks))
        return f"<BookAt {self.instrument} {iso(self.at)} {told}, {len(self.bids)} bids, {len(self.asks)} asks: {best}>"


class Cursor:
    """One session's book, moved forward from instant to instant, up to those before `end`.

    `heard`: when the last update in it came, `reached`: when the last event of any kind did (ns; -1: never).
    """

    def __init__(self, updates: Updates, session: str, at: int, end: int, by: By) -> None:
        self.session, self._by = session, by
        self._updates = updates
        max_levels = book_levels(updates.catalogue.root.parent, session)
        self._rebuilt = Rebuilt(max_levels)
        self.n, self.heard, self.reached = -1, -1, -1
        base, since = _base(updates, session, at, by, max_levels)
        if isinstance(base, derived.Snapshot):
            self._rebuilt.resume(base.kept)
            self.n, self.heard, self.reached = base.n, base.kept.update_ts_recv, base.ts_recv
        else:
            self.n = base - 1
        self._rows = updates.rows(session, self.n, since, end, "ts_recv" if by == "received" else "ts_event")
        self._next = next(self._rows, None)

    def move(self, at: int) -> None:
        """Take what counts up to `at`."""
        row = self._next
        while row is not None and not self._after(row, at):
            take(self._rebuilt, row)
            self.n, self.reached = row.n, row.ts_recv
            if not row.kind:
                self.heard = row.ts_recv
            row = next(self._rows, None)
        self._next = row

    def _after(self, row: Row, at: int) -> bool:
        if self._by == "received":
            return row.ts_recv > at
        return not row.kind and not row.flags & UNTIMED and row.ts_event > at

    def view(self, at: int, depth: int | None) -> BookAt:
        rebuilt, book = self._rebuilt, self._rebuilt.book
        bids, asks = book.depth(book.max_levels if depth is None else depth)
        state, reason = rebuilt.state, rebuilt.reason
        if self._next is None and (last := _over(self._updates, self.session, self.heard)) is not None and at > last:
            state, reason = "unproven", f"the recording ends at {iso(last)}"
        there = book.ts_recv > 0
        return BookAt(
            instrument=self._updates.instrument, at=at, ts_event=book.ts_event if there else None,
            ts_recv=book.ts_recv if there else None, seq=book.seq, state=state, reason=reason, bids=bids, asks=asks,
            bid_floor=book.bid_floor, ask_ceiling=book.ask_ceiling, session_id=self.session, n=self.n,
        )  # fmt: skip


def take(rebuilt: Rebuilt, row: Row) -> None:
    times = row.ts_event, row.ts_recv
    if row.kind:
        rebuilt.end(row.kind, row.reason)
    elif row.snapshot:
        rebuilt.snapshot((row.bids, row.asks), row.seq, row.flags, times, row.edges, row.depth)
    else:
        rebuilt.update(row.bids, row.asks, row.seq, row.flags, times)


@lru_cache(maxsize=256)
def book_levels(data: Path, session: str) -> int:
    """The most levels a side that the session's books kept: its tape says so; without one, the default."""
    with suppress(TapelineError, OSError, msgspec.MsgspecError):
        return msgspec.convert(reader.head(data, session).pipeline, PipelineSettings).book_levels
    return PipelineSettings().book_levels


def _base(updates: Updates, session: str, at: int, by: By, max_levels: int) -> tuple[derived.Snapshot | int, int | None]:
    """From where to rebuild: a derived snapshot, else the number of an event; and from when on rows are to be read."""
    column = "ts_recv" if by == "received" else "ts_event"
    for window in WINDOWS:
        since = None if window is None else at - window
        pieces = updates.pieces(since, at + 1)
        told = _told(pieces, session, column, at if by == "received" else at - SURE)
        near = derived.pieces(updates.catalogue, updates.instrument, since, at + SPARE)
        kept = derived.latest(near, session, max_levels, column, at)
        if kept is not None and kept.n >= told:
            return kept, since
        if told >= 0:
            return told, since
    return 0, None


def _told(pieces: Sequence[Piece], session: str, column: str, at: int) -> int:
    """The number of the last snapshot that came from the venue up to `at`; -1 where there is none."""
    best = -1
    for piece in sorted(pieces, key=lambda p: -int(p.most("n"))):
        if piece.most("n") <= best:
            break
        if piece.group.may_hold("session_id", session) and piece.most("snapshot") and piece.least(column) <= at:
            table = piece.read(("session_id", "n", "snapshot", "flags", column))
            usable = scan.equals([table], "session_id", session) & table["snapshot"].to_numpy()
            usable &= table[column].to_numpy() <= at
            if column == "ts_event":
                usable &= (table["flags"].to_numpy() & UNTIMED) == 0
            best = max(best, int(table["n"].to_numpy()[usable].max(initial=-1)))
    return best


def _over(updates: Updates, session: str, heard: int) -> int | None:
    """When a session that is over heard of this instrument last; None while it goes on, as far as the lake knows."""
    known = updates.catalogue.sessions
    if not (session in known and known[session].finished) and not any(other > session for other in known):
        return None
    chosen = [f for kind in HEARD for f in updates.catalogue.chosen(kind, [updates.instrument], heard - SPARE)]
    ours = [p for p in pieces_of(updates.catalogue, chosen) if p.least("session_id") == p.most("session_id") == session]
    return max([heard, *(int(p.most("ts_recv")) for p in ours)])


def _sessions(updates: Updates, start: int, end: int, by: By) -> list[str]:
    """The sessions that may have had the book between these instants, or before them where none had it between."""
    column = "ts_recv" if by == "received" else "ts_event"
    for window in WINDOWS:
        pieces = updates.pieces(None if window is None else start - window, end)
        found = {s for p in pieces for s in _of(p)}
        if found and (window is None or any(p.least(column) <= start for p in pieces)):
            return sorted(found)
    return []


def _of(piece: Piece) -> set[str]:
    least, most = piece.group.spans["session_id"]
    return {least} if least == most else set(scan.texts([piece.read(("session_id",))], "session_id")[0])


def sessions_of(updates: Updates) -> dict[str, int]:
    """Every session that had the book, with a number that its last update does not exceed."""
    found: dict[str, int] = {}
    for piece in updates.pieces(None, None):
        for session in _of(piece):
            found[session] = max(found.get(session, -1), int(piece.most("n")))
    return found


def book(catalogue: Catalogue, instrument: str, at: int, *, depth: int | None = None, by: By = "received") -> BookAt:
    """Raises UsageError, FileNotFoundError where a file was swapped away meanwhile (`catalogue.fresh`)."""
    return next(at_instants(catalogue, instrument, [at], depth, by))


def books(
    catalogue: Catalogue, instrument: str, start: int, end: int, every: Interval, *, depth: int = 10, by: By = "received"
) -> pa.Table:
    """A row an instant: `start` and every `every.width` from there on, before `end`. See docs/bars-and-books.md for the columns."""
    count = -(-(end - start) // every.width)
    if not 0 < count <= MOST_ROWS:
        raise UsageError(f"from start to end there are {max(0, count)} steps of {every.name}: 1 to {MOST_ROWS} can be given")
    if depth < 1:
        raise UsageError("depth is at least 1")
    instants = range(start, end, every.width)
    return _table(list(at_instants(catalogue, instrument, instants, depth, by)))


def at_instants(catalogue: Catalogue, name: str, instants: Sequence[int], depth: int | None, by: By) -> Iterator[BookAt]:
    updates = Updates(catalogue, name)
    if not any(f.kind == "book" and f"{f.venue}:{f.symbol}" == name for f in catalogue.files):
        there = instruments(catalogue)
        if name in there:
            raise UsageError(f"the lake has no book of {name}: was it recorded with the channel `book`?")
        raise UsageError(nothing_of(name, there, "no book"))
    end = instants[-1] + 1
    cursors = [Cursor(updates, s, instants[0], end, by) for s in _sessions(updates, instants[0], end, by)]
    for at in instants:
        for cursor in cursors:
            cursor.move(at)
        heard = [c for c in cursors if c.n >= 0]
        best = max(heard, key=lambda c: (c.reached, c.session), default=None)
        yield _nothing(name, at) if best is None else best.view(at, depth)


def _nothing(name: str, at: int) -> BookAt:
    return BookAt(
        instrument=name, at=at, ts_event=None, ts_recv=None, seq=None, state="unproven", reason=BEGINS, bids=[], asks=[],
        bid_floor=None, ask_ceiling=None, session_id="", n=-1,
    )  # fmt: skip


def _table(found: list[BookAt]) -> pa.Table:
    plain: dict[str, pa.DataType] = {
        "instrument": pa.string(), "at": pa.int64(), "ts_event": pa.int64(), "ts_recv": pa.int64(), "seq": pa.int64(),
        "state": pa.string(), "reason": pa.string(),
    }  # fmt: skip
    columns = {name: pa.array([getattr(b, name) for b in found], kind) for name, kind in plain.items()}
    for side in ("bids", "asks"):
        for at, name in enumerate(("prices", "sizes")):
            values = [[level[at] for level in getattr(b, side)] for b in found]
            columns[f"{side[:-1]}_{name}"] = pa.array(values, LONGEST_LIST)
    return pa.table(columns)
