"""Bars of any interval out of the lake.

    bars(catalogue, "binance:BTC-USDT", "5m", start=…, end=…) -> pyarrow.Table, the columns of the event `bar`

The bars that begin in [`start`, `end`), one a row, by time; where nothing was traded there is none. They come from two places:

* An interval that the pipeline makes itself (`config.INTERVALS`) is stored: its last revision is taken, and with it every field.
  One row a bar, chosen as in `sinks/sqlite_schema.py`: where two sessions each made a part of a bar, a complete one wins over one
  with a hole, then the one with more trades, then the later session. Only what is not stored, the bar that is still filling and
  what a crash kept from being closed, is folded from the trades.
* Every other interval is folded from the trades (`lake/folding.py`), to the same last digit. Trades of several sessions that fall
  into one bar are added up, each once.

`complete` of a folded bar follows from the stored seconds, because what the live pipeline knew of gaps, lost connections and repairs
lies in them: every hole touches the second of the last trade before it and that of the first after it. A bar is complete where
all its trades are in complete seconds, and a later second of the same session shows that the session went on past its end. That
is never True too often; where the seconds are not kept it is False. `revision` of a folded bar is 0, `ts_recv` is that of the last
trade to come. What one contract of an inverse instrument is worth is not kept beside trades either: the stored bars tell it.

`source` "trades" folds the bars of any interval, to check those that are stored; "stored" folds none.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.events import Bar, arrow_schema
from tapeline.instruments import split_id
from tapeline.lake import folding, scan
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.folding import Folded
from tapeline.lake.intervals import Interval, interval_of
from tapeline.lake.tables import RENAMED

Source = Literal["auto", "stored", "trades"]
Ints = npt.NDArray[np.int64]
FEW = 32  # spans without stored bars that are looked at one by one
MOST = (1 << 63) - 1
EVIDENCE = ("session_id", "ts_open", "ts_event", "complete", "origin")
KEPT = ("session_id", "n", "instrument_id", *Bar.__struct_fields__[1:])


def bars(
    catalogue: Catalogue,
    instrument: str,
    interval: str,
    *,
    start: int | None = None,
    end: int | None = None,
    source: Source = "auto",
) -> pa.Table:
    """Times are ns UTC, None is all there is. Raises UsageError for no interval or instrument, FileNotFoundError where a file was
    swapped away meanwhile (`catalogue.fresh`).
    """
    split_id(instrument)
    asked = interval_of(interval)
    span = _span(catalogue, instrument, asked, start, end)
    if span is None:
        return arrow_schema(Bar).empty_table()
    kept = Kept(catalogue, instrument, *span)
    name = next((n for n, width in INTERVALS.items() if width == asked.width and not asked.origin), "")
    stored = kept.rows(name) if name and source != "trades" else kept.none
    if source == "stored":
        return _events(stored)
    folded = _Folding(kept, msgspec.structs.replace(asked, name=name or asked.name))
    missing = [span] if not name or source == "trades" else folded.missing(set(stored["ts_open"].to_pylist()))
    made = folded.bars(missing, set(stored["ts_open"].to_pylist()))
    table = pa.concat_tables([_events(stored), made])
    return table if not len(stored) or not len(made) else table.sort_by("ts_open")


def _span(catalogue: Catalogue, name: str, asked: Interval, start: int | None, end: int | None) -> tuple[int, int] | None:
    """From where the first bar asked for begins to where the last one ends, no further than there are any."""
    found = [(f.first_ts, f.last_ts) for kind in ("trade", "bar") for f in catalogue.chosen(kind, [name], start, end)]
    if not found:
        return None
    first, last = min(a for a, _ in found), max(b for _, b in found) + 1
    begin = asked.slot(first) if start is None else max(asked.slot(first), -((asked.origin - start) // asked.width))
    stop = asked.slot(last) + 1 if end is None else min(asked.slot(last) + 1, asked.slot(end - 1) + 1)
    return (asked.begin(begin), asked.begin(stop)) if begin < stop else None


class Kept:
    """The stored bars of an instrument that begin in [`start`, `end`), those made from trades, all intervals and revisions."""

    def __init__(self, catalogue: Catalogue, instrument: str, start: int, end: int) -> None:
        self.catalogue, self.instrument, self.start, self.end = catalogue, instrument, start, end
        files = scan.in_order(catalogue, catalogue.chosen("bar", [instrument], start, end))
        tables = scan.rows(files, KEPT, column="ts_open", start=start, end=end)
        self.tables = [t for t in (_within(t, start, end) for t in tables) if len(t)]
        self.none = _unified([]) if not self.tables else _unified([t.slice(0, 0) for t in self.tables])

    def rows(self, interval: str) -> pa.Table:
        """One row a bar of this interval, by time."""
        wanted = [t for t in (t.filter(pa.array(scan.equals([t], "interval", interval))) for t in self.tables) if len(t)]
        if not wanted:
            return self.none
        _, sessions = scan.texts(wanted, "session_id")
        table = _unified(wanted)
        opens, n, revision = (table[name].to_numpy() for name in ("ts_open", "n", "revision"))
        order = np.lexsort((n, revision, sessions, opens))
        order = order[_last_of(opens[order], sessions[order])]
        trades, complete = (table[name].to_numpy() for name in ("trades", "complete"))
        best = np.lexsort((sessions[order], trades[order], complete[order], opens[order]))
        order = order[best]
        return table.take(pa.array(order[_last_of(opens[order])]))


def _within(table: pa.Table, start: int, end: int) -> pa.Table:
    opens = table["ts_open"].to_numpy()
    return table.filter(pa.array((opens >= start) & (opens < end) & scan.equals([table], "origin", "trades")))


def _last_of(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Of rows sorted by these keys, the last one of each run of equal keys."""
    last = np.ones(len(keys[0]), np.bool_)
    last[:-1] = False
    for key in keys:
        last[:-1] |= key[1:] != key[:-1]
    return last


