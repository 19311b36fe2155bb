"""The samples of one instrument: what came since the last one is gathered, then every metric is asked at once.

The venue's time of a sample, `now`, is our clock's less the smallest lag seen so far (venue_clock.py): every trade that has come
lies at or before it, and it goes on while nothing comes, so that a window empties in a silent market.

A hole is a span of venue time in which something is missing. Those in the trades are the bars' (market/bars.py), which also know
when one was mended; those in the touches are of touching.py. A metric that was switched on while it ran is incomplete for as
long as it reaches back to before that. The venue's figures are forgotten when their stream falls silent or ends.
"""

from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from tapeline.events import Bar, Event, Flag, Liquidation, Metrics, Quote, Status, Ticker, Trade
from tapeline.market.bars import Bars
from tapeline.market.book import Book
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Figures, Floats, Ints, Metric, Sample
from tapeline.market.metrics.per_update import book_metrics
from tapeline.market.metrics.store import Trades
from tapeline.market.metrics.touching import BREAKS, Touching
from tapeline.market.metrics.venue_clock import VenueClock
from tapeline.market.sessions import ALWAYS, FX, open_since

OFF_BOOK = int(Flag.OFF_BOOK)
AGGREGATED = int(Flag.AGGREGATED)
SIMULATED = int(Flag.SIMULATED)
SIDES = {"buy": 1.0, "sell": -1.0, "unknown": 0.0}
FIGURES = ("last", "mark", "index", "funding_rate", "next_funding", "open_interest")
_NO_PLACES: Ints = np.empty(0, np.int64)


