"""Bars of any kind out of the lake.

    bars(catalogue, "binance:BTC-USDT", "5m", start=…, end=…) -> pyarrow.Table, the columns of the event `bar`

The bars that begin in [`start`, `end`), one a row, by time; where nothing was traded there is none, unless they are filled in
(lake/filling.py). They come from two places:

* A kind that the pipeline makes itself (`config.INTERVALS`, and what is switched on) is stored: its last revision is taken, and with
  it every field. One row a bar, chosen as in `sinks/sqlite_schema.py`: where two sessions each made a part of a bar, a complete one
  wins over one with a hole, then the one with more trades, then the later session. Only what is not stored, the bar that is still
  filling and what a crash kept from being closed, is folded from the trades.
* Every other kind is folded from the trades, to the same last digit: what goes by time, also by the clock of a place or an exchange
  (lake/grids.py), by `lake/folding.py`, where trades of several sessions that fall into one bar are added up, each once; what goes
  by the trades by `lake/counting.py`, session by session. Heikin-Ashi is drawn from either.

`complete` of a folded bar follows from the stored seconds, because what the live pipeline knew of gaps, lost connections and repairs
lies in them: every hole touches the second of the last trade before it and that of the first after it. A bar is complete where
all its trades are in complete seconds, a later second of the same session shows that the session went on past its end, and
retention took out none of its days. That is never True too often; where the seconds are not kept it is False. `revision` of a
folded bar is 0, `ts_recv` is that of the last trade to come, `open_interest` the last that had come by its end. What one contract of
an inverse instrument is worth is not kept beside trades either: the stored bars tell it.

`source` "trades" folds the bars of any interval, to check those that are stored; "stored" folds none.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tapeline.clock import SECOND, parse_iso
from tapeline.config import INTERVALS
from tapeline.events import Bar, arrow_schema
from tapeline.instruments import split_id
from tapeline.lake import counting, folding, scan
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.filling import filled, heikin_ashi, table_of
from tapeline.lake.folding import Folded
from tapeline.lake.grids import NOWHERE, Even, Grid, Placed, grid_of
from tapeline.lake.interest import Interest
from tapeline.lake.layout import DAY
from tapeline.lake.tables import RENAMED
from tapeline.market.barkinds.slots import Fixed
from tapeline.market.barkinds.specs import BarSpec, parse

Source = Literal["auto", "stored", "trades"]
Ints = npt.NDArray[np.int64]
SOME = 1000  # stored bars that are looked at for what kind of instrument it is
WARM_UP = 64  # bars after which nobody can see where a view began
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
    fill: bool = False,
) -> pa.Table:
    """Times are ns UTC, None is all there is. `fill`: bars of time also where nothing was traded (lake/filling.py).

    Raises UsageError for no kind of bars or instrument, FileNotFoundError where a file was
    swapped away meanwhile (`catalogue.fresh`).
    """
    split_id(instrument)
    asked = named(interval)
    if asked.base is not None:
        return _view(catalogue, instrument, asked, start, end, source, fill=fill)
    if asked.slots is not None:
        made = _of_time(catalogue, instrument, grid_of(asked.text, asked.slots), start, end, source)
        return filled(made, asked) if fill else made
    if fill:
        filled(arrow_schema(Bar).empty_table(), asked)  # which says why it cannot be
    return _of_trades(catalogue, instrument, asked, start, end, source)


def named(interval: str) -> BarSpec:
    """What a text asks for, a usual interval by its usual name (`60s` is `1m`). Raises UsageError."""
    asked = parse(interval)
    if isinstance(slots := asked.slots, Fixed) and not slots.origin:
        return next((parse(name) for name, width in INTERVALS.items() if width == slots.width), asked)
    return asked


def _view(
    catalogue: Catalogue, instrument: str, asked: BarSpec, start: int | None, end: int | None, source: Source, *, fill: bool
) -> pa.Table:
    """Begun some bars before `start`, so that it is the same wherever it is asked for from."""
    base = asked.base or asked
    early = max(WARM_UP * base.slots.width if base.slots is not None else 0, DAY)
    begin = None if start is None else start - early
    table = heikin_ashi(bars(catalogue, instrument, base.text, start=begin, end=end, source=source, fill=fill))
    return table if start is None else table.filter(pc.greater_equal(table["ts_open"], start))


def _of_time(catalogue: Catalogue, instrument: str, grid: Grid, start: int | None, end: int | None, source: Source) -> pa.Table:
    span = _span(catalogue, instrument, grid, start, end)
    if span is None:
        return arrow_schema(Bar).empty_table()
    kept = Kept(catalogue, instrument, *span)
    rows = kept.best(grid.name) if source != "trades" else np.empty(0, np.int64)
    stored = kept.table(rows, Bar.__struct_fields__)
    if source == "stored":
        return stored
    folded = _Folding(kept, grid)
    return joined(stored, folded.bars(folded.missing(rows) if source != "trades" else [span], kept.opens[rows]))


def _of_trades(
    catalogue: Catalogue, instrument: str, spec: BarSpec, start: int | None, end: int | None, source: Source
) -> pa.Table:
    """Bars that begin anew with each session, and so are made from its first trade on, wherever they are asked for from."""
    everything = _span(catalogue, instrument, Even("", 1, 0), start, end)
    if everything is None:
        return arrow_schema(Bar).empty_table()
    kept = Kept(catalogue, instrument, *everything)
    rows = kept.best(spec.text) if source != "trades" else np.empty(0, np.int64)
    stored = kept.table(rows, Bar.__struct_fields__)
    if source == "stored":
        return stored
    example = _example(kept)
    contract, sided = _contract(example), not len(example) or example["buy_volume"].null_count < len(example)
    of = counting.Instrument(folding.source(catalogue, instrument), contract, sided)
    found = [
        bar
        for bar in counting.fold(of, spec, everything[0], end, stored=source != "trades")
        if (start is None or bar.ts_open >= start) and (end is None or bar.ts_open < end)
    ]
    return joined(stored, table_of(found))


def joined(stored: pa.Table, made: pa.Table) -> pa.Table:
    if not len(made) or not len(stored):
        return stored if len(stored) else made
    return pa.concat_tables([stored, made]).sort_by("ts_open")


def _span(catalogue: Catalogue, name: str, asked: Grid, start: int | None, end: int | None) -> tuple[int, int] | None:
    """From where the first bar asked for begins to where the last one ends, no further than there are any."""
    found = [(f.first_ts, f.last_ts) for kind in ("trade", "bar") for f in catalogue.chosen(kind, [name], start, end)]
    if not found:
        return None
    begin, stop = asked.cover(min(a for a, _ in found), max(b for _, b in found) + 1, start, end)
    return (begin, stop) if begin < stop else None


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

    def __init__(self, kept: Kept, interval: Grid) -> None:
        self.kept, self.interval = kept, interval
        self.trades = folding.source(kept.catalogue, kept.instrument)
        self.seconds = kept.best("1s")

    def missing(self, stored: Ints) -> list[tuple[int, int]]:
        """The spans of bars that have trades and are not stored. `stored`: the rows of those that are."""
        interval, opens = self.interval, self.kept.opens
        slots = set(np.unique(interval.slot(opens[self.seconds])).tolist())
        for start, end in self._unheard(stored):
            slots |= folding.slots(self.trades, interval, start, end)
        slots -= {NOWHERE} if isinstance(interval, Placed) else set()
        slots -= set(interval.slot(opens[stored]).tolist())
        spans = _joined((interval.begin(s), interval.end(s)) for s in sorted(slots))
        return spans if len(spans) <= FEW else [(spans[0][0], spans[-1][1])]

    def _unheard(self, stored: Ints) -> list[tuple[int, int]]:
        """The spans outside of what each session's seconds and the stored bars cover: before, between and after sessions."""
        kept, opens, sessions = self.kept, self.kept.opens[self.seconds], self.kept.session[self.seconds]
        covered = list(zip(kept.opens[stored].tolist(), kept.ends[stored].tolist(), strict=True))
        by_session = [opens[sessions == number] for number in range(len(self.kept.sessions))]
        covered += [(int(mine.min()), int(mine.max()) + SECOND) for mine in by_session if len(mine)]
        at, found = self.kept.start, []
        for start, end in _joined(sorted(covered)):
            if start > at:
                found.append((at, start))
            at = max(at, end)
        return [*found, (at, self.kept.end)] if at < self.kept.end else found

    def bars(self, spans: Iterable[tuple[int, int]], stored: Ints) -> pa.Table:
        """`stored`: when bars begin that are not to be made."""
        known = set(self.interval.slot(stored).tolist())
        folded = (bar for start, end in spans for bar in folding.fold(self.trades, self.interval, start, end))
        found = [bar for bar in folded if bar.slot not in known]
        if not found:
            return arrow_schema(Bar).empty_table()
        return _table(found, self.kept, self.interval, self._complete(found))

    def _complete(self, found: list[Folded]) -> list[bool]:
        interval, kept, seconds = self.interval, self.kept, self.seconds
        if not len(seconds):
            return [False] * len(found)
        slots = interval.slot(kept.opens[seconds])
        starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
        last = np.append(starts[1:], len(slots)) - 1
        whole, counted = np.logical_and.reduceat(kept.complete[seconds], starts), np.add.reduceat(kept.trades[seconds], starts)
        rows = zip(slots[starts].tolist(), whole.tolist(), counted.tolist(), kept.session[seconds[last]].tolist(), strict=True)
        told = {slot: (ok, n, session) for slot, ok, n, session in rows}
        went_on = self._went_on()
        complete = []
        for bar in found:
            ok, n, session = told.get(bar.slot, (False, 0, 0))
            end = interval.end(bar.slot)
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


def _table(found: list[Folded], kept: Kept, interval: Grid, complete: list[bool]) -> pa.Table:
    example = _example(kept)
    contract, sided = _contract(example), not len(example) or example["buy_volume"].null_count < len(example)
    opens, ends = [interval.begin(b.slot) for b in found], [interval.end(b.slot) for b in found]
    interest = Interest(kept.catalogue, kept.instrument)
    values: dict[str, list[Any]] = {
        "instrument": [kept.instrument] * len(found),
        "ts_event": ends,
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
        "sell_volume": [b.sell / 10**b.size_digits if sided else None for b in found],
        "open_interest": [interest.known_at(end) for end in ends],
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
