"""Everything the pipeline keeps for one instrument: its book with proof, its bars, its trade ids, what was last heard."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.engine.connections import Feed
from tapeline.engine.spares import Spares
from tapeline.engine.trades import Trades
from tapeline.events import Event, Status, StatusKind, Ticker
from tapeline.market.barkinds.specs import BarSpec
from tapeline.market.bars import Bars
from tapeline.market.metrics import registry
from tapeline.market.metrics.analytics import Analytics, Source
from tapeline.market.metrics.groups import KEEP, Member
from tapeline.market.quality import NEVER, Silence
from tapeline.market.sync import BookSync, State
from tapeline.venues.base import Again, BookMessage, Channel, Request


class Wants:
    """How an instrument's lane asks: `book` and `trades` make the request, the pipeline gathers it in `requests`."""

    __slots__ = ("_feed", "_instrument", "_native", "requests")

    def __init__(self, instrument: str, feed: Feed, requests: list[Request | Again]) -> None:
        self._instrument, self._feed, self.requests = instrument, feed, requests
        self._native = feed.registry.by_id[instrument].native

    def book(self, attempt: int, not_before: int, connection: int) -> Request | Again:
        """As `sync.Ask`, for one connection of several; 0 for any."""
        request = self._feed.decoder.snapshot_request(self._native, attempt, not_before)
        return request or Again(instrument=self._instrument, connection=connection, attempt=attempt, not_before=not_before)

    def trades(self, first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
        """As `repair.Ask`."""
        return self._feed.venue.trades_request(self._native, first, last, attempt, not_before)


ANEW_PATIENCE = 10 * SECOND  # between the end of a stream and its new beginning


class Lane:
    """`heard` holds the time of the last record by channel, of tickers also by the first figure they give (`ticker:mark`);
    `silences` the streams that are expected to speak; `wanted` those that are asked for, whether a connection carries them now or
    not.
    """

    __slots__ = (
        "_checksum", "_contract_value", "_kinds", "_sides", "_trade_ids", "analytics", "ending",
        "flags", "heard", "instrument", "latest", "number",
        "quote_seq", "registry", "settings", "silences", "spares", "sync", "told_price", "trades", "venue", "wanted",
        "wants", "watched",
    )  # fmt: skip

    def __init__(
        self,
        instrument: str,
        feed: Feed,
        settings: PipelineSettings,
        wants: Wants,
        number: int,
        kinds: Sequence[BarSpec] = (),
    ) -> None:
        """`number`: of the lane within its pipeline. `kinds`: further bars to make; whoever owns the list may add to it."""
        self.instrument, self.number, self.venue, self.flags = instrument, number, feed.label, feed.flags
        self.settings, self.wants, self._kinds = settings, wants, kinds
        self._trade_ids, self._checksum = feed.venue.trade_ids, feed.venue.book_checksum
        self.sync = self._book(0)
        self.spares: Spares | None = None  # where several connections carry the book
        known = feed.registry.by_id[instrument]
        self._contract_value = known.contract_size if known.inverse else None
        self._sides = feed.venue.trade_sides
        self.trades = self._no_trades()
        self.analytics = self._no_analytics()
        self.heard: dict[str, int] = {"trades": 0, "book": 0, "quotes": 0, "bars": 0, "ticker": 0, "liquidations": 0}
        self.silences: dict[str, Silence] = {}
        self.watched: dict[str, Silence] = {}  # the latest watch of each stream, on whatever connection
        self.registry = feed.registry
        self.wanted: dict[str, Channel] = {}
        self.ending = NEVER  # when a book stream that ended, and was to begin anew, is over after all
        self.quote_seq = -1
        self.told_price: float | None = None  # the last price by the venue's ticker, where no trades are streamed
        self.latest: dict[str, tuple[int, int]] = {}  # of what bears only a time: the latest by kind, and who said it first

    def _no_trades(self) -> Trades:
        """Everything made from trades begins."""
        bars = Bars(self.instrument, self.settings, self.flags, contract_value=self._contract_value, sides=self._sides)
        bars.also(self._kinds)
        return Trades(bars, self._trade_ids, self.wants.trades, self.wants.requests, self._say_of_trades)

    def _no_analytics(self) -> Analytics:
        return Analytics(self.instrument, self.flags, self.settings.imbalance_levels, self._contract_value)

    def sample(self, ts_recv: int, out: list[Event]) -> None:
        """Give out what the metrics of the instrument are now."""
        sync, trades = self.sync, self.trades
        book = sync.book if sync.state is State.SYNCED else None
        source = Source(self._has_book, book, trades.bars, trades.aggregated, self.session)
        if (found := self.analytics.sample(ts_recv, source)) is not None:
            out.append(found)
        for name, error in self.analytics.faults:
            self.status("rejected", "metrics", f"{name} failed and is off from here on: {error}", ts_recv, out, count=1)
        self.analytics.faults.clear()

    def as_member(self) -> Member:
        """What a group sees of it, after `sample`."""
        analytics = self.analytics
        analytics.keep(KEEP)
        return Member(analytics.now, analytics.touching.latest, analytics.touching.touches, self.flags)

    @property
    def _has_book(self) -> bool:
        """Whether its book is asked for; of a recording that does not tell what was, whether it came."""
        return "book" in self.wanted.values() if self.wanted else self.heard["book"] > 0

    def _say_of_trades(self, kind: StatusKind, *told: Any, **more: Any) -> None:
        self.status(kind, "trades", *told, **more)

    def _book(self, connection: int) -> BookSync:
        """An empty book; `connection`: the only one that it may ask to begin anew, 0 for any."""
        ask = partial(self.wants.book, connection=connection)
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

    def streams(self, channel: Channel) -> bool:
        return any(s.channel == channel for s in self.silences.values())

    def first_to_say(self, key: str, ts_event: int, connection: int) -> bool:
        """Whether this is later than what was said of this kind, or of the same time by the same connection; it is noted then."""
        ts, who = self.latest.get(key, (-1, connection))
        if ts_event < ts or (ts_event == ts and who != connection):
            return False
        if ts_event > ts:
            self.latest[key] = ts_event, connection
        return True

    def learn(self, ticker: Ticker) -> None:
        """What bars bear besides their trades."""
        if ticker.open_interest is not None:
            self.trades.bars.open_interest = ticker.open_interest

    # The book, and those of redundant connections

    def twin(self, leader: int, connection: int, ts_recv: int) -> None:
        """A second connection carries the book now: from here on each keeps its own."""
        if self.spares is None:
            self.spares = Spares(self, leader, self._book)
        self.spares.add(connection, ts_recv)

    def carried_by(self, connection: int, ts_recv: int) -> None:
        """A connection carries the book from now on. Where several ever did it has one of its own, were it the only one left."""
        if self.spares is not None:
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
        self.trades.tell_came(ts_recv, out)
        self.sync.retry(ts_recv, out)
        if self.spares is not None:
            self.spares.tend(ts_recv, out)

    # Streams

    def lost(self, channels: set[Channel], reason: str, ts_recv: int, out: list[Event]) -> None:
        """The connection that carried these channels is gone."""
        if "book" in channels:
            self.sync.on_lost(reason, ts_recv, out)
        if "trades" in channels:
            self.trades.lost(ts_recv, out)
        for channel in channels - {"trades"}:
            self.analytics.lost(channel, ts_recv)

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
            self.trades.tell_came(ts_recv, out)
            self.trades.bars.finish(ts_recv, out)
            said, interest = self.trades.memory(ts_recv), self.trades.bars.open_interest
            self.trades = self._no_trades()
            self.trades.follow(said)
            self.trades.bars.open_interest = interest
            names = [metric.full_name for metric in self.analytics.metrics]
            self.analytics = self._no_analytics()
            self.analytics.add(map(registry.metric, names))
        elif channel == "ticker":
            self.trades.bars.open_interest = None
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