class Source(NamedTuple):
    """The state of the instrument beside the events. `by_book`: its book is asked for, and tells the touch; else the venue's own
    quotes do. `book`: None while it is not proven. `bars`: those of the same trades. `aggregated`: which kind of trades they are
    made of, where a venue streams both. `session`: when it is traded, as `Instrument.session`.
    """

    by_book: bool
    book: Book | None
    bars: Bars
    aggregated: int | None
    session: str = ""


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
        self._opened: int | None = None
        self.clock = VenueClock()
        self.touching = Touching()
        self._trades = Trades()
        self._on_since: dict[
            str, int
        ] = {}  # the venue's time at which a metric was switched on, of those that were not from the start
        self._came: list[Trade] = []
        self._bars: list[Bar] = []
        self._liquidations: list[Liquidation] = []
        self.values: dict[str, float] = {}  # of the latest sample
        self.incomplete: list[str] = []
        self._said: tuple[object, ...] = ()
        self.faults: list[tuple[str, str]] = []  # metrics that raised, and what: taken off, to be told

    def add(self, metrics: Iterable[Metric]) -> None:
        known = {m.full_name for m in self.metrics}
        new = [m for m in metrics if m.full_name not in known]
        self.metrics += new
        if self.now >= 0:
            self._on_since |= {m.full_name: self.now for m in new}
        self._needs = frozenset().union(*(m.needs for m in self.metrics))
        self.keep(max((m.reach for m in self.metrics), default=0))

    def keep(self, reach: int) -> None:
        """Keep trades and touches for so long at least, ns."""
        self._reach = max(self._reach, reach)

    def take(self, e: Event) -> None:
        kind = type(e)
        if kind is Quote:
            self.touching.take(e)  # type: ignore[arg-type]
        elif kind is Trade:
            self._came.append(e)  # type: ignore[arg-type]
        elif kind is Bar:
            self._bars.append(e)  # type: ignore[arg-type]
        elif kind is Ticker:
            for name in FIGURES:
                if (figure := getattr(e, name)) is not None:
                    setattr(self.figures, name, figure)
        elif kind is Liquidation:
            self._liquidations.append(e)  # type: ignore[arg-type]
        elif kind is Status:
            self._told(e)  # type: ignore[arg-type]

    def _told(self, status: Status) -> None:
        if status.kind in BREAKS:
            self.lost(status.channel, status.ts_recv)

    def lost(self, channel: str, ts_recv: int) -> None:
        """A channel cannot be trusted any more, from this time of ours until it says something again."""
        if channel == "ticker":
            self.figures = Figures()
        else:
            self.touching.broken(channel, ts_recv)

    def sample(self, ts_recv: int, source: Source) -> Metrics | None:
        """What there is to say at `ts_recv`; None where nothing is known, or nothing has changed since the last sample."""
        self._forget()
        aggregated = source.aggregated or 0
        came = [t for t in self._came if not t.flags & OFF_BOOK and t.flags & AGGREGATED == aggregated]
        timed = self._learn(came, by_book=source.by_book)
        if self.clock.false:
            self._begin_anew()
            timed = self._learn(came, by_book=source.by_book)
        times = [t.ts_event for t in came] if timed else [self.clock.place(t) for t in came]
        self.touching.settle(self.clock, ts_recv, by_book=source.by_book)
        if self.now < 0 and not came and self._nothing_came():
            self._clear()
            return None
        self.now = max(self.now, self.clock.at(ts_recv))
        self._opened = open_since(source.session, self.now) or self._opened
        places = self._add_trades(came, times)
        touches, touch = self.touching.touches, self._touch()
        book = source.book if self.touching.known_since is not None else None
        s = Sample(
            self.now, ts_recv, book, touch, self._trades, touches, places, self.touching.first_new, self.figures,
            self._bars, self._liquidations, self.contract_value, self._opened, source.session not in (ALWAYS, FX),
        )  # fmt: skip
        made = self._metrics(s, source.bars)
        self._clear()
        return made

    def _forget(self) -> None:
        """What the latest sample did not reach back to. Only now: groups looked at it after the sample."""
        self._trades.forget(self.now - self._reach)
        self.touching.touches.forget(self.now - self._reach)

    def _learn(self, came: Sequence[Trade], *, by_book: bool) -> bool:
        """Whether all these trades bear a time that can be true."""
        timed = self.clock.learn_all(came)
        self.touching.learn(self.clock, by_book=by_book)
        return timed

    def _begin_anew(self) -> None:
        """What was gathered lies in a future that will not come."""
        self.clock, self.now, self._trades = VenueClock(), -1, Trades()
        self.touching.begin_anew()
        self.metrics = [registry.metric(m.full_name) for m in self.metrics]
        self._on_since.clear()

    def _nothing_came(self) -> bool:
        """Beside trades."""
        return not len(self.touching.touches) and not self._bars and not self._liquidations and self.figures == Figures()

    def _clear(self) -> None:
        self._came, self._bars, self._liquidations = [], [], []

    def _add_trades(self, came: Sequence[Trade], times: list[int]) -> Ints:
        if not came or "trades" not in self._needs:
            return _NO_PLACES
        price: Floats = np.array([t.price for t in came])
        size: Floats = np.array([t.size for t in came])
        side: Floats = np.array([SIDES[t.side] for t in came])
        return self._trades.add(np.minimum(np.array(times, np.int64), self.now), price, size, side)

    def _touch(self) -> tuple[float, float, float, float] | None:
        touch = self.touching.latest
        return None if touch is None or any(map(isnan, touch)) else touch

    def _metrics(self, s: Sample, bars: Bars) -> Metrics | None:
        values: dict[str, float] = {}
        incomplete: list[str] = []
        for metric in list(self.metrics):
            found, whole = self._ask(metric, s, bars)
            values |= found
            if not whole:
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

    def _ask(self, metric: Metric, s: Sample, bars: Bars) -> tuple[dict[str, float], bool]:
        """Its figures, and whether they are whole. One that raises is asked no more: it may be a user's, and must not stop the
        feed, nor fail each second.
        """
        try:
            found = dict(registry.figures(metric, metric.sample(s)))
            return found, not found or metric.gap != "window" or self._whole(metric, bars)
        except (Exception, SystemExit) as e:  # noqa: BLE001 - taken off, counted and told
            self.metrics.remove(metric)
            self.faults.append((metric.full_name, f"{type(e).__name__}: {e}"))
            return {}, True

    def _whole(self, metric: Metric, bars: Bars) -> bool:
        if metric.flawed:
            return False
        since = metric.reaches_to(self.now)
        if since < self._on_since.get(metric.full_name, since):
            return False
        if "trades" in metric.needs and not bars.whole_since(since):
            return False
        if not metric.needs & {"touches", "book"}:
            return True
        known_since = self.touching.known_since
        return known_since is not None and known_since <= since
