"""What rules read of one instrument, taken from its events, and made unknown where the events say that something is missing.

    price, size, side   of trades that came in their order: late ones and those fetched afterwards are of the past; block trades and
                        the like are no part of the market
    bid, ask, mid …     of the book where it is streamed, while it is proven; else of the venue's own quotes
    bars                of the session's own trades where it has them, else the venue's; one that is not complete is not known
    samples             of `Metrics.values`; those that `incomplete` names are not known

A gap, a disconnection, a crossed book or silence makes what its channel tells unknown until the next that is told. Of a sample that
goes for what its metric is made from.
"""

from collections.abc import Callable
from math import floor, log10
from typing import Any

from tapeline.alerts import fields
from tapeline.alerts.standing import Standing, is_planned
from tapeline.alerts.values import Cell
from tapeline.events import Bar, Event, Flag, Liquidation, Metrics, Quote, Status, Ticker, Trade

OUT_OF_ORDER = int(Flag.LATE | Flag.RECOVERED | Flag.OFF_BOOK)
UNPROVEN = int(Flag.BOOK_UNPROVEN)
SIMULATED = int(Flag.SIMULATED)
AGGREGATED = int(Flag.AGGREGATED)
BREAKS = frozenset({"gap", "disconnected", "stale", "crossed", "resyncing"})
SOURCES = {
    "trades": ("trade",),
    "book": ("touch", "book"),
    "quotes": ("touch",),
    "ticker": ("ticker",),
    "liquidations": ("liquidation",),
}
CHANNELS = {
    "trades": ("trades",),
    "bars": ("trades",),
    "touches": ("book", "quotes"),
    "book": ("book",),
    "ticker": ("ticker",),
    "liquidations": ("liquidations",),
}
Take = Callable[[Any], list[Cell]]


def spread_of(q: Quote) -> float | None:
    """Prices have at most 15 significant digits, so their difference is a multiple of the 15th digit's place."""
    if q.bid is None or q.ask is None:
        return None
    return round(q.ask - q.bid, 14 - floor(log10(max(abs(q.bid), abs(q.ask)) or 1.0)))


def mid_of(q: Quote) -> float | None:
    return None if q.bid is None or q.ask is None else (q.bid + q.ask) / 2


def spread_bps_of(q: Quote) -> float | None:
    mid, spread = mid_of(q), spread_of(q)
    return 10_000 * spread / mid if mid and spread is not None else None


def microprice_of(q: Quote) -> float | None:
    if q.bid is None or q.ask is None or q.bid_size is None or q.ask_size is None or not q.bid_size + q.ask_size:
        return None
    return (q.bid * q.ask_size + q.ask * q.bid_size) / (q.bid_size + q.ask_size)


GET: dict[str, Callable[[Any], Any]] = {
    "price": lambda t: t.price,
    "size": lambda t: t.size,
    "notional": lambda t: t.price * t.size,
    "side": lambda t: t.side,
    "bid": lambda q: q.bid,
    "bid_size": lambda q: q.bid_size,
    "ask": lambda q: q.ask,
    "ask_size": lambda q: q.ask_size,
    "mid": mid_of,
    "spread": spread_of,
    "spread_bps": spread_bps_of,
    "microprice": microprice_of,
    "imbalance": lambda m: m.imbalance,
    "liquidation_price": lambda x: x.price,
    "liquidation_size": lambda x: x.size,
    "liquidation_notional": lambda x: (x.average or x.price) * x.size,
    "liquidation_side": lambda x: x.side,
}


