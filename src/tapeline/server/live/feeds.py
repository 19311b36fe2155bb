"""One feed for each thing that is watched (a `Key`), however many watch it: what changed since the last push, encoded once.

    trades            a cursor into the log of each instrument: an update holds every trade since the last one. Where more came than
                      one message or the ring holds, the newest are kept and `missed` counts the others.
    quotes, metrics   the latest of each instrument that is another than the one last sent; metrics of the book and samples are two,
                      and one of them may be asked for alone
    book              the whole view at the asked depth, where the book has changed or a status event may have changed its state
    bars              those that closed or were revised, by `ts_open`, and the one still open (`closed: false`) where it has changed;
                      more than the log of changes holds: a `snapshot`
    status            the engine's status once a second and with every status event
    depths            columns of the book over time (`server/live/depth_feed.py`)
    alerts            those since the last one, the newest SNAPSHOT_ALERTS at most; `missed` counts the others

A snapshot reaches exactly to where the next update begins, so that a viewer who comes between two pushes gets no trade twice.
Feeds read memory only; they are driven by the hub.
"""

from collections.abc import Callable
from operator import attrgetter

from tapeline.events import Alert, Bar, Event, Status, Trade
from tapeline.server.live.depth_feed import DepthsFeed
from tapeline.server.live.feed import Channel, Context, Feed, Key, Message
from tapeline.server.memory.history import CHANGED_BARS, Bars, Log
from tapeline.server.views import bar_row, book_row, encode

SNAPSHOT_TRADES = 500  # shared by the instruments
SNAPSHOT_BARS = 500  # as above
SNAPSHOT_STATUS = 100
SNAPSHOT_ALERTS = 100
PUSH_TRADES = 1000  # of one instrument in one message
STATUS_SECONDS = 1.0
_ts_recv = attrgetter("ts_recv")


