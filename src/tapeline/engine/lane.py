"""Everything the pipeline keeps for one instrument: its book with proof, its bars, its trade ids, what was last heard."""

from tapeline.config import PipelineSettings
from tapeline.events import Event, Flag, Status, StatusKind, Trade
from tapeline.market.bars import Bars
from tapeline.market.quality import NEVER, IdTracker, Seen, Silence
from tapeline.market.sync import Ask, BookSync
from tapeline.venues.base import Again, BookChecksum, Channel, Request

# Plain integers: IntFlag's operators cost a microsecond each.
AGGREGATED = int(Flag.AGGREGATED)
BAD_TIME = int(Flag.BAD_TIME)
LATE = int(Flag.LATE)
OFF_BOOK = int(Flag.OFF_BOOK)


class Lane:
    """`heard` holds the time of the last record by channel; `silences` the streams that are expected to speak."""

    __slots__ = (
        "aggregated", "bars", "book_time", "flags", "gaps", "heard", "ids", "instrument", "last_price", "latest",
        "number", "numbered", "queued", "quote_seq", "silences", "sync", "venue",
    )  # fmt: skip

    def __init__(
        self,
        instrument: str,
        venue: str,
        settings: PipelineSettings,
        ask: Ask,
        requests: list[Request | Again],
        flags: int,
        *,
        number: int,
        numbered: bool,
        checksum: BookChecksum | None = None,
    ) -> None:
        self.number = number  # of the lane within its pipeline
        self.queued = NEVER  # when the pipeline comes back to close its next bar
        self.instrument, self.venue, self.flags, self.numbered = instrument, venue, flags, numbered
        self.sync = BookSync(instrument, venue, settings, ask, requests, flags, checksum)
        self.bars = Bars(instrument, settings, flags)
        self.ids = (IdTracker(), IdTracker())  # of single and of aggregated trades
        self.aggregated: int | None = None  # which of the two the bars are made from: the first that came
        self.heard: dict[Channel, int] = {"trades": 0, "book": 0, "quotes": 0, "bars": 0, "ticker": 0, "liquidations": 0}
        self.silences: dict[str, Silence] = {}
        self.last_price = 0.0
        self.quote_seq = -1
        self.latest: dict[str, int] = {}  # ts_event of the last record of the slow kinds, to drop doubles at a take-over
        self.gaps = 0

    def trade(self, t: Trade, ts_recv: int, out: list[Event]) -> None:
        """Count one trade and give it out with the bars it closes or corrects; a double is dropped."""
        self.heard["trades"] = ts_recv
        if t.flags & OFF_BOOK:
            out.append(t)
            return
        aggregated = t.flags & AGGREGATED
        if self.numbered and t.id:
            tracker, number = self.ids[1 if aggregated else 0], int(t.id)
            if number == tracker.last + 1:
                tracker.last = number
            elif not self._judge(tracker, number, t.ts_event, ts_recv, out):
                return
        self.last_price = t.price
        if self.aggregated is None:
            self.aggregated = aggregated
        if aggregated != self.aggregated:
            out.append(t)
            return
        bars = self.bars
        if t.ts_event < bars.closed_second and not t.flags & BAD_TIME:
            t = Trade(t.instrument, t.ts_event, t.ts_recv, t.flags | LATE, t.price, t.size, t.side, t.id)
            out.append(t)
            if not bars.add(t, out):
                self.status("late", "trades", "trade came too late for its bar", ts_recv, out, count=1)
            return
        bars.add(t, out)
        out.append(t)

    def has_trade(self, t: Trade) -> bool:
        """Whether a trade with this id was given out already, and its hole is not open."""
        return bool(t.id) and self.ids[1 if t.flags & AGGREGATED else 0].has(int(t.id))

    def skipped(self, number: int, ts_recv: int, out: list[Event], *, aggregated: bool) -> None:
        self.heard["trades"] = ts_recv
        if self.numbered:
            self._judge(self.ids[1 if aggregated else 0], number, None, ts_recv, out)

    def _judge(self, tracker: IdTracker, number: int, until: int | None, ts_recv: int, out: list[Event]) -> bool:
        """Report what an unexpected id means; False where the trade is a double. `until`: its venue time, if it tells one."""
        last = tracker.last
        seen = tracker.see(number)
        if seen in {Seen.GAP, Seen.RESET} and (self.aggregated is None or tracker is self.ids[1 if self.aggregated else 0]):
            self.bars.damage(ts_recv, out, until)
        if seen is Seen.GAP:
            self.gaps += 1
            self.status("gap", "trades", "trade ids missing", ts_recv, out, last + 1, number - 1)
        elif seen is Seen.RESET:
            self.gaps += 1
            self.status("gap", "trades", f"trade ids went back from {last}: the venue restarted its numbers", ts_recv, out)
        elif seen is Seen.FILLED:
            self.status("recovered", "trades", "a missing trade came after all", ts_recv, out, number, number)
        return seen is not Seen.DUPLICATE

    def lost(self, channels: set[Channel], reason: str, ts_recv: int, out: list[Event]) -> None:
        """The connection that carried these channels is gone."""
        if "book" in channels:
            self.sync.on_lost(reason, ts_recv, out)
        if "trades" in channels:
            self.bars.damage(ts_recv, out)

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
