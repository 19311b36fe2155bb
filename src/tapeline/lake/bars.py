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
all its trades are in complete seconds, a later second of the same session shows that the session went on past its end, and
retention took out none of its days. That is never True too often; where the seconds are not kept it is False. `revision` of a
folded bar is 0, `ts_recv` is that of the last trade to come. What one contract of an inverse instrument is worth is not kept beside
trades either: the stored bars tell it.

`source` "trades" folds the bars of any interval, to check those that are stored; "stored" folds none.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tapeline.clock import SECOND, parse_iso
from tapeline.config import INTERVALS
from tapeline.events import Bar, arrow_schema
from tapeline.instruments import split_id
from tapeline.lake import folding, scan
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.folding import Folded
from tapeline.lake.intervals import Interval, interval_of
from tapeline.lake.layout import DAY
from tapeline.lake.tables import RENAMED

Source = Literal["auto", "stored", "trades"]
Ints = npt.NDArray[np.int64]
SOME = 1000  # stored bars that are looked at for what kind of instrument it is
FEW = 32  # spans without stored bars that are looked at one by one
MOST = (1 << 63) - 1
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
    rows = kept.best(name) if name and source != "trades" else np.empty(0, np.int64)
    stored, opens = kept.table(rows, Bar.__struct_fields__), kept.opens[rows]
    if source == "stored":
        return stored
    folded = _Folding(kept, msgspec.structs.replace(asked, name=name or asked.name))
    made = folded.bars(folded.missing(opens) if name and source != "trades" else [span], opens)
    if not len(made) or not len(stored):
        return stored if len(stored) else made
    return pa.concat_tables([stored, made]).sort_by("ts_open")


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
    """The stored bars of an instrument that begin in [`start`, `end`), those made from trades, all intervals and revisions.

    Columns are arrays; a row is known by its number in them. `session` holds numbers of `sessions`.
    """

    def __init__(self, catalogue: Catalogue, instrument: str, start: int, end: int) -> None:
        self.catalogue, self.instrument, self.start, self.end = catalogue, instrument, start, end
        files = scan.in_order(catalogue, catalogue.chosen("bar", [instrument], start, end))
        self._tables = scan.rows(files, KEPT, column="ts_open", start=start, end=end)
        opens, ends, n, revision = (scan.numbers(self._tables, c) for c in ("ts_open", "ts_event", "n", "revision"))
        trades = scan.numbers(self._tables, "trades", np.float64)  # a venue's own candle may not tell
        self.opens, self.ends, self.trades = opens, ends, np.nan_to_num(trades, nan=-1.0).astype(np.int64)
        self.complete = scan.numbers(self._tables, "complete", np.bool_)
        self.sessions, self.session = scan.texts(self._tables, "session_id")
        self._n, self._revision = n, revision
        self.within = (opens >= start) & (opens < end) & scan.equals(self._tables, "origin", "trades")

    def best(self, interval: str) -> Ints:
        """The rows that stand of this interval, by time."""
        rows = np.flatnonzero(self.within & scan.equals(self._tables, "interval", interval))
        rows = rows[np.argsort(self.opens[rows], kind="stable")]
        again = self.opens[rows][1:] == self.opens[rows][:-1]
        if not again.any():
            return rows
        several = np.zeros(len(rows), np.bool_)
        several[1:] |= again
        several[:-1] |= again
        rows = np.concatenate([rows[~several], self._best_of(rows[several])])
        return rows[np.argsort(self.opens[rows], kind="stable")]

    def _best_of(self, rows: Ints) -> Ints:
        """Of each session the last revision, of these the best."""
        rows = rows[np.lexsort((self._n[rows], self._revision[rows], self.session[rows], self.opens[rows]))]
        rows = rows[_last_of(self.opens[rows], self.session[rows])]
        rows = rows[np.lexsort((self.session[rows], self.trades[rows], self.complete[rows], self.opens[rows]))]
        return rows[_last_of(self.opens[rows])]

    def table(self, rows: Ints, columns: Sequence[str]) -> pa.Table:
        """These rows, with the columns of the event of these names."""
        schema = pa.schema([f for f in arrow_schema(Bar) if f.name in columns], arrow_schema(Bar).metadata)
        names = [RENAMED.get(f.name, f.name) for f in schema]
        if not len(rows):
            return schema.empty_table()
        tables = [_with(t, schema, names) for t in self._tables]
        table = pa.concat_tables(tables).unify_dictionaries().take(pa.array(rows))
        return table.rename_columns(schema.names).cast(schema)


def _with(table: pa.Table, schema: pa.Schema, names: Sequence[str]) -> pa.Table:
    """The columns `names`, those of `schema` in its order; what an earlier release did not write is null."""
    there = set(table.column_names)
    kinds = zip(names, schema, strict=True)
    return pa.table({n: table[n] if n in there else pa.nulls(len(table), field.type) for n, field in kinds})


