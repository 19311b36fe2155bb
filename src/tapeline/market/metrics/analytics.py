"""The samples of one instrument: what came since the last one is gathered, then every metric is asked at once.

The venue's time of a sample, `now`, is our clock's less the smallest lag (ts_recv − ts_event) seen so far: every trade that has
come lies at or before it, and it goes on while nothing comes, so that a window empties in a silent market. A venue time that cannot
be true (flagged, or more than a minute ahead of all before it) tells nothing of the lag, and such a trade is placed at our clock's.

A hole is a span of venue time in which something is missing. Those in the trades are the bars' (market/bars.py), which also know
when one was mended. In the touches one begins when the book loses its proof, and ends with the next touch.
"""

from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from tapeline.clock import SECOND
from tapeline.events import Bar, Event, Flag, Liquidation, Metrics, Quote, Ticker, Trade
from tapeline.market.bars import Bars
from tapeline.market.book import Book
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Figures, Floats, Ints, Metric, Sample
from tapeline.market.metrics.store import Touches, Trades
from tapeline.market.metrics.touch import book_metrics

UNTIMED = int(Flag.BAD_TIME | Flag.NO_VENUE_TIME | Flag.RECOVERED | Flag.SAMPLED)
OFF_BOOK = int(Flag.OFF_BOOK)
AGGREGATED = int(Flag.AGGREGATED)
SIMULATED = int(Flag.SIMULATED)
JUMP = 60 * SECOND
SIDES = {"buy": 1.0, "sell": -1.0, "unknown": 0.0}
FIGURES = ("last", "mark", "index", "funding_rate", "next_funding", "open_interest")
NAN = float("nan")
_NO_PLACES: Ints = np.empty(0, np.int64)


class Source(NamedTuple):
    """The state of the instrument beside the events. `by_book`: its book is streamed, and tells the touch; else the venue's own
    quotes do. `book`: None while it is not proven. `breaks`: how often it lost its proof. `bars`: those of the same trades.
    `aggregated`: which kind of trades they are made of, where a venue streams both.
    """

    by_book: bool
    book: Book | None
    breaks: int
    bars: Bars
    aggregated: int | None