def _unified(tables: Sequence[pa.Table]) -> pa.Table:
    schema = pa.schema([pa.field("session_id", pa.string()), pa.field("n", pa.int64()), *_STORED])
    return pa.concat_tables([t.cast(schema) for t in tables]) if tables else schema.empty_table()


_STORED = [pa.field(RENAMED.get(f.name, f.name), f.type, f.nullable) for f in arrow_schema(Bar)]


def _events(stored: pa.Table) -> pa.Table:
    schema = arrow_schema(Bar)
    return pa.Table.from_arrays([stored[RENAMED.get(f.name, f.name)] for f in schema], schema=schema)


class _Folding:
    """What is not stored, from the trades."""

    def __init__(self, kept: Kept, interval: Interval) -> None:
        self.kept, self.interval = kept, interval
        self.trades = folding.source(kept.catalogue, kept.instrument)
        self.seconds = kept.rows("1s")

    def missing(self, stored: set[int]) -> list[tuple[int, int]]:
        """The spans of bars that have trades and are not stored."""
        interval, seconds = self.interval, self.seconds
        slots = np.unique((seconds["ts_open"].to_numpy() - interval.origin) // interval.width).tolist()
        for start, end in self._unheard(stored):
            slots += folding.slots(self.trades, interval, start, end)
        found = sorted({begin for s in slots if (begin := interval.begin(s)) not in stored})
        spans = _joined([(begin, begin + interval.width) for begin in found])
        return spans if len(spans) <= FEW else [(spans[0][0], spans[-1][1])]

    def _unheard(self, stored: set[int]) -> list[tuple[int, int]]:
        """The spans outside of what each session's seconds and the stored bars cover: before, between and after sessions."""
        width = self.interval.width
        opens, sessions = self.seconds["ts_open"].to_numpy(), self.seconds["session_id"].to_numpy(zero_copy_only=False)
        covered = [(begin, begin + width) for begin in stored]
        for session in np.unique(sessions) if len(sessions) else ():
            mine = opens[sessions == session]
            covered.append((int(mine.min()), int(mine.max()) + SECOND))
        at, found = self.kept.start, []
        for start, end in _joined(sorted(covered)):
            if start > at:
                found.append((at, start))
            at = max(at, end)
        return [*found, (at, self.kept.end)] if at < self.kept.end else found

    def bars(self, spans: Iterable[tuple[int, int]], stored: set[int]) -> pa.Table:
        found = [
            bar
            for start, end in spans
            for bar in folding.fold(self.trades, self.interval, start, end)
            if self.interval.begin(bar.slot) not in stored
        ]
        if not found:
            return arrow_schema(Bar).empty_table()
        return _table(found, self.kept, self.interval, self._complete(found))

    def _complete(self, found: list[Folded]) -> list[bool]:
        interval, seconds = self.interval, self.seconds
        if not len(seconds):
            return [False] * len(found)
        opens, trades, whole = (seconds[name].to_numpy() for name in ("ts_open", "trades", "complete"))
        slots = (opens - interval.origin) // interval.width
        starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
        ends = np.append(starts[1:], len(slots)) - 1
        all_whole, counted = np.logical_and.reduceat(whole, starts), np.add.reduceat(trades, starts)
        sessions = seconds["session_id"].take(pa.array(ends)).to_pylist()
        rows = zip(slots[starts].tolist(), all_whole.tolist(), counted.tolist(), sessions, strict=True)
        told = {slot: (ok, n, session) for slot, ok, n, session in rows}
        went_on = self._went_on(set(sessions))
        complete = []
        for bar in found:
            ok, n, session = told.get(bar.slot, (False, 0, ""))
            complete.append(ok and n == bar.trades and went_on[session] >= interval.begin(bar.slot + 1))
        return complete

    def _went_on(self, sessions: set[str]) -> dict[str, int]:
        """Until when each session surely went on: where its last bar began, or a complete one ended. It may be past the span."""
        kept, last = self.kept, dict.fromkeys(sessions, 0)
        for table in kept.tables:
            _note(last, table)
        for path, groups in scan.in_order(kept.catalogue, kept.catalogue.chosen("bar", [kept.instrument], kept.end)):
            tables = scan.rows([(path, groups)], EVIDENCE, column="ts_open", start=kept.end, end=None)
            for table in tables:
                _note(last, _within(table, kept.end, MOST))
            if tables and min(last.values()) >= kept.end:
                break
        return last


def _note(last: dict[str, int], table: pa.Table) -> None:
    opens, ends, whole = (table[name].to_numpy() for name in ("ts_open", "ts_event", "complete"))
    until = np.where(whole, ends, opens)
    for session, known in last.items():
        last[session] = max(known, int(until[scan.equals([table], "session_id", session)].max(initial=0)))


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _table(found: list[Folded], kept: Kept, interval: Interval, complete: list[bool]) -> pa.Table:
    contract, sided = _contract(kept), _sided(kept)
    opens = [interval.begin(b.slot) for b in found]
    values: dict[str, list[Any]] = {
        "instrument": [kept.instrument] * len(found),
        "ts_event": [o + interval.width for o in opens],
        "ts_recv": [b.ts_recv for b in found],
        "flags": [b.flags for b in found],
        "interval": [interval.name] * len(found),
        "ts_open": opens,
        **{name: [getattr(b, name) for b in found] for name in ("open", "high", "low", "close", "trades")},
        "volume": [b.volume / 10**b.size_digits for b in found],
        "buy_volume": [b.buy / 10**b.size_digits if sided else None for b in found],
        "notional": [_notional(b, contract) for b in found],
        "vwap": [b.notional / (b.volume * 10**b.price_digits) if b.volume else None for b in found],
        "complete": complete,
        "revision": [0] * len(found),
        "origin": ["trades"] * len(found),
    }
    schema = arrow_schema(Bar)
    return pa.Table.from_arrays([pa.array(values[f.name], f.type) for f in schema], schema=schema)


def _notional(bar: Folded, contract: Fraction | None) -> float:
    if contract is None:
        scale: int = 10 ** (bar.size_digits + bar.price_digits)
        return bar.notional / scale
    return float(bar.volume * contract / 10**bar.size_digits)


def _example(kept: Kept) -> pa.Table:
    """Some stored bars of the instrument: of the span, or, where it has none, the first ones there are."""
    rows = kept.rows("1s")
    files = kept.catalogue.chosen("bar", [kept.instrument])
    if len(rows) or not files:
        return rows
    return Kept(kept.catalogue, kept.instrument, files[0].first_ts, files[0].last_ts + 1).rows("1s")


def _contract(kept: Kept) -> Fraction | None:
    """What a contract is worth in the quote asset, where the instrument is inverse: notional by volume, which is no price then."""
    rows = _example(kept)
    volume, notional, vwap = (rows[name].to_numpy(zero_copy_only=False) for name in ("volume", "notional", "vwap"))
    traded = volume > 0
    if not traded.any() or np.allclose(notional[traded], vwap[traded] * volume[traded], rtol=1e-9):
        return None
    return Fraction(f"{float(np.median(notional[traded] / volume[traded])):.12g}")


def _sided(kept: Kept) -> bool:
    """Whether the venue tells who bought."""
    rows = _example(kept)
    return not len(rows) or rows["buy_volume"].null_count < len(rows)
