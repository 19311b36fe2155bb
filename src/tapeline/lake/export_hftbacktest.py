"""An instrument's trades and book updates as hftbacktest (2.x) wants them: `.npz` with one array `data`.

Columns `ev, exch_ts, local_ts, px, qty, order_id, ival, fval`, 64 bytes a row; times in ns. `ev` is a kind with flags (the package's
`types.py`): BUY and SELL are the aggressor of a trade and the side of a level; EXCH and LOCAL say for whom the row counts, the
simulated exchange at `exch_ts` or the strategy at `local_ts`. Rows with EXCH must be in order of `exch_ts`, those with LOCAL of
`local_ts`. A row whose place is the same in both orders stands once with both flags, any other once for each.

    trade             TRADE; before a book update of the same time, whose level it already took
    the book at start a snapshot, where the span begins in the middle of a session
    book snapshot     CLEAR of each side (price NaN: all of it), then a SNAPSHOT row a level
    book update       a DEPTH row a level, size 0 removes

What orders what. `local_ts` is our receive time; updates that waited for their snapshot count from the moment it was there.
`exch_ts` is the venue's time; book messages are put in their own order, so it never runs back among them, and one without a
venue's time (a fetched snapshot) takes that of its neighbours. Where our clock ran behind the venue's, the greatest negative
latency is added to all of `local_ts`, since the simulation cannot hear before it is said.

Left out: updates that were never joined to a snapshot, trades off the book, trades whose time cannot be true.

Memory stays bounded: the rows go to a raw file beside the target, and from there into the archive.
"""

import zipfile
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import tee
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from tapeline.errors import UsageError
from tapeline.events import BookUpdate, Flag, Trade
from tapeline.lake import opening, outputs, rows
from tapeline.lake.exporting import Exported, Told, nothing
from tapeline.lake.rows import Selection

DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
DTYPE = np.dtype(
    [
        ("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"),
        ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8"),
    ],
    align=True,
)  # fmt: skip
CHUNK_ROWS = 1 << 16
_UNTIMED = int(Flag.NO_VENUE_TIME | Flag.BAD_TIME)
_SIDES = {"buy": BUY, "sell": SELL, "unknown": 0}
_NAN = float("nan")


class Part(NamedTuple):
    """What one event becomes. `key`: its session and number; `rows`: (kind and side, price, size)."""

    key: tuple[str, int]
    exch: int
    local: int
    rows: list[tuple[int, float, float]]


def export(data: Path, instrument: str, start: int | None, end: int | None, target: str, told: Told = nothing) -> Exported:
    """Raises UsageError for standard output: an archive's head is written last. Otherwise as `exporting.export`."""
    if target == outputs.STDOUT:
        raise UsageError("an .npz cannot be written to standard output: name a file with --output")
    done, path = Exported(), Path(target)
    body = path.with_name(f".{path.name}.rows.tmp")
    try:
        with body.open("wb") as file:
            latency = _write(_ordered(data, instrument, start, end, told), file, done)
        shift = max(0, -latency)
        with outputs.renamed(path) as temporary:
            _archive(body, done.rows, shift, temporary)
        done.bytes = path.stat().st_size
    finally:
        body.unlink(missing_ok=True)
    if shift:
        done.notes.append(
            f"receive times are {shift / 1e9:.6f} s later than recorded: the venue's clock was so far ahead of the recorder's"
        )
    if unproven := _count(data, instrument, start, end):
        done.left_out["book updates that no snapshot was joined to"] = unproven
    return done


def _count(data: Path, instrument: str, start: int | None, end: int | None) -> int:
    where = f"NOT snapshot AND flags & {int(Flag.BOOK_UNPROVEN)} <> 0"
    return sum(b.num_rows for b in rows.batches(data, Selection("book_updates", (instrument,), start, end, where)))


def _ordered(data: Path, instrument: str, start: int | None, end: int | None, told: Told) -> Iterator[tuple[int, Part]]:
    where = f"flags & {int(Flag.OFF_BOOK | Flag.BAD_TIME)} = 0"
    trades = Selection("trades", (instrument,), start, end, where)
    heard, happened = tee(_books(_updates(data, instrument, start, end, told)))
    local = merge(_trades(data, trades, "made", told), heard, key=lambda p: p.key)
    exchange = merge(_trades(data, trades, "time", nothing), happened, key=lambda p: p.exch)  # of equal ones trades first
    return _both(exchange, local)


