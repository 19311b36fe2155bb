"""What the venues' HTTP sides answered: lists of instruments, book snapshots, missing trades, candles of before."""

import msgspec

from tapeline.engine import polling
from tapeline.engine.connections import LONGEST_REASON, Connection, Feed
from tapeline.engine.lanes import Lanes
from tapeline.engine.polling import POLL
from tapeline.engine.records import Records
from tapeline.errors import MalformedFrame, TapelineError
from tapeline.events import Bar, Event, Status, Ticker
from tapeline.frames import Frame, HttpAnswer, unpack_answer
from tapeline.market.candles import judged
from tapeline.venues.base import BookMessage, Past


class Answers:
    def __init__(self, lanes: Lanes, records: Records, connections: dict[int, Connection]) -> None:
        self._lanes, self._records, self._connections = lanes, records, connections

    def take(self, frame: Frame, out: list[Event]) -> None:
        try:
            answer, body = unpack_answer(frame.data)
        except (msgspec.MsgspecError, ValueError) as e:
            raise TapelineError(f"HTTP frame without a readable head: {e}") from None
        feed, ts = self._feed_of_answer(answer), frame.ts_recv
        if self._lanes.ended and answer.native and feed.decoder.instrument(answer.native) in self._lanes.ended:
            return
        if answer.purpose == POLL and not self._is_carried(feed, answer.native):
            polling.answered(feed, answer, ts, out)
        try:
            if answer.status == 200 and answer.purpose == "instruments":
                self._listed(feed, body, ts, out)
            elif answer.status == 200:
                for record in feed.decoder.decode_answer(answer, body, ts):
                    if isinstance(record, BookMessage):
                        self._lanes.of_native(record.native, feed).fetched(record, ts, out)
                    elif isinstance(record, Past):
                        self._records.past_of(record, feed, ts, out)
                    elif isinstance(record, Bar | Ticker):
                        if answer.purpose == POLL:
                            self._lanes.of(record.instrument, feed).heard["ticker"] = ts
                        if isinstance(record, Ticker) and (lane := self._lanes.by_name.get(record.instrument)) is not None:
                            lane.learn(record)
                        out.append(judged(record) if isinstance(record, Bar) else record)
            else:
                self._unanswered(feed, answer, answer.error or f"HTTP {answer.status}", ts, out)
        except MalformedFrame as e:
            self._records.rejected += 1
            out.append(
                Status("", ts, ts, feed.flags, "rejected", feed.label, answer.purpose, str(e)[:LONGEST_REASON], None, None, 1)
            )
            self._unanswered(feed, answer, "the answer could not be read", ts, out)

    def _is_carried(self, feed: Feed, native: str) -> bool:
        """Whether an open connection of the feed speaks for it: its question was on its way when that opened."""
        name = feed.decoder.instrument(native)
        mine = [c for c in self._connections.values() if c.feed is feed]
        return any(name == instrument for c in mine for _, instrument in c.streams.values())

    def _listed(self, feed: Feed, body: bytes, ts: int, out: list[Event]) -> None:
        refused = feed.registry.fill(feed.venue.read_instruments(body, feed.label))
        if refused:
            reason = f"{refused} of the listed instruments have names that cannot be names, or are too many"
            out.append(Status("", ts, ts, feed.flags, "rejected", feed.label, "instruments", reason, None, None, refused))

    def _unanswered(self, feed: Feed, answer: HttpAnswer, reason: str, ts: int, out: list[Event]) -> None:
        """A book's snapshot, or trades, that could not be had: whoever asked decides what to do."""
        if answer.purpose == "book":
            self._lanes.of_native(answer.native, feed).refused(reason, ts, out)
        elif answer.purpose == "trades":
            lane = self._lanes.of_native(answer.native, feed)
            lane.trades.repair.refused(reason, ts)
            lane.trades.report(ts, out)

    def _feed_of_answer(self, answer: HttpAnswer) -> Feed:
        """A request that failed (no answer, a proxy's error page) does not know whether a simulated market was asked. The feed
        that asked is the one whose connection is open, or the only one there is.
        """
        if answer.status != 200:
            asking = {c.feed for c in self._connections.values() if c.feed.venue.name == answer.venue}
            asking = asking or {feed for feed in self._lanes.feeds.values() if feed.venue.name == answer.venue}
            if len(asking) == 1:
                return asking.pop()
        return self._lanes.feed_of(answer.venue, answer.simulated)
