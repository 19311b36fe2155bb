"""Everything the pipeline keeps for one instrument: its book with proof, its bars, its trade ids, what was last heard."""

from collections.abc import Callable, Sequence

import msgspec

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.engine.connections import Feed
from tapeline.engine.spares import Spares
from tapeline.events import Event, Flag, Status, StatusKind, Trade
from tapeline.market.bars import Bars, Hole
from tapeline.market.quality import NEVER, IdTracker, Seen, Silence
from tapeline.market.repair import MOST_REMEMBERED, Missing, Repair
from tapeline.market.repair import Ask as AskTrades
from tapeline.market.sync import BookSync
from tapeline.venues.base import Again, BookMessage, Channel, Past, Request

# Plain integers: IntFlag's operators cost a microsecond each.
AGGREGATED = int(Flag.AGGREGATED)
BAD_TIME = int(Flag.BAD_TIME)
LATE = int(Flag.LATE)
OFF_BOOK = int(Flag.OFF_BOOK)
RECOVERED = int(Flag.RECOVERED)


SETTLE = SECOND  # how long the streams of a new connection are given before missing trades are asked for


AskBook = Callable[[int, int, int], Request | Again | None]
"""(attempt, not_before ns, connection): as `sync.Ask`, for one connection of several; 0 for any."""


class Wants:
    """How an instrument's lane asks: `book` and `trades` make the request, the pipeline gathers it in `requests`."""

    __slots__ = ("book", "requests", "trades")

    def __init__(self, book: AskBook, trades: AskTrades, requests: list[Request | Again]) -> None:
        self.book, self.trades, self.requests = book, trades, requests


ANEW_PATIENCE = 10 * SECOND  # between the end of a stream and its new beginning