def _updates(data: Path, instrument: str, start: int | None, end: int | None, told: Told) -> Iterator[opening.Numbered]:
    for count, found in opening.updates(data, instrument, start, end):
        yield from found
        told(count)


def _counted(found: Iterable[Any], told: Told) -> Iterator[Any]:
    for batch in found:
        yield batch
        told(batch.num_rows)


def _trades(data: Path, selection: Selection, order: rows.Order, told: Told) -> Iterator[Part]:
    for key, t in rows.numbered(Trade, _counted(rows.batches(data, selection, order), told)):
        yield Part(key, t.ts_event, t.ts_recv, [(TRADE | _SIDES[t.side], t.price, t.size)])


def _books(found: Iterable[tuple[tuple[str, int], BookUpdate]]) -> Iterator[Part]:
    """Book updates with times that never run back."""
    exch = local = 0
    waiting: tuple[tuple[str, int], BookUpdate] | None = None  # the first one, where it tells no time
    for key, m in found:
        untimed = bool(m.flags & _UNTIMED)
        if waiting is not None:
            first, waiting = waiting, None
            exch = first[1].ts_event if untimed else m.ts_event
            local = first[1].ts_recv
            yield Part(first[0], exch, local, _levels(first[1]))
        elif not exch and untimed:
            waiting = (key, m)
            continue
        exch, local = exch if untimed and exch else max(exch, m.ts_event), max(local, m.ts_recv)
        yield Part(key, exch, local, _levels(m))
    if waiting is not None:
        key, m = waiting
        yield Part(key, m.ts_event, m.ts_recv, _levels(m))


def _levels(m: BookUpdate) -> list[tuple[int, float, float]]:
    made: list[tuple[int, float, float]] = []
    for side, levels in ((BUY, m.bids), (SELL, m.asks)):
        if m.snapshot:
            made.append((CLEAR | side, _NAN, 0.0))
        kind = (SNAPSHOT if m.snapshot else DEPTH) | side
        made += [(kind, price, size) for price, size in levels]
    return made


def _both(exchange: Iterator[Part], local: Iterator[Part]) -> Iterator[tuple[int, Part]]:
    """The two orders of the same parts as one: once where they meet, else once for each."""
    e, l = next(exchange, None), next(local, None)  # noqa: E741 - the other of two
    while e is not None or l is not None:
        if e is not None and l is not None and e.key == l.key:
            yield EXCH | LOCAL, e._replace(local=l.local)
            e, l = next(exchange, None), next(local, None)  # noqa: E741
        elif e is not None and (l is None or (e.exch, e.local) <= (l.exch, l.local)):
            yield EXCH, e
            e = next(exchange, None)
        elif l is not None:
            yield LOCAL, l
            l = next(local, None)  # noqa: E741


def _write(parts: Iterable[tuple[int, Part]], file: IO[bytes], done: Exported) -> int:
    """The rows, raw; the least latency (local − exchange) of all."""
    heard, latency = 0, 0
    gathered: list[tuple[int, int, int, float, float]] = []
    for whom, part in parts:
        exch, local = part.exch, part.local
        if whom & LOCAL:
            heard = local = max(heard, local)  # two sessions that overlap
        latency = min(latency, local - exch)
        gathered += [(whom | kind, exch, local, price, size) for kind, price, size in part.rows]
        if len(gathered) >= CHUNK_ROWS:
            done.rows += _flush(gathered, file)
    done.rows += _flush(gathered, file)
    return latency


def _flush(gathered: list[tuple[int, int, int, float, float]], file: IO[bytes]) -> int:
    out = np.zeros(len(gathered), DTYPE)
    if gathered:
        for name, column in zip(("ev", "exch_ts", "local_ts", "px", "qty"), zip(*gathered, strict=True), strict=True):
            out[name] = column
        file.write(out.tobytes())
    gathered.clear()
    return len(out)


def _archive(body: Path, count: int, shift: int, target: Path) -> None:
    """What `numpy.savez_compressed` would write of the rows in `body`, a piece at a time."""
    head = {"descr": np.lib.format.dtype_to_descr(DTYPE), "fortran_order": False, "shape": (count,)}
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=6) as archive,
        archive.open("data.npy", "w", force_zip64=True) as out,
        body.open("rb") as file,
    ):
        np.lib.format.write_array_header_1_0(out, head)
        while piece := file.read(CHUNK_ROWS * DTYPE.itemsize):
            part = np.frombuffer(piece, DTYPE).copy()
            part["local_ts"] += shift
            out.write(part.tobytes())
