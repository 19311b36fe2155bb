"""The stored events that make a book, of one instrument, in the order in which they were made.

Files are sorted by venue time, a book is made in the order of numbers (`n`): nearly the same order, but not quite. So row groups are
read one after the other by their least number, and rows wait until nothing before them can follow. What is wanted is found by what
footers say of numbers, sessions and receive times; files are preselected by the catalogue's venue times with an hour to spare, which
is how far the venue's clock and ours may be apart.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tapeline.clock import SECOND
from tapeline.events import Flag, Level
from tapeline.instruments import split_id
from tapeline.lake import scan
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.rebuilding import ENDS
from tapeline.lake.scan import Group
from tapeline.lake.state import LakeFile

SPARE = 3600 * SECOND
KEYS = ("session_id", "n", "ts_event", "ts_recv", "flags")
EDGES = ("bid_floor", "ask_ceiling", "depth")
MOST = (1 << 63) - 1
UNTIMED = int(Flag.BAD_TIME | Flag.NO_VENUE_TIME)
"""An update whose venue time cannot be gone by counts with the one before it."""
LEAST_UNTIMED = min(int(Flag.BAD_TIME), int(Flag.NO_VENUE_TIME))  # flags below it have neither
ROW = (*KEYS, "snapshot", "seq", "bids", "asks", *EDGES)
Ints = npt.NDArray[np.int64]


class Row(NamedTuple):
    """An update (`kind` empty), or a status after which there is no book."""

    n: int
    ts_event: int
    ts_recv: int
    flags: int
    snapshot: bool
    seq: int | None
    bids: list[Level]
    asks: list[Level]
    edges: tuple[float | None, float | None]
    depth: int | None
    kind: str = ""
    reason: str = ""


class Piece(NamedTuple):
    """A row group of a file."""

    path: str
    group: Group

    def read(self, columns: Sequence[str]) -> pa.Table:
        (table,) = scan.rows([(self.path, (self.group,))], columns, column="", start=None, end=None)
        return table

    def least(self, column: str) -> Any:
        return self.group.spans[column][0]

    def most(self, column: str) -> Any:
        return self.group.spans[column][1]

    def past(self, clock: str, end: int) -> bool:
        """Whether every update in it is surely of `end` or later. By the venue's clock only those tell that can be gone by."""
        timed = clock == "ts_recv" or self.most("flags") < LEAST_UNTIMED
        return timed and bool(self.least(clock) >= end)


class Updates:
    """Of one instrument in one state of the lake, near the times asked for. Raises FileNotFoundError from every method."""

    def __init__(self, catalogue: Catalogue, instrument: str) -> None:
        self.catalogue, self.instrument = catalogue, instrument
        self.venue, self.symbol = split_id(instrument)

    def pieces(self, start: int | None, end: int | None) -> list[Piece]:
        """The row groups of updates received in about [`start`, `end`), by their least number."""
        files = self.catalogue.chosen(
            "book", [self.instrument], None if start is None else start - SPARE, None if end is None else end + SPARE
        )
        return pieces_of(self.catalogue, files)

    def rows(self, session: str, after: int, start: int | None, end: int | None, clock: str = "ts_recv") -> Iterator[Row]:
        """The session's updates numbered past `after` and received in about [`start`, `end`), with the statuses between them.

        Of a row group that reaches past `end`, nothing behind the first update whose `clock` does; that one shows which statuses
        come later: on the venue's clock they have no time of their own.
        """
        ends = iter(self._ends(session, after, start, end))
        ending = next(ends, None)
        for row in self._updates(session, after, self.pieces(start, end), clock, end):
            while ending is not None and ending.n < row.n:
                yield ending
                ending = next(ends, None)
            yield row
        if ending is not None:
            yield ending
            yield from ends

    def _updates(self, session: str, after: int, pieces: Sequence[Piece], clock: str, end: int | None) -> Iterator[Row]:
        wanted = [p for p in pieces if p.group.may_hold("session_id", session) and p.most("n") > after]
        wanted = wanted if end is None else _until(wanted, clock, end)
        held: list[Row] = []
        for i, piece in enumerate(wanted):
            more = _updates_of(piece, session, after, clock, end)
            held = sorted([*held, *more]) if held else list(more)
            until = min((p.least("n") for p in wanted[i + 1 :]), default=None)
            if until is None:
                break
            ready = [row for row in held if row.n < until]
            held = [row for row in held if row.n >= until]
            yield from ready
        yield from held

    def _ends(self, session: str, after: int, start: int | None, end: int | None) -> list[Row]:
        """The session's statuses after which there is no book, in order."""
        files = [
            f
            for f in self.catalogue.files
            if f.kind == "status"
            and f.venue == self.venue
            and f.symbol in {self.symbol, ""}
            and (start is None or f.last_ts >= start - SPARE)
            and (end is None or f.first_ts < end + SPARE)
        ]
        found: list[Row] = []
        for piece in pieces_of(self.catalogue, files):
            if not piece.group.may_hold("session_id", session) or piece.most("n") <= after:
                continue
            table = piece.read(("session_id", "n", "ts_event", "ts_recv", "status", "channel", "reason", "instrument_id"))
            table = table.filter(pa.array(scan.equals([table], "session_id", session) & (table["n"].to_numpy() > after)))
            for r in table.to_pylist():
                ours = r["instrument_id"] == self.instrument and r["channel"] == "book" and r["status"] in ENDS
                if ours or (not r["instrument_id"] and r["channel"] == "tape" and r["status"] == "gap"):
                    found.append(_end(r))
        return sorted(found)