class Lane:
    """`heard` holds the time of the last record by channel, of tickers also by the first figure they give (`ticker:mark`);
    `silences` the streams that are expected to speak; `wanted` those that are asked for, whether a connection carries them now or
    not.
    """

    __slots__ = (
        "_checksum", "_contract_value", "_sides", "aggregated", "bars", "ending", "flags", "gaps", "heard", "ids", "instrument",
        "known", "last_price", "latest", "lost_at", "number", "numbered", "queued", "quote_seq", "registry", "repair",
        "settings", "silences", "spares", "sync", "trade_ids", "unsure", "venue", "wanted", "wants", "watched",
    )  # fmt: skip

    def __init__(
        self,
        instrument: str,
        feed: Feed,
        settings: PipelineSettings,
        wants: Wants,
        number: int,
    ) -> None:
        """`number`: of the lane within its pipeline."""
        self.instrument, self.number, self.venue, self.flags = instrument, number, feed.label, feed.flags
        self.settings, self.wants = settings, wants
        self.trade_ids, self._checksum = feed.venue.trade_ids, feed.venue.book_checksum
        self.numbered = self.trade_ids == "consecutive"
        self.sync = self._book(0)
        self.spares: Spares | None = None  # where several connections carry the book
        known = feed.registry.by_id[instrument]
        self._contract_value = known.contract_size if known.inverse else None
        self._sides = feed.venue.trade_sides
        self._forget_trades()
        self.heard: dict[str, int] = {"trades": 0, "book": 0, "quotes": 0, "bars": 0, "ticker": 0, "liquidations": 0}
        self.silences: dict[str, Silence] = {}
        self.watched: dict[str, Silence] = {}  # the latest watch of each stream, on whatever connection
        self.registry = feed.registry
        self.wanted: dict[str, Channel] = {}
        self.ending = NEVER  # when a book stream that ended, and was to begin anew, is over after all
        self.last_price = 0.0
        self.quote_seq = -1
        self.latest: dict[str, tuple[int, int]] = {}  # of what bears only a time: the latest by kind, and who said it first
        self.gaps = 0

    def _forget_trades(self) -> None:
        """Everything made from trades begins."""
        self.bars = Bars(self.instrument, self.settings, self.flags, contract_value=self._contract_value, sides=self._sides)
        self.queued = NEVER  # when the pipeline comes back to close its next bar
        self.ids = (IdTracker(), IdTracker())  # of single and of aggregated trades
        self.known: dict[str, int] = {}  # the last trades' ids and times, where ids are only unique
        self.repair = Repair(self.wants.trades, self.wants.requests)
        self.unsure: Hole | None = None  # the connection was lost: whether trades are missing shows when the next one comes
        self.lost_at = 0  # venue time of the last trade before that
        self.aggregated: int | None = None  # which of the two the bars are made from: the first that came

    def _book(self, connection: int) -> BookSync:
        """An empty book; `connection`: the only one that it may ask to begin anew, 0 for any."""

        def ask(attempt: int, not_before: int) -> Request | Again | None:
            return self.wants.book(attempt, not_before, connection)

        return BookSync(self.instrument, self.venue, self.settings, ask, self.wants.requests, self.flags, self._checksum)

    @property
    def session(self) -> str:
        """When its instrument is traded, as far as is known by now; empty: always."""
        known = self.registry.by_id.get(self.instrument)
        return known.session if known is not None else ""

    def watch(self, name: str, silence: Silence) -> None:
        """Expect a stream to speak; what was learned of it before still holds."""
        silence.resume(self.watched.get(name))
        self.silences[name] = self.watched[name] = silence
        self.wanted[name] = silence.channel

    def first_to_say(self, key: str, ts_event: int, connection: int) -> bool:
        """Whether this is later than what was said of this kind, or of the same time by the same connection; it is noted then."""
        ts, who = self.latest.get(key, (-1, connection))
        if ts_event < ts or (ts_event == ts and who != connection):
            return False
        if ts_event > ts:
            self.latest[key] = ts_event, connection
        return True

    # The book, and those of redundant connections

    def twin(self, leader: int, connection: int, ts_recv: int) -> None:
        """A second connection carries the book now: from here on each keeps its own."""
        if self.spares is None:
            self.spares = Spares(self, leader, self._book)
        self.spares.add(connection, ts_recv)

    def fetched(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        self.sync.on_message(m, ts_recv, out)
        if self.spares is not None:
            self.spares.fetched(m, ts_recv)

    def refused(self, reason: str, ts_recv: int, out: list[Event]) -> None:
        self.sync.on_refused(reason, ts_recv, out)
        if self.spares is not None:
            self.spares.refused(reason, ts_recv)

    def damage(self, connection: int, reason: str, ts_recv: int, out: list[Event]) -> None:
        if self.spares is not None:
            self.spares.damage(connection, reason, ts_recv, out)
        else:
            self.sync.damage(reason, ts_recv, out)

    def tend(self, ts_recv: int, out: list[Event]) -> None:
        self.sync.retry(ts_recv, out)
        if self.spares is not None:
            self.spares.tend(ts_recv, out)

    # Trades

    def trade(self, t: Trade, ts_recv: int, out: list[Event], first: int = 0) -> None:
        """Count one trade and give it out with the bars it closes or corrects; a double is dropped. `first` as of `Filled`."""
        self.heard["trades"] = ts_recv
        if t.flags & OFF_BOOK:
            if self.trade_ids != "unique" or self._remember(t):
                out.append(t)
            return
        aggregated = t.flags & AGGREGATED
        if self.numbered and t.id:
            tracker, number = self.ids[1 if aggregated else 0], int(t.id)
            if (first or number) == tracker.last + 1:
                tracker.last = number
            elif not self._judge(tracker, number, t.ts_event, ts_recv, out, first):
                return
            if self.unsure is not None:
                self._sure(ts_recv, out)
        elif self.trade_ids == "unique" and not self._remember(t):
            return
        self.last_price = t.price
        if self.aggregated is None:
            self.aggregated = aggregated
        if aggregated != self.aggregated:
            out.append(t)
            return
        self._count(t, ts_recv, out)

    def _count(self, t: Trade, ts_recv: int, out: list[Event]) -> None:
        """Give a trade out with what it does to the bars."""
        bars = self.bars
        if t.ts_event < bars.closed_second and not t.flags & BAD_TIME:
            t = Trade(t.instrument, t.ts_event, t.ts_recv, t.flags | LATE, t.price, t.size, t.side, t.id, t.conditions)
            out.append(t)
            if not bars.add(t, out):
                self.status("late", "trades", "trade came too late for its bar", ts_recv, out, count=1)
            return
        bars.add(t, out)
        out.append(t)

    def _remember(self, t: Trade) -> bool:
        """Note an id that is only unique; False where it was seen already."""
        known = self.known
        if t.id in known:
            return False
        known[t.id] = t.ts_event
        if len(known) > MOST_REMEMBERED:
            del known[next(iter(known))]
        return True

    def past(self, p: Past, ts_recv: int, out: list[Event]) -> None:
        """Trades of before now: give out what is missing of them."""
        tracker = self.ids[1 if self.aggregated else 0]
        if self.trade_ids == "none" or not (p.trades or p.asked or self.heard["trades"] or self._streams_trades()):
            return
        if self.trade_ids == "unique":
            news: Sequence[Trade] = self.repair.named(p.trades, self.known, self.lost_at, ts_recv) if p.asked else []
        elif p.asked:
            news = self.repair.numbered(p.trades, tracker, ts_recv)
        else:
            news = self._repeated(p, tracker, ts_recv, out)
        for missed in news:
            t = msgspec.structs.replace(missed, flags=missed.flags | RECOVERED)
            if self.trade_ids == "unique":
                self._remember(t)
            if t.flags & OFF_BOOK:
                out.append(t)
            else:
                self._count(t, ts_recv, out)
        self.report(ts_recv, out)

    def _streams_trades(self) -> bool:
        return any(s.channel == "trades" for s in self.silences.values())

    def _repeated(self, p: Past, tracker: IdTracker, ts_recv: int, out: list[Event]) -> Sequence[Trade]:
        """What a venue says again when a stream begins, or its newest id: where trades came before, what is past them was missed."""
        newest = max((int(t.id) for t in p.trades), default=-1 if p.last_id is None else p.last_id)
        if tracker.last < 0:
            tracker.last = newest
            return []
        if newest <= tracker.last:
            return [t for t in p.trades if tracker.fill(int(t.id))]
        first, tracker.last = tracker.last + 1, newest
        tracker.lack(first, newest)
        news = [t for t in p.trades if tracker.fill(int(t.id))]
        left = tracker.missing(first, newest)
        if left is not None:
            self._gap(*left, None, ts_recv, out, counted=True)
        else:
            self.status("recovered", "trades", f"{len(news)} missing trades were repeated", ts_recv, out, first, newest)
            if self.unsure is not None:
                hole, self.unsure = self.unsure, None
                self.bars.mend(hole, ts_recv, out)
        return news

    def report(self, ts_recv: int, out: list[Event]) -> None:
        """Say what became of repairs that ended; bars of which nothing is missing any more are given out again, complete."""
        for outcome in self.repair.outcomes:
            m = outcome.missing
            if outcome.left:
                reason = f"the hole stays: {m.found} trades fetched, missing still: {outcome.left}"
                self.status("gap", "trades", reason, ts_recv, out, count=None)
                continue
            if m.hole is self.unsure:
                self.unsure = None
            self.bars.mend(m.hole, ts_recv, out)
            last = m.last if m.first is not None else None
            reason = f"{m.found} missing trades fetched" if m.found else "no trade is missing"
            self.status("recovered", "trades", reason, ts_recv, out, m.first, last)
        self.repair.outcomes.clear()

    def has_trade(self, t: Trade) -> bool:
        """Whether a trade with this id was given out already, and its hole is not open."""
        return bool(t.id) and self.ids[1 if t.flags & AGGREGATED else 0].has(int(t.id))

    def skipped(self, number: int, ts_recv: int, out: list[Event], *, aggregated: bool) -> None:
        self.heard["trades"] = ts_recv
        if self.numbered:
            self._judge(self.ids[1 if aggregated else 0], number, None, ts_recv, out)

    def _judge(
        self, tracker: IdTracker, number: int, until: int | None, ts_recv: int, out: list[Event], first: int = 0
    ) -> bool:
        """Report what an unexpected id means; False where the trade is a double. `until`: its venue time, if it tells one."""
        last = tracker.last
        seen = tracker.see(number, first)
        counted = self.aggregated is None or tracker is self.ids[1 if self.aggregated else 0]
        if seen is Seen.GAP:
            self._gap(last + 1, (first or number) - 1, until, ts_recv, out, counted=counted)
        elif seen is Seen.RESET:
            if counted:
                self.bars.damage(ts_recv, out, until)
                self.repair.forget()
                self.unsure = None
            self.gaps += 1
            self.status("gap", "trades", f"trade ids went back from {last}: the venue restarted its numbers", ts_recv, out)
        elif seen is Seen.FILLED:
            self.status("recovered", "trades", "a missing trade came after all", ts_recv, out, number, number)
            self.repair.check(tracker, ts_recv)
            self.report(ts_recv, out)
        return seen is not Seen.DUPLICATE

    def _gap(self, first: int, last: int, until: int | None, ts_recv: int, out: list[Event], *, counted: bool) -> None:
        """Trades of these ids are missing: say so, and ask for them, where the bars are made from them."""
        self.gaps += 1
        hole = self.bars.damage(ts_recv, out, until) if counted else None
        self.status("gap", "trades", "trade ids missing", ts_recv, out, first, last)
        if hole is None:
            return
        self.unsure = None
        asked = next((m for m in self.repair.wanted if m.hole is hole and m.last is None), None)
        if asked is not None:
            asked.last = last  # it was asked for already, when the stream began
        else:
            self.repair.want(Missing(first, last, hole), ts_recv)

    def _sure(self, ts_recv: int, out: list[Event]) -> None:
        """The first trade after a lost connection continues the ids: nothing is missing."""
        hole, self.unsure = self.unsure, None
        if hole is not None:
            self.bars.mend(hole, ts_recv, out)

    def lost(self, channels: set[Channel], reason: str, ts_recv: int, out: list[Event]) -> None:
        """The connection that carried these channels is gone."""
        if "book" in channels:
            self.sync.on_lost(reason, ts_recv, out)
        if "trades" in channels:
            hole = self.bars.damage(ts_recv, out)
            if self.aggregated is not None and self.unsure is None:
                self.unsure, self.lost_at = hole, max(self.known.values(), default=0)

    def begun(self, ts_recv: int) -> None:
        """The trade stream speaks again after a loss: ask for what was said meanwhile, or the next trade tells."""
        if self.unsure is None or self.trade_ids == "none" or any(m.hole is self.unsure for m in self.repair.wanted):
            return  # nothing was lost, nothing can be known, or it is asked for already
        first = self.ids[1 if self.aggregated else 0].last + 1 if self.numbered else None
        self.repair.want(Missing(first, None, self.unsure), ts_recv + SETTLE)
        if not self.numbered:
            self.unsure = None

    def begin(self, name: str, channel: Channel, silence: Silence, ts_recv: int, out: list[Event]) -> None:
        """A stream was asked for while the connection was up."""
        self.watch(name, silence)
        if channel == "book" and self.ending < NEVER:
            self.ending = NEVER  # begun anew: that was told when it was decided
        else:
            self.status("connected", channel, "subscribed", ts_recv, out)

    def end(self, name: str, ts_recv: int, out: list[Event]) -> None:
        """A stream is asked for no more: with the last of its channel goes what was made from it.

        Of a book that waits to begin anew, this is the first half.
        """
        self.silences.pop(name, None)
        channel = self.wanted.pop(name, None)
        if channel is None or channel in self.wanted.values():
            return
        if channel == "book" and self.sync.awaits_stream:
            self.ending = ts_recv + ANEW_PATIENCE
        else:
            self.over(channel, ts_recv, out)

    def over(self, channel: Channel, ts_recv: int, out: list[Event]) -> None:
        self.heard[channel] = 0
        if channel == "book":
            self.ending = NEVER
            self.sync.on_lost("", ts_recv, out)
        elif channel == "trades":
            self.bars.finish(ts_recv, out)
            self._forget_trades()
        self.status("disconnected", channel, "unsubscribed", ts_recv, out)

    def status(
        self,
        kind: StatusKind,
        channel: str,
        reason: str,
        ts_recv: int,
        out: list[Event],
        from_seq: int | None = None,
        to_seq: int | None = None,
        count: int | None = None,
    ) -> None:
        if from_seq is not None and to_seq is not None:
            count = to_seq - from_seq + 1
        out.append(
            Status(self.instrument, ts_recv, ts_recv, self.flags, kind, self.venue, channel, reason, from_seq, to_seq, count)
        )