def _last_of(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Of rows sorted by these keys, the last one of each run of equal keys."""
    last = np.ones(len(keys[0]), np.bool_)
    last[:-1] = False
    for key in keys:
        last[:-1] |= key[1:] != key[:-1]
    return last


class _Folding:
    """What is not stored, from the trades."""

    def __init__(self, kept: Kept, interval: Interval) -> None:
        self.kept, self.interval = kept, interval
        self.trades = folding.source(kept.catalogue, kept.instrument)
        self.seconds = kept.best("1s")

    def missing(self, stored: Ints) -> list[tuple[int, int]]:
        """The spans of bars that have trades and are not stored. `stored`: where bars begin."""
        interval, opens = self.interval, self.kept.opens[self.seconds]
        slots = set(np.unique((opens - interval.origin) // interval.width).tolist())
        for start, end in self._unheard(stored):
            slots |= folding.slots(self.trades, interval, start, end)
        slots -= set(((stored - interval.origin) // interval.width).tolist())
        spans = _joined((interval.begin(s), interval.begin(s + 1)) for s in sorted(slots))
        return spans if len(spans) <= FEW else [(spans[0][0], spans[-1][1])]

    def _unheard(self, stored: Ints) -> list[tuple[int, int]]:
        """The spans outside of what each session's seconds and the stored bars cover: before, between and after sessions."""
        width, opens, sessions = self.interval.width, self.kept.opens[self.seconds], self.kept.session[self.seconds]
        covered = [(begin, begin + width) for begin in stored.tolist()]
        by_session = [opens[sessions == number] for number in range(len(self.kept.sessions))]
        covered += [(int(mine.min()), int(mine.max()) + SECOND) for mine in by_session if len(mine)]
        at, found = self.kept.start, []
        for start, end in _joined(sorted(covered)):
            if start > at:
                found.append((at, start))
            at = max(at, end)
        return [*found, (at, self.kept.end)] if at < self.kept.end else found

    def bars(self, spans: Iterable[tuple[int, int]], stored: Ints) -> pa.Table:
        known = set(((stored - self.interval.origin) // self.interval.width).tolist())
        folded = (bar for start, end in spans for bar in folding.fold(self.trades, self.interval, start, end))
        found = [bar for bar in folded if bar.slot not in known]
        if not found:
            return arrow_schema(Bar).empty_table()
        return _table(found, self.kept, self.interval, self._complete(found))

    def _complete(self, found: list[Folded]) -> list[bool]:
        interval, kept, seconds = self.interval, self.kept, self.seconds
        if not len(seconds):
            return [False] * len(found)
        slots = (kept.opens[seconds] - interval.origin) // interval.width
        starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
        last = np.append(starts[1:], len(slots)) - 1
        whole, counted = np.logical_and.reduceat(kept.complete[seconds], starts), np.add.reduceat(kept.trades[seconds], starts)
        rows = zip(slots[starts].tolist(), whole.tolist(), counted.tolist(), kept.session[seconds[last]].tolist(), strict=True)
        told = {slot: (ok, n, session) for slot, ok, n, session in rows}
        went_on = self._went_on()
        complete = []
        for bar in found:
            ok, n, session = told.get(bar.slot, (False, 0, 0))
            end = interval.begin(bar.slot + 1)
            complete.append(ok and n == bar.trades and went_on[session] >= end and not self._cut(interval.begin(bar.slot), end))
        return complete

    def _cut(self, start: int, end: int) -> bool:
        """Whether retention took out a day of it."""
        return any(start < (first := parse_iso(day)) + DAY and first < end for day in self.kept.catalogue.retired)

    def _went_on(self) -> list[int]:
        """Until when each session surely went on: where its last bar began, or a complete one ended. It may be past the span."""
        last = [0] * len(self.kept.sessions)
        beyond = Kept(self.kept.catalogue, self.kept.instrument, self.kept.end, MOST)
        for kept in (self.kept, beyond):
            until = np.where(kept.complete, kept.ends, kept.opens)
            for number, session in enumerate(kept.sessions):
                if session in self.kept.sessions:
                    at = self.kept.sessions.index(session)
                    last[at] = max(last[at], int(until[kept.within & (kept.session == number)].max(initial=0)))
        return last


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _table(found: list[Folded], kept: Kept, interval: Interval, complete: list[bool]) -> pa.Table:
    example = _example(kept)
    contract, sided = _contract(example), not len(example) or example["buy_volume"].null_count < len(example)
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
        "sell_volume": [None] * len(found),
        "open_interest": [None] * len(found),
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
    files = kept.catalogue.chosen("bar", [kept.instrument])
    if not kept.within.any() and files:
        kept = Kept(kept.catalogue, kept.instrument, files[0].first_ts, files[0].last_ts + 1)
    return kept.table(np.flatnonzero(kept.within)[:SOME], ("volume", "buy_volume", "notional", "vwap"))


def _contract(rows: pa.Table) -> Fraction | None:
    """What a contract is worth in the quote asset, where the instrument is inverse: notional by volume, which is no price then."""
    volume, notional, vwap = (rows[name].to_numpy(zero_copy_only=False) for name in ("volume", "notional", "vwap"))
    traded = volume > 0
    if not traded.any() or np.allclose(notional[traded], vwap[traded] * volume[traded], rtol=1e-9):
        return None
    return Fraction(f"{float(np.median(notional[traded] / volume[traded])):.12g}")
