"""Tests of a metric, for ours and for yours: `check_metric("vwap_5m")` raises AssertionError where it is wrong.

A metric is fed a made-up market as the pipeline feeds it: trades and a book that move at random, trades that come late or are
recovered, holes in the trades, a book that loses its proof, silences. At each sample

* its answer is that of its twin, `Metric.batch`, which gets everything that ever came as flat arrays and keeps no state;
* put away and brought back at any sample, it goes on as if nothing had been;
* beside a metric that reaches further back, it says the same;
* it raises nothing, and gives no number that is none.

`Trial` is the same by hand: `trial.event(…)`, then `trial.sample(ts_recv)` and `trial.expected(ts_recv)`; recorded events go in,
too.
"""

import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from math import isclose

import numpy as np

from tapeline.clock import MILLI, SECOND
from tapeline.config import PipelineSettings
from tapeline.engine import extending
from tapeline.events import Bar, BookUpdate, Event, Flag, Quote, Status, Ticker, Trade
from tapeline.market.bars import Bars
from tapeline.market.book import Book
from tapeline.market.metrics import registry
from tapeline.market.metrics.analytics import SIDES, Analytics, Source
from tapeline.market.metrics.base import Figures, Floats, History, Ints, Metric
from tapeline.market.metrics.venue_clock import OURS

INSTRUMENT = "sim:TEST-USDT"
T0 = 1_795_132_800_000_000_000  # 2026-11-20T00:00:00Z
LAG = 20 * MILLI
RECOVERED = int(Flag.RECOVERED)
LEVELS = 40
DEPTH = 1000
LONGER = 3600 * SECOND
TOLERANCE = 1e-9
Act = Callable[["Trial"], object]


class Trial:
    """One instrument with metrics, and everything they were shown. `metrics`: full names, or classes of yours, which are then
    registered.
    """

    def __init__(self, *metrics: str | type[Metric], contract_value: float | None = None) -> None:
        self.names = [m if isinstance(m, str) else _named(m) for m in metrics]
        self.analytics = Analytics(INSTRUMENT, 0, 5, contract_value)
        self.analytics.add(map(extending.metric, self.names))
        self.bars = Bars(INSTRUMENT, PipelineSettings(), contract_value=contract_value)
        self.book: Book | None = None
        self.contract_value = contract_value
        self.seen: list[Event] = []
        self.sample_times: list[int] = []
        self._touches: list[tuple[int, tuple[float, ...]]] = []
        self._untimed: list[int] = []  # places in the touches of holes and of what the venue gave no time, still by our clock

    def event(self, e: Event) -> None:
        """One event, as the pipeline would give it out; of a trade with the bars that it closes or corrects."""
        closed: list[Event] = []
        self.bars.close_by_clock(e.ts_recv, closed)
        if isinstance(e, Trade):
            self.bars.add(e, closed)
        elif isinstance(e, Quote):
            row = (e.bid, e.bid_size, e.ask, e.ask_size)
            if e.flags & OURS:
                self._untimed.append(len(self._touches))
            self._touches.append((e.ts_recv if e.flags & OURS else e.ts_event, tuple(np.nan if x is None else x for x in row)))
        self._show(*closed, e)
        if isinstance(e, BookUpdate):
            self._apply(e)

    def _show(self, *events: Event) -> None:
        for e in events:
            self.seen.append(e)
            self.analytics.take(e)

    def _apply(self, e: BookUpdate) -> None:
        if e.snapshot:
            self.book = Book()
            self.book.replace(e.bids, e.asks)
        elif self.book is not None:
            self.book.apply(e.bids, e.asks)
        if self.book is not None:
            self.event(Quote(e.instrument, e.ts_event, e.ts_recv, e.flags, *self.book.touch(), e.seq, "book"))

    def lose_book(self, ts_recv: int) -> None:
        """The book has lost its proof, until the next snapshot."""
        self.book = None
        self._show(Status(INSTRUMENT, ts_recv, ts_recv, 0, "gap", "sim", "book", "updates missing", None, None, None))
        if self._touches:
            self._untimed.append(len(self._touches))
            self._touches.append((ts_recv, (np.nan,) * 4))

    def lose_trades(self, ts_recv: int) -> None:
        """Trades are missing from the last one to the next."""
        out: list[Event] = []
        self.bars.damage(ts_recv, out)
        self._show(*out)

    def put_away(self) -> None:
        """What the pipeline does between two frames: the state goes to bytes and comes back."""
        self.analytics = pickle.loads(pickle.dumps(self.analytics))  # noqa: S301 - our own bytes

    def sample(self, ts_recv: int) -> dict[str, float]:
        """The figures of all metrics at an instant of our clock, by name; one that is not known is not among them."""
        self.analytics.sample(ts_recv, Source(True, self.book, self.bars, None))
        if self.analytics.faults:
            name, error = self.analytics.faults[0]
            raise AssertionError(f"{name} raised {error}")
        for place in self._untimed:
            ts, row = self._touches[place]
            self._touches[place] = (self.analytics.clock.at(ts), row)
        self._untimed.clear()
        self.sample_times.append(self.analytics.now)
        return dict(self.analytics.values)

    def expected(self, ts_recv: int) -> dict[str, float]:
        """The same by the metrics' twins, after `sample`."""
        history, found = self.history(ts_recv), dict[str, float]()
        for metric in self.analytics.metrics:
            if type(metric).batch is Metric.batch:
                continue
            found |= dict(registry.figures(metric, registry.metric(metric.full_name).batch(history)))
        return found

    def history(self, ts_recv: int) -> History:
        """Everything up to now, as `Metric.batch` gets it, built from the events alone."""
        trades = [e for e in self.seen if isinstance(e, Trade)]
        order = sorted(range(len(trades)), key=lambda i: trades[i].ts_event)
        placed = [trades[i] for i in order]
        touch_ts: Ints = np.maximum.accumulate(np.array([ts for ts, _ in self._touches], np.int64))
        touches: Floats = np.array([row for _, row in self._touches], float).reshape(-1, 4)
        sides = ([], []) if self.book is None else self.book.depth(DEPTH)
        bids, asks = (np.array(side, float).reshape(-1, 2) for side in sides)
        return History(
            now=self.analytics.now,
            ts_recv=ts_recv,
            trade_ts=np.array([t.ts_event for t in placed], np.int64),
            price=np.array([t.price for t in placed], float),
            size=np.array([t.size for t in placed], float),
            side=np.array([SIDES[t.side] for t in placed], float),
            arrived=np.array(order, np.int64),
            touch_ts=touch_ts,
            bid=touches[:, 0],
            bid_size=touches[:, 1],
            ask=touches[:, 2],
            ask_size=touches[:, 3],
            bids=None if self.book is None else bids,
            asks=None if self.book is None else asks,
            figures=_figures(self.seen),
            bars=[e for e in self.seen if isinstance(e, Bar)],
            sample_times=np.array(self.sample_times, np.int64),
            contract_value=self.contract_value,
            bid_floor=None if self.book is None else self.book.bid_floor,
            ask_ceiling=None if self.book is None else self.book.ask_ceiling,
        )