def _end(r: dict[str, Any]) -> Row:
    times = r["n"], r["ts_event"], r["ts_recv"]
    return Row(*times, 0, False, None, [], [], (None, None), None, r["status"], r["reason"])


def pieces_of(catalogue: Catalogue, files: Sequence[LakeFile]) -> list[Piece]:
    found = [Piece(path, group) for path, groups in scan.in_order(catalogue, files) for group in groups]
    return sorted(found, key=lambda p: (p.least("n"), p.path))


def _until(pieces: Sequence[Piece], clock: str, end: int) -> list[Piece]:
    """Without the row groups that cannot matter before `end`. Numbers and our clock go together. The venue's may go astray, so by
    that one whatever stands before an update that counts is kept, and an update past the end to stop at; as it is by ours where
    a row group mixes sessions, of which its footer does not say how far each went.
    """
    before, past = ([p for p in pieces if p.past(clock, end) == late] for late in (False, True))
    if not past or (clock == "ts_recv" and past[0].least("session_id") == past[0].most("session_id")):
        return before
    reach = max([past[0].least("n"), *(p.most("n") for p in before)])  # there may be none before
    return [p for p in pieces if p.least("n") <= reach]


def _updates_of(piece: Piece, session: str, after: int, clock: str, end: int | None) -> Iterator[Row]:
    table = piece.read([name for name in ROW if name not in EDGES or _has(piece, name)])
    numbers = table["n"].to_numpy()
    mine = scan.equals([table], "session_id", session) & (numbers > after)
    if end is not None:
        past = mine & (table[clock].to_numpy() >= end)
        if clock == "ts_event":
            past &= (table["flags"].to_numpy() & UNTIMED) == 0
        mine &= numbers <= numbers[past].min(initial=MOST)
    if not mine.all():
        table = table.filter(pa.array(mine))
    n = table["n"].to_numpy()
    if len(n) > 1 and (n[1:] < n[:-1]).any():
        table = table.take(pa.array(np.argsort(n, kind="stable")))
    bids, asks = (levels(table[side]) for side in ("bids", "asks"))
    plain = [table[name].to_pylist() for name in ("n", "ts_event", "ts_recv", "flags", "snapshot", "seq")]
    edges = [table[name].to_pylist() if name in table.column_names else [None] * len(table) for name in EDGES]
    for n_, event, recv, flags, snapshot, seq, b, a, floor, ceiling, depth in zip(*plain, bids, asks, *edges, strict=True):
        yield Row(n_, event, recv, flags, snapshot, seq, b, a, (floor, ceiling), depth)


def _has(piece: Piece, name: str) -> bool:
    return name in piece.group.names


def levels(column: pa.ChunkedArray) -> Iterator[list[Level]]:
    """Lists of (price, size), row by row: several times quicker than `to_pylist`."""
    for chunk in column.chunks:
        offsets = chunk.offsets.to_numpy()
        flat = chunk.values[int(offsets[0]) : int(offsets[-1])] if len(chunk) else chunk.values[:0]
        pairs = list(zip(flat.field(0).to_numpy().tolist(), flat.field(1).to_numpy().tolist(), strict=True))
        at = (offsets - offsets[0]).tolist() if len(chunk) else []
        for first, last in pairwise(at):
            yield pairs[first:last]
