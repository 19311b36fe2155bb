"""What decoders give, into events: one handler a kind of record.

Where a connection may repeat what another one said (a planned reconnect, a redundant twin) doubles are dropped here: by id, by
update id, or, of what bears only a time, by who said that time first.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tapeline.engine.connections import Connection, Feed
from tapeline.engine.lanes import Lanes
from tapeline.engine.nameless import Nameless
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Event, Liquidation, Quote, Status, Ticker, Trade
from tapeline.market.candles import judged
from tapeline.market.sync import State
from tapeline.venues.base import Ack, BookMessage, Channel, Counted, Filled, Notice, Past, Skipped

Handler = Callable[[Any, Connection, int, list[Event]], None]


_SLOW: dict[type, Channel] = {Ticker: "ticker", Bar: "bars", Liquidation: "liquidations"}
_FIGURES = ("last", "mark", "index", "funding_rate", "open_interest")


def _said(e: Ticker | Bar | Liquidation) -> str:
    """What tells the records of several streams of one channel apart: a bar's interval, the first figure that a ticker gives."""
    if isinstance(e, Ticker):
        return next((figure for figure in _FIGURES if getattr(e, figure) is not None), "")
    return e.interval if isinstance(e, Bar) else ""


class Records:
    """`notices`: connections that should be replaced, and why. `rejected` counts what a venue refused or garbled."""

    def __init__(self, lanes: Lanes) -> None:
        self.notices: list[tuple[int, str]] = []
        self.nameless: dict[str, Nameless] = {}  # by the feed's label
        self.rejected = 0
        self._lanes, self._by_name, self._timers = lanes, lanes.by_name, lanes.timers
        self.handlers: dict[type, Handler] = {
            Trade: self._trade,
            Quote: self._quote,
            BookMessage: self._book,
            Ticker: self._slow,
            Bar: self._slow,
            Liquidation: self._slow,
            Skipped: self._skipped,
            Filled: self._filled,
            Past: self._past,
            Counted: self._counted,
            Ack: self._ack,
            Notice: self.notice,
            Status: self._told,
        }

    def take(self, connection: Connection, data: bytes, ts: int, out: list[Event]) -> None:
        """A message's records. The pipeline's loop spells this out for itself."""
        try:
            for record in connection.decode(data, ts):
                self.handlers[type(record)](record, connection, ts, out)
        except MalformedFrame as e:
            self.malformed(connection, data, e, ts, out)

    def malformed(self, connection: Connection, data: bytes, error: MalformedFrame, ts: int, out: list[Event]) -> None:
        self.rejected += 1
        head = data[:120].decode("utf-8", "replace")
        out.append(connection.status("rejected", f"malformed frame: {error}; it begins {head!r}", ts, 1))

    def _trade(self, t: Trade, connection: Connection, ts: int, out: list[Event], first: int = 0) -> None:
        lane = self._by_name.get(t.instrument) or self._lanes.of(t.instrument, connection.feed)
        trades = lane.trades
        if trades.trade_ids == "none":
            # equal prints of one connection are different trades; those of two are one, by their time
            if not lane.first_to_say("trade", t.ts_event, connection.number) and ts < connection.overlap_until:
                return
        elif trades.numbered and ts < connection.overlap_until and trades.has(t):  # unique ids they know by themselves
            return
        lane.heard["trades"] = ts
        trades.take(t, ts, out, first)
        if trades.bars.due < trades.queued:
            self._timers.queue(lane)

    def _quote(self, q: Quote, connection: Connection, ts: int, out: list[Event]) -> None:
        lane = self._by_name.get(q.instrument) or self._lanes.of(q.instrument, connection.feed)
        lane.heard["quotes"] = ts
        if q.seq is not None:
            if ts < connection.overlap_until and q.seq <= lane.quote_seq:
                return
            lane.quote_seq = q.seq
        elif not lane.first_to_say("quote", q.ts_event, connection.number) and ts < connection.overlap_until:
            return
        out.append(q)

    def _book(self, m: BookMessage, connection: Connection, ts: int, out: list[Event]) -> None:
        if not m.native:
            self.nameless.setdefault(connection.feed.label, Nameless()).put(m)
            self._place_nameless(connection.feed.label, ts, out)
            return
        lane = self._lanes.of_native(m.native, connection.feed)
        lane.heard["book"] = ts
        if lane.spares is not None:
            lane.spares.take(m, connection.number, ts, out)
            return
        if ts < connection.overlap_until and lane.sync.has(m):
            return
        lane.sync.on_message(m, ts, out)
        if self.nameless and lane.sync.state is State.BUFFERING and lane.venue in self.nameless:
            self._place_nameless(lane.venue, ts, out)

    def _slow(self, e: Ticker | Bar | Liquidation, connection: Connection, ts: int, out: list[Event]) -> None:
        lane = self._lanes.of(e.instrument, connection.feed)
        channel = _SLOW[type(e)]
        key = f"{channel}:{_said(e)}"
        lane.heard[channel] = ts
        if channel == "ticker":
            lane.heard[key] = ts
            lane.told_price = getattr(e, "last", None) or lane.told_price
        if not lane.first_to_say(key, e.ts_event, connection.number) and ts < connection.overlap_until:
            return
        if isinstance(e, Ticker):
            lane.learn(e)
        out.append(judged(e) if isinstance(e, Bar) else e)

    def _filled(self, f: Filled, connection: Connection, ts: int, out: list[Event]) -> None:
        self._trade(f.trade, connection, ts, out, f.first)

    def _past(self, p: Past, connection: Connection, ts: int, out: list[Event]) -> None:
        self.past_of(p, connection.feed, ts, out)

    def past_of(self, p: Past, feed: Feed, ts: int, out: list[Event]) -> None:
        lane = self._lanes.of(p.instrument, feed)
        if p.trades or p.asked or lane.heard["trades"] or lane.streams("trades"):  # else a newest id of what nobody asked for
            lane.trades.past(p, ts, out)
            if lane.trades.bars.due < lane.trades.queued:
                self._timers.queue(lane)

    def _counted(self, c: Counted, connection: Connection, ts: int, out: list[Event]) -> None:
        """One message of a connection whose venue counts them. One left out may have been of any of its streams."""
        if connection.held is not None:
            connection.counted_ahead.add(c.seq)
            return
        due, connection.counted = connection.counted, c.seq + 1
        while connection.counted in connection.counted_ahead:
            connection.counted_ahead.remove(connection.counted)
            connection.counted += 1
        if due is None or c.seq == due:
            return
        lost = c.seq - due
        reason = f"connection {connection.number}: messages missing" if lost > 0 else "message numbers went back"
        status = connection.status("gap", reason, ts, lost if lost > 0 else None)
        out.append(msgspec.structs.replace(status, from_seq=due, to_seq=c.seq - 1) if lost > 0 else status)
        for instrument, channels in connection.by_instrument().items():
            if "book" in channels and (lane := self._by_name.get(instrument)) is not None:
                lane.damage(connection.number, "a message of its connection is missing", ts, out)

    def _skipped(self, s: Skipped, connection: Connection, ts: int, out: list[Event]) -> None:
        lane = self._lanes.of(s.instrument, connection.feed)
        lane.heard["trades"] = ts
        lane.trades.skipped(s.id, ts, out, aggregated=s.aggregated)

    def _ack(self, ack: Ack, connection: Connection, ts: int, out: list[Event]) -> None:
        if ack.error:
            self.rejected += 1
        connection.acknowledged(ack, ts, out)

    def notice(self, notice: Notice, connection: Connection, ts: int, out: list[Event]) -> None:
        self.notices.append((connection.number, notice.reason))
        out.append(connection.status("connected", f"{notice.reason}: connection {connection.number} will be replaced", ts))

    def _told(self, status: Status, connection: Connection, ts: int, out: list[Event]) -> None:  # noqa: ARG002 - one signature
        """What the venue says of itself (maintenance), or the decoder of what it could not use."""
        out.append(status)

    def _place_nameless(self, label: str, ts: int, out: list[Event]) -> None:
        lanes = (lane for lane in self._by_name.values() if lane.venue == label)
        for lane, message in self.nameless[label].place(lanes):
            lane.sync.on_message(message, ts, out)

    def finish(self, now: int, out: list[Event]) -> None:
        """End of input: say which snapshots found no book."""
        for label, nameless in self.nameless.items():
            flags = next(feed.flags for feed in self._lanes.feeds.values() if feed.label == label)
            for m in nameless.waiting:
                reason = f"a book snapshot at {m.seq} names no instrument and fits no book, or several"
                out.append(Status("", now, now, flags, "rejected", label, "book", reason, None, None, 1))
        self.nameless.clear()