class Board:
    """One instrument, or with a name like `binance:` the connections of a venue. `take(event)` gives the cells that changed."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.simulated = False
        self.standing = Standing()
        self.status = Cell()
        self.cells: dict[str, Cell] = {}
        self.takes: dict[type[Event], Take] = {Status: self._status}
        self._of: dict[str, list[tuple[fields.Field, Cell, Any]]] = {}
        self._group = instrument.startswith("group:")
        self._aggregated: int | None = None  # where both are streamed, fills and trades of several of them, one kind counts
        self._by_book = False
        self._mute: set[str] = set()  # channels that something is missing of, and that have not spoken since
        self._bar_at: dict[str, tuple[int, bool]] = {}  # the latest bar of an interval: when it began, whether it is our own

    def cell(self, name: str) -> Cell:
        """Where a field's value will stand."""
        if name == "status":
            return self.status
        found = self.cells.get(name)
        if found is None:
            field = fields.find(name)
            found = self.cells[name] = Cell()
            extra: Any = GET.get(name)
            if field.source == "sample":
                extra = frozenset(c for need in fields.needs(field.metric) for c in CHANNELS.get(need, ()))
            elif field.source == "bar":
                extra = name.partition(".")[2]
            source = "group" if self._group else field.source
            self._of.setdefault(source, []).append((field, found, extra))
            self._listen(source)
        return found

    def _listen(self, source: str) -> None:
        """Look at the events that tell it; and at those that say that a channel speaks again."""
        kinds: dict[str, tuple[type[Event], Take]] = {
            "trade": (Trade, self._trade), "touch": (Quote, self._quote), "book": (Metrics, self._metrics),
            "ticker": (Ticker, self._ticker), "liquidation": (Liquidation, self._liquidation), "bar": (Bar, self._bar),
            "sample": (Metrics, self._metrics),
        }  # fmt: skip
        if source == "group":
            self.takes.setdefault(Metrics, self._together)
            return
        wanted = kinds if source == "sample" else (source,)
        for one in wanted:
            event, take = kinds[one]
            self.takes.setdefault(event, take)

    # Events

    def _put(self, source: str, e: Event, *, sure: bool = True) -> list[Cell]:
        return [cell for _, cell, get in self._of.get(source, ()) if cell.put(get(e), sure=sure)]

    def _trade(self, e: Trade) -> list[Cell]:
        if e.flags & OUT_OF_ORDER:
            return []
        kind = e.flags & AGGREGATED
        if kind != self._aggregated:
            if self._aggregated is not None:
                return []
            self._aggregated = kind
        self._mute.discard("trades")
        return self._put("trade", e)

    def _quote(self, e: Quote) -> list[Cell]:
        if e.origin == "book":
            self._by_book = True
            if not e.flags & UNPROVEN:
                self._mute.discard("book")
        else:
            self._mute.discard("quotes")
            if self._by_book:
                return []
        return self._put("touch", e, sure=not e.flags & UNPROVEN)

    def _metrics(self, e: Metrics) -> list[Cell]:
        if e.values is None:
            return self._put("book", e, sure=not e.flags & UNPROVEN)
        incomplete = e.incomplete.split(",") if e.incomplete else ()
        mute, values = self._mute & self._telling(), e.values
        return [
            cell
            for field, cell, channels in self._of.get("sample", ())
            if cell.put(values.get(field.name), sure=field.metric not in incomplete and mute.isdisjoint(channels))
        ]

    def _together(self, e: Metrics) -> list[Cell]:
        """Of a group: what is of this moment stands in the event itself."""
        self.simulated = self.simulated or bool(e.flags & SIMULATED)
        incomplete, values = e.incomplete.split(",") if e.incomplete else (), e.values or {}
        return [
            cell
            for field, cell, _ in self._of.get("group", ())
            if cell.put(values.get(field.name, getattr(e, field.name, None)), sure=field.name not in incomplete)
        ]

    def _telling(self) -> set[str]:
        """The touch is told by the book or by quotes: the silence of the other one means nothing."""
        return {*SOURCES} - ({"quotes"} if self._by_book else {"book"})

    def _ticker(self, e: Ticker) -> list[Cell]:
        self._mute.discard("ticker")
        return [
            cell
            for field, cell, _ in self._of.get("ticker", ())
            if (figure := getattr(e, field.name)) is not None and cell.put(figure)
        ]

    def _liquidation(self, e: Liquidation) -> list[Cell]:
        self._mute.discard("liquidations")
        return self._put("liquidation", e)

    def _bar(self, e: Bar) -> list[Cell]:
        own = e.origin == "trades"
        at, was_own = self._bar_at.get(e.interval, (-1, False))
        if e.ts_open < at or (was_own and not own):
            return []
        again = e.ts_open == at and own == was_own
        self._bar_at[e.interval] = e.ts_open, own
        changed = []
        for field, cell, name in self._of.get("bar", ()):
            if field.interval == e.interval:
                value, told = getattr(e, name), cell.told
                if cell.put(value, sure=e.complete) and not (again and cell.counted):
                    changed.append(cell)
                if again:  # a revision is no second bar
                    cell.told = told
        return changed

    # Integrity

    def _status(self, e: Status) -> list[Cell]:
        self.standing.take(e)
        changed = self.lose(e.channel) if e.kind in BREAKS else []
        if e.kind == "disconnected" and e.channel == "book" and e.reason == "unsubscribed":
            self._by_book = False
        return [*changed, self.status]

    def lose(self, channel: str) -> list[Cell]:
        """Something of this channel is missing; empty: of any."""
        channels = [channel] if channel in SOURCES else [] if channel else [*SOURCES]
        self._mute.update(channels)
        lost: list[Cell] = []
        for one in channels:
            if one == "quotes" and self._by_book:
                continue
            for source in SOURCES[one]:
                lost += [cell for _, cell, _ in self._of.get(source, ())]
        mute = self._mute & self._telling()
        lost += [cell for _, cell, needed in self._of.get("sample", ()) if not mute.isdisjoint(needed)]
        for cell in lost:
            cell.lose()
        return lost


def breaks_all(e: Status) -> bool:
    """Whether a status of a connection, or of the whole session, leaves in doubt what came over it."""
    return not e.instrument and e.kind in {"gap", "disconnected"} and not is_planned(e)