class Analytics:
    """`take` gathers events in their order; `sample` asks. `metrics` may grow (`add`) while it runs."""

    def __init__(self, instrument: str, flags: int, levels: int, contract_value: float | None) -> None:
        self.instrument, self.flags, self.contract_value = instrument, flags, contract_value
        self.metrics: list[Metric] = []
        self.figures = Figures()
        self.now = -1
        self._levels = levels
        self._needs: frozenset[str] = frozenset()
        self._reach = 0
        self._lag: int | None = None
        self._trades, self._touches = Trades(), Touches()
        self._came: list[Trade] = []
        self._quotes: dict[str, list[Quote]] = {"book": [], "venue": []}
        self._bars: list[Bar] = []
        self._liquidations: list[Liquidation] = []
        self._breaks = 0
        self._touch_known_since: int | None = None  # None: it is not known now
        self.values: dict[str, float] = {}  # of the latest sample
        self.incomplete: list[str] = []
        self._said: tuple[object, ...] = ()
        self.faults: list[tuple[str, str]] = []  # metrics that raised, and what: taken off, to be told

    def add(self, metrics: Iterable[Metric]) -> None:
        known = {m.full_name for m in self.metrics}
        self.metrics += [m for m in metrics if m.full_name not in known]
        self._needs = frozenset().union(*(m.needs for m in self.metrics))
        self._reach = max((m.reach for m in self.metrics), default=0)

    def take(self, e: Event) -> None:
        kind = type(e)
        if kind is Trade:
            self._came.append(e)  # type: ignore[arg-type]
        elif kind is Quote:
            self._quotes[e.origin].append(e)  # type: ignore[attr-defined, arg-type]
        elif kind is Bar:
            self._bars.append(e)  # type: ignore[arg-type]
        elif kind is Ticker:
            for name in FIGURES:
                if (figure := getattr(e, name)) is not None:
                    setattr(self.figures, name, figure)
        elif kind is Liquidation:
            self._liquidations.append(e)  # type: ignore[arg-type]

    def sample(self, ts_recv: int, source: Source) -> Metrics | None:
        """What there is to say at `ts_recv`; None where nothing is known, or nothing has changed since the last sample."""
        quotes, book, aggregated = self._quotes["book" if source.by_book else "venue"], source.book, source.aggregated
        came = [t for t in self._came if not t.flags & OFF_BOOK and t.flags & AGGREGATED == (aggregated or 0)]
        times = self._times(came, quotes)
        if self._lag is None:
            self._clear()
            return None
        self.now = max(self.now, ts_recv - self._lag)
        places = self._add_trades(came, times)
        if source.breaks != self._breaks:
            self._breaks, self._touch_known_since = source.breaks, None
            self._add_touches([], known=False)
        first_touch = self._add_touches(quotes, known=book is not None or not source.by_book)
        s = Sample(
            self.now, ts_recv, book, self._touch(), self._trades, self._touches, places, first_touch, self.figures,
            self._bars, self._liquidations, self.contract_value,
        )  # fmt: skip
        made = self._metrics(s, source.bars)
        self._clear()
        self._trades.forget(self.now - self._reach)
        self._touches.forget(self.now - self._reach)
        return made

    def _clear(self) -> None:
        self._came, self._bars, self._liquidations = [], [], []
        self._quotes = {"book": [], "venue": []}

    def _times(self, came: Sequence[Trade], quotes: Sequence[Quote]) -> list[int]:
        """The venue time to file each trade under; the smallest lag follows from them and from the quotes."""
        times = []
        for t in came:
            lag = t.ts_recv - t.ts_event
            false = self._lag is not None and lag < min(self._lag, 0) - JUMP
            if not t.flags & UNTIMED and not false and (self._lag is None or lag < self._lag):
                self._lag = lag
            times.append(t.ts_recv - (self._lag or 0) if false or t.flags & Flag.BAD_TIME else t.ts_event)
        for q in quotes:
            lag = q.ts_recv - q.ts_event
            if not q.flags & UNTIMED and (self._lag is None or min(self._lag, 0) - JUMP <= lag < self._lag):
                self._lag = lag
        if self._lag is None and (came or quotes):
            self._lag = 0  # none of them has a time of its own
        return times

    def _add_trades(self, came: Sequence[Trade], times: list[int]) -> Ints:
        if not came or "trades" not in self._needs:
            return _NO_PLACES
        price: Floats = np.array([t.price for t in came])
        size: Floats = np.array([t.size for t in came])
        side: Floats = np.array([SIDES[t.side] for t in came])
        return self._trades.add(np.array(times, np.int64), price, size, side)

    def _add_touches(self, quotes: Sequence[Quote], *, known: bool) -> int:
        first = len(self._touches)
        if quotes:
            rows: Floats = np.array([(q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes], float).T
            first = self._touches.add(np.array([q.ts_event for q in quotes], np.int64), rows)
            if self._touch_known_since is None:
                self._touch_known_since = quotes[0].ts_event
        if not known and len(self._touches):
            self._touches.add(np.array([self.now], np.int64), np.full((4, 1), NAN))
            self._touch_known_since = None
        return first

    def _touch(self) -> tuple[float, float, float, float] | None:
        t = self._touches
        if not len(t) or self._touch_known_since is None:
            return None
        touch = float(t.bid[-1]), float(t.bid_size[-1]), float(t.ask[-1]), float(t.ask_size[-1])
        return None if any(map(isnan, touch)) else touch

    def _metrics(self, s: Sample, bars: Bars) -> Metrics | None:
        values: dict[str, float] = {}
        incomplete: list[str] = []
        for metric in list(self.metrics):
            found = self._ask(metric, s)
            values |= found
            if found and metric.gap == "window" and not self._whole(metric, bars):
                incomplete.append(metric.full_name)
        self.values, self.incomplete = values, incomplete
        said = (tuple(values.items()), tuple(incomplete), s.touch)
        if not values or said == self._said:
            return None
        self._said = said
        touch: tuple[Any, ...] = s.touch or (None, None, None, None)
        of_book = book_metrics(s.book, touch, self._levels, self.instrument, self.now, s.ts_recv, self.flags)
        return Metrics(
            self.instrument, self.now, s.ts_recv, self.flags, of_book.mid, of_book.spread, of_book.spread_bps,
            of_book.imbalance, of_book.microprice, of_book.seq, values, ",".join(incomplete) or None,
        )  # fmt: skip

    def _ask(self, metric: Metric, s: Sample) -> dict[str, float]:
        """One that raises is asked no more: it may be a user's, and must not stop the feed, nor fail each second."""
        try:
            return dict(registry.figures(metric, metric.sample(s)))
        except Exception as e:  # noqa: BLE001 - taken off, counted and told
            self.metrics.remove(metric)
            self.faults.append((metric.full_name, f"{type(e).__name__}: {e}"))
            return {}

    def _whole(self, metric: Metric, bars: Bars) -> bool:
        if metric.flawed:
            return False
        since = metric.reaches_to(self.now)
        if "trades" in metric.needs and not bars.whole_since(since):
            return False
        if not metric.needs & {"touches", "book"}:
            return True
        return self._touch_known_since is not None and self._touch_known_since <= since