class TradesFeed(Feed):
    conflated = False

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._cursors = {name: log.total for name, log in context.history.trades.items()}

    def _logs(self) -> list[tuple[str, Log[Trade]]]:
        trades = self.context.history.trades
        return [(name, trades[name]) for name in self.context.names(self.key) if name in trades]

    def snapshot(self) -> Message:
        logs = self._logs()
        limit = max(SNAPSHOT_TRADES // max(1, len(logs)), 10)
        found = [t for name, log in logs for t in log.until(self._cursors.get(name, 0), limit)]
        return self._message("snapshot", found, 0)

    def update(self) -> Message | None:
        found: list[Trade] = []
        missed = 0
        for name, log in self._logs():
            cursor = self._cursors.get(name, 0)
            if log.total != cursor:
                trades, lost = log.since(cursor, PUSH_TRADES)
                found += trades
                missed += lost
                self._cursors[name] = log.total
        return self._message("update", found, missed) if found else None

    def _message(self, kind: str, trades: list[Trade], missed: int) -> Message:
        trades.sort(key=_ts_recv)
        items = [self.context.event(t) for t in trades]
        return self.message(kind, items, f',"missed":{missed}', len(items) + missed)

    def empty(self) -> Message:
        """Nothing new, for a viewer that is to be told what it missed."""
        return self._message("update", [], 0)


class LatestFeed(Feed):
    """Quotes and metrics."""

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        h = context.history
        looks: dict[str, Callable[[str], Event | None]] = {"book": h.metrics.get, "sample": h.sample}
        if key.channel == "quotes":
            looks = {"venue": h.venue_quotes.get, "book": h.book_quotes.get}
        self._looks = [look for kind, look in looks.items() if key.kind in ("", kind)]
        self._sent = dict(self._latest())

    def _latest(self) -> list[tuple[tuple[int, str], Event]]:
        names = list(self.context.names(self.key))
        return [((n, name), event) for n, look in enumerate(self._looks) for name in names if (event := look(name)) is not None]

    def snapshot(self) -> Message:
        return self.message("snapshot", [self.context.event(e) for _, e in self._latest()])

    def update(self) -> Message | None:
        new = [(at, e) for at, e in self._latest() if self._sent.get(at) is not e]
        self._sent.update(new)
        return self.message("update", [self.context.event(e) for _, e in new]) if new else None


class BookFeed(Feed):
    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._sent = {name: self._version(name) for name in key.instruments}

    def _version(self, name: str) -> tuple[int, int]:
        return self.context.history.books.get(name, 0), self.context.history.status.total

    def _view(self, name: str) -> bytes | None:
        view = self.context.source.book(name, self.key.depth)
        return None if view is None else encode(book_row(view))

    def snapshot(self) -> Message:
        return self.message("snapshot", [raw for name in self.key.instruments if (raw := self._view(name)) is not None])

    def update(self) -> Message | None:
        items = []
        for name in self.key.instruments:
            version = self._version(name)
            if self._sent.get(name) != version:
                self._sent[name] = version
                if (raw := self._view(name)) is not None:
                    items.append(raw)
        return self.message("update", items) if items else None


class BarsFeed(Feed):
    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._cursors: dict[str, int] = {name: series.changed.total for name, series in self._series()}
        self._open = {name: self._open_bar(name) for name in self._cursors}

    def _series(self) -> list[tuple[str, Bars]]:
        history, key = self.context.history, self.key
        return [(name, history.series(name, key.interval, "trades")) for name in self.context.names(key)]

    def _open_bar(self, name: str) -> Bar | None:
        return self.context.source.open_bar(name, self.key.interval)

    def snapshot(self) -> Message:
        series = self._series()
        limit = max(1, SNAPSHOT_BARS // max(1, len(series)))
        items = []
        for name, bars in series:
            items += [encode(bar_row(bar, closed=True)) for bar in bars.last(limit)]
            if (bar := self._open_bar(name)) is not None:
                items.append(encode(bar_row(bar, closed=False)))
        return self.message("snapshot", items)

    def update(self) -> Message | None:
        items: list[bytes] = []
        overrun = False
        for name, bars in self._series():
            changed, missed = bars.changed.since(self._cursors.get(name, 0), CHANGED_BARS)
            self._cursors[name] = bars.changed.total
            overrun = overrun or missed > 0
            items += [encode(bar_row(bar, closed=True)) for bar in {bar.ts_open: bar for bar in changed}.values()]
            bar = self._open_bar(name)
            if bar != self._open.get(name):
                self._open[name] = bar
                items += [] if bar is None else [encode(bar_row(bar, closed=False))]
        if overrun:
            return self.snapshot()
        return self.message("update", items) if items else None


class StatusFeed(Feed):
    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._cursor = context.history.status.total
        self._last = 0.0

    def _message(self, kind: str, events: list[Status], missed: int) -> Message:
        items = b",".join([self.context.event(e) for e in events])
        head = f'{{"channel":"status","type":"{kind}","mode":"{self.context.source.mode}","data":{{"status":'
        return Message(b'%s%s,"events":[%s],"missed":%d}}' % (head.encode(), encode(self.context.status()), items, missed))

    def snapshot(self) -> Message:
        return self._message("snapshot", self.context.history.status.until(self._cursor, SNAPSHOT_STATUS), 0)

    def update(self) -> Message | None:
        log = self.context.history.status
        self._cursor = min(self._cursor, log.total)  # the history was cleared
        if log.total == self._cursor and self.context.now - self._last < STATUS_SECONDS:
            return None
        events, missed = log.since(self._cursor, SNAPSHOT_STATUS)
        self._cursor, self._last = log.total, self.context.now
        return self._message("update", events, missed)


class AlertsFeed(Feed):
    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._cursor = context.history.alerts.total

    def snapshot(self) -> Message:
        return self._message("snapshot", self.context.history.alerts.until(self._cursor, SNAPSHOT_ALERTS), 0)

    def update(self) -> Message | None:
        log = self.context.history.alerts
        if log.total == self._cursor:
            return None
        found, missed = log.since(self._cursor, SNAPSHOT_ALERTS)
        self._cursor = log.total
        return self._message("update", found, missed)

    def _message(self, kind: str, alerts: list[Alert], missed: int) -> Message:
        return self.message(kind, [self.context.event(a) for a in alerts], f',"missed":{missed}')


FEEDS: dict[Channel, type[Feed]] = {
    "trades": TradesFeed,
    "quotes": LatestFeed,
    "book": BookFeed,
    "bars": BarsFeed,
    "metrics": LatestFeed,
    "status": StatusFeed,
    "alerts": AlertsFeed,
    "depths": DepthsFeed,
}


def make_feed(key: Key, context: Context) -> Feed:
    return FEEDS[key.channel](key, context)