def _named(found: type[Metric]) -> str:
    if registry.METRICS.get(found.name) is not found:
        registry.register(found)
    return registry.form(found)


def _figures(events: Iterable[Event]) -> Figures:
    figures = Figures()
    for e in events:
        if isinstance(e, Ticker):
            for name in figures.__struct_fields__:
                if (value := getattr(e, name)) is not None:
                    setattr(figures, name, value)
    return figures


def story(seed: int, samples: int = 120) -> Iterator[tuple[str, Act, int]]:
    """A made-up market: what happens, how it is done to a trial, and when (our clock). "sample" asks to sample."""
    dice = random.Random(seed)
    market = _Market(dice)
    now, due = T0 + LAG, T0 + SECOND
    yield "book", market.snapshot(now), now
    for _ in range(samples):
        while now < due:
            yield (*dice.choices(*_CHOICES)[0](market, now), now)
            now += int(dice.expovariate(1 / 60) * MILLI) + 1
        silence = 90 if dice.random() < 0.01 else 0
        yield "sample", lambda _: None, due
        due += SECOND * (1 + silence)


class _Market:
    """`mid` in ticks of 0.01. A level has its size by chance."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.mid, self.number, self.proven = dice, 10_000, 0, True

    def _size(self) -> float:
        return self.dice.randint(1, 5000) / 1000

    def snapshot(self, now: int) -> Act:
        bids = [((self.mid - i) / 100, self._size()) for i in range(1, LEVELS)]
        asks = [((self.mid + i) / 100, self._size()) for i in range(1, LEVELS)]
        self.proven = True
        return lambda trial: trial.event(BookUpdate(INSTRUMENT, now - LAG, now, 0, bids, asks, True, None, None))

    def trade(self, now: int) -> tuple[str, Act]:
        return "trade", self._trade(now, now - LAG - self.dice.choice((0, 0, 5, 80)) * MILLI, 0)

    def late(self, now: int) -> tuple[str, Act]:
        flags = self.dice.choice((0, RECOVERED))
        return "late", self._trade(now, now - LAG - self.dice.randint(1, 20_000) * MILLI, flags)

    def _trade(self, now: int, ts: int, flags: int) -> Act:
        self.number += 1
        side = self.dice.choices(("buy", "sell", "unknown"), (5, 5, 1))[0]
        price = (self.mid + self.dice.randint(-3, 3)) / 100
        trade = Trade(INSTRUMENT, ts, now, flags, price, self._size(), side, str(self.number))  # type: ignore[arg-type]
        return lambda trial: trial.event(trade)

    def move(self, now: int) -> tuple[str, Act]:
        """The best bid and offer move by a few ticks, and levels behind them change."""
        if not self.proven:
            return "book", self.snapshot(now)
        was, self.mid = self.mid, max(500, self.mid + self.dice.randint(-2, 2))
        low, high = min(was, self.mid), max(was, self.mid)
        bids = [(p / 100, self._size() if p < self.mid else 0.0) for p in range(low - 4, high + 1)]
        asks = [(p / 100, self._size() if p > self.mid else 0.0) for p in range(low, high + 5)]
        update = BookUpdate(INSTRUMENT, now - LAG, now, 0, bids, asks, False, None, None)
        return "book", lambda trial: trial.event(update)

    def figures(self, now: int) -> tuple[str, Act]:
        mark = self.mid / 100
        ticker = Ticker(
            INSTRUMENT, now - LAG, now, 0, mark=mark, index=mark * 0.9999, funding_rate=0.0001, open_interest=self._size()
        )
        return "ticker", lambda trial: trial.event(ticker)

    def unproven(self, now: int) -> tuple[str, Act]:
        self.proven = False
        return "book lost", lambda trial: trial.lose_book(now)

    def hole(self, now: int) -> tuple[str, Act]:
        return "trades lost", lambda trial: trial.lose_trades(now)


_CHOICES = (
    (_Market.trade, _Market.late, _Market.move, _Market.figures, _Market.unproven, _Market.hole),
    (500, 10, 500, 10, 1, 1),
)


def check_metric(
    *metrics: str | type[Metric],
    seeds: Iterable[int] = range(4),
    samples: int = 120,
    every: int = 4,
    tolerance: float = TOLERANCE,
) -> None:
    """Raises AssertionError with the seed, the sample and both answers where a metric and its twin differ by more than `tolerance`
    (relative), or where it does not go on as before once it was put away. A metric without a twin is checked for the rest. Several
    share a market. The twins, which take all that ever came, are asked one sample in `every`, by chance.
    """
    for seed in seeds:
        plain, cut, beside = Trial(*metrics), Trial(*metrics), Trial(*metrics)
        beside.analytics.keep(LONGER)  # as if a metric that reaches further back were on, too
        dice = random.Random(seed)
        twins = {m.full_name for m in plain.analytics.metrics if type(m).batch is not Metric.batch}
        for number, (what, act, now) in enumerate(story(seed, samples)):
            for trial in (plain, cut, beside):
                act(trial)
            if what != "sample":
                continue
            where = f"{', '.join(plain.names)}: seed {seed}, step {number}"
            found = plain.sample(now)
            assert found == cut.sample(now), f"{where}: it does not go on as before once it was put away"  # noqa: S101 - a test
            _compare(found, beside.sample(now), f"{where}, beside a metric that reaches further back", tolerance)
            if twins and dice.random() * every < 1:
                told = {
                    name: value for name, value in found.items() if any(name == t or name.startswith(f"{t}.") for t in twins)
                }
                _compare(told, plain.expected(now), where, tolerance, "its twin")
            if dice.random() < 0.2:
                cut.put_away()


def _compare(
    found: dict[str, float], wanted: dict[str, float], where: str, tolerance: float, other: str = "the same metric"
) -> None:
    """Raises AssertionError."""
    for name in found.keys() | wanted.keys():
        a, b = found.get(name), wanted.get(name)
        same = a == b or (a is not None and b is not None and isclose(a, b, rel_tol=tolerance, abs_tol=tolerance * 1e-3))
        assert same, f"{where}: {name} is {a}, {other} says {b}"  # noqa: S101 - a test
