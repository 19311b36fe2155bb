"""What the API answers from: the recent past of every instrument, in memory, so that a page is full the moment it opens.

The history is a tap of the bus: it runs on the loop between two frames, so one event costs one dictionary look-up and one
append, whatever the event. It keeps

    trades    the last `history_trades` of each instrument, in the order they came
    bars      the last `history_bars` of each instrument, interval and origin, by `ts_open`; a revision takes the place of the
              bar it corrects, and a bar of an earlier interval that comes late is put where it belongs
    quotes    the latest of each instrument and origin
    metrics   the latest of each instrument's book
    samples   the last ten minutes of the sampled metrics (server/memory/samples.py), of instruments and of groups
    tickers   the venue's own figures of each instrument: a field is the last that was told, as venues send them in parts
    books     only *when* each changed: the levels stand in the engine, which is asked for them
    status    the last 500 events of all; likewise alerts

Trades, status events and changed bars are kept in a `Log`, a ring with a running count. A reader holds the count up to which it has
read, and learns how many it missed where the ring has gone on without it: nothing is ever skipped silently.
What is older than the rings is in the lake: `server/past/past.py` joins the two.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

from tapeline.config import ServerSettings
from tapeline.engine.bus import Batch, Turn
from tapeline.events import Alert, Bar, BookUpdate, Event, Metrics, Origin, Quote, Status, Ticker, Trade
from tapeline.server.memory.samples import Samples

STATUS_EVENTS = 500
CHANGED_BARS = 64
GROUP = "group:"
BarKey = tuple[str, str, str]
_ts_open = attrgetter("ts_open")
T = TypeVar("T")


class Log(Generic[T]):
    """A ring of the last `capacity` items; `total` counts all that ever came, and is what a reader's cursor compares with."""

    __slots__ = ("items", "total")

    def __init__(self, capacity: int) -> None:
        self.items: deque[T] = deque(maxlen=capacity)
        self.total = 0

    def append(self, item: T) -> None:
        self.items.append(item)
        self.total += 1

    def since(self, cursor: int, limit: int) -> tuple[list[T], int]:
        """The newest `limit` items at most that came after `cursor`, oldest first, and how many came that are not among them."""
        new = self.total - cursor
        n = min(new, limit, len(self.items))
        return list(islice(self.items, len(self.items) - n, None)), new - n

    def until(self, cursor: int, limit: int) -> list[T]:
        """The last `limit` items that came up to `cursor`, oldest first."""
        end = max(0, len(self.items) - (self.total - cursor))
        return list(islice(self.items, max(0, end - limit), end))


class Trades(Log[Trade]):
    """`passed`: the latest venue time (ns) of those that are in memory no more; -1 while it has all of them."""

    __slots__ = ("passed",)

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.passed = -1

    def append(self, item: Trade) -> None:
        if len(self.items) == self.items.maxlen and (gone := self.items[0].ts_event) > self.passed:
            self.passed = gone
        super().append(item)


class Bars:
    """Bars of one series, ascending by `ts_open`, and a log of those that changed."""

    __slots__ = ("_bars", "capacity", "changed")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.changed: Log[Bar] = Log(CHANGED_BARS)
        self._bars: list[Bar] = []

    def put(self, bar: Bar) -> None:
        bars = self._bars
        if not bars or bar.ts_open > bars[-1].ts_open:
            bars.append(bar)
        else:
            at = bisect_left(bars, bar.ts_open, key=_ts_open)
            if bars[at].ts_open == bar.ts_open:
                bars[at] = bar
            else:
                bars.insert(at, bar)
        if len(bars) > self.capacity + self.capacity // 8:  # in slices, so that the cost of moving up is shared by many
            del bars[: len(bars) - self.capacity]
        self.changed.append(bar)

    def last(self, limit: int) -> list[Bar]:
        return self._bars[-min(limit, self.capacity) :]

    def between(self, start: int, end: int) -> list[Bar]:
        """Those with `start` <= `ts_open` < `end`."""
        bars = self.last(self.capacity)
        return bars[bisect_left(bars, start, key=_ts_open) : bisect_left(bars, end, key=_ts_open)]


class History:
    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._batches = 0
        self.clear()

    def clear(self) -> None:
        """A replay goes somewhere else: nothing of what was kept holds. Feeds of before must go with it."""
        self.trades: dict[str, Trades] = {}
        self.bars: dict[BarKey, Bars] = {}
        self.venue_quotes: dict[str, Quote] = {}
        self.book_quotes: dict[str, Quote] = {}
        self.metrics: dict[str, Metrics] = {}
        self.samples: dict[str, Samples] = {}
        self.tickers: dict[str, Ticker] = {}
        self.books: dict[str, int] = {}
        """Instrument → a number that changes with its book."""
        self.status: Log[Status] = Log(STATUS_EVENTS)
        self.alerts: Log[Alert] = Log(STATUS_EVENTS)
        self._take: dict[type[Event], Callable[[Any], None]] = {
            Trade: self._trade,
            Quote: self._quote,
            BookUpdate: self._book,
            Metrics: self._metrics,
            Bar: self._bar,
            Ticker: self._ticker,
            Status: self.status.append,
            Alert: self.alerts.append,
        }

    def turned(self, turn: Turn) -> None:
        if turn == "forget":
            self.clear()

    def tap(self, batch: Batch) -> None:
        self._batches += 1
        take = self._take.get
        for event in batch.events:
            handler = take(type(event))
            if handler is not None:
                handler(event)

    def _trade(self, event: Trade) -> None:
        log = self.trades.get(event.instrument)
        if log is None:
            log = self.trades[event.instrument] = Trades(self._settings.history_trades)
        log.append(event)

    def _quote(self, event: Quote) -> None:
        (self.book_quotes if event.origin == "book" else self.venue_quotes)[event.instrument] = event

    def _book(self, event: BookUpdate) -> None:
        self.books[event.instrument] = self._batches

    def _ticker(self, event: Ticker) -> None:
        old = self.tickers.get(event.instrument)
        if old is not None:
            lacking = {name: getattr(old, name) for name in Ticker.__struct_fields__ if getattr(event, name) is None}
            event = msgspec.structs.replace(event, **lacking)
        self.tickers[event.instrument] = event

    def _metrics(self, event: Metrics) -> None:
        if event.values is None:
            self.metrics[event.instrument] = event
            return
        samples = self.samples.get(event.instrument)
        if samples is None:
            samples = self.samples[event.instrument] = Samples()
        samples.put(event)

    def sample(self, instrument: str) -> Metrics | None:
        samples = self.samples.get(instrument)
        return None if samples is None else samples.latest

    def groups(self) -> list[str]:
        """What is sampled and is no instrument: `group:btc`."""
        return [name for name in self.samples if name.startswith(GROUP)]

    def _bar(self, event: Bar) -> None:
        self.series(event.instrument, event.interval, event.origin).put(event)

    def series(self, instrument: str, interval: str, origin: str) -> Bars:
        """The series of that name, made where it is not there yet."""
        key = (instrument, interval, origin)
        bars = self.bars.get(key)
        if bars is None:
            bars = self.bars[key] = Bars(self._settings.history_bars)
        return bars

    def quotes(self, instrument: str) -> Iterator[Quote]:
        """The latest of both origins, the venue's own first."""
        for latest in (self.venue_quotes, self.book_quotes):
            if (quote := latest.get(instrument)) is not None:
                yield quote

    def quote(self, instrument: str, origin: Origin) -> Quote | None:
        return (self.book_quotes if origin == "book" else self.venue_quotes).get(instrument)
