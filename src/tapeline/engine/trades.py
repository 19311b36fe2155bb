"""The trades of one instrument: each given out once, its ids watched, what is missing asked for, bars made of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tapeline.clock import SECOND
from tapeline.events import Event, Flag, Trade
from tapeline.market.barkinds.sums import Hole
from tapeline.market.bars import Bars
from tapeline.market.quality import NEVER, IdTracker, Seen
from tapeline.market.repair import MOST_REMEMBERED, Ask, Missing, Repair
from tapeline.venues.base import Again, Past, Request, TradeIds

# Plain integers: IntFlag's operators cost a microsecond each.
AGGREGATED = int(Flag.AGGREGATED)
BAD_TIME = int(Flag.BAD_TIME)
LATE = int(Flag.LATE)
OFF_BOOK = int(Flag.OFF_BOOK)
RECOVERED = int(Flag.RECOVERED)

LAGGING = 60 * SECOND  # venue time: how far behind a second connection may be and its doubles still be known
MOST_IN_A_BURST = 20 * MOST_REMEMBERED
AGAIN = 5 * SECOND  # how long after the end of a stream what it said may be said again
MOST_SAID = 100
SETTLE = SECOND  # how long the streams of a new connection are given before missing trades are asked for
NONE_CAME = (-2, -2)
Say = Callable[..., None]
"""(kind, reason, ts_recv, out, from_seq, to_seq, count): a Status of the channel "trades"."""


class Said(NamedTuple):
    """What was given out before the trades were unsubscribed. Where they are subscribed again at once, on another connection
    perhaps, the venue may say the last of it again: `until` then (our clock), ids up to these are doubles.
    """

    until: int = 0
    ids: tuple[int, int] = (-1, -1)
    known: tuple[tuple[str, int], ...] = ()


class Trades:
    """`queued`: when the pipeline comes back to close the next bar."""

    __slots__ = (
        "_say", "aggregated", "bars", "came", "gaps", "ids", "known", "last_price", "lost_at", "numbered", "queued", "repair",
        "said", "trade_ids", "unsure",
    )  # fmt: skip

    def __init__(self, bars: Bars, trade_ids: TradeIds, ask: Ask, requests: list[Request | Again], say: Say) -> None:
        self.bars, self.trade_ids, self._say = bars, trade_ids, say
        self.numbered = trade_ids == "consecutive"
        self.queued = NEVER
        self.ids = (IdTracker(), IdTracker())  # of single and of aggregated trades
        self.known: dict[str, int] = {}  # the last trades' ids and times, where ids are only unique
        self.repair = Repair(ask, requests)
        self.unsure: Hole | None = None  # the connection was lost: whether trades are missing shows when the next one comes
        self.lost_at = 0  # venue time of the last trade before that
        self.came = NONE_CAME  # the first and last id of missing trades that came after all, and are not told of yet
        self.aggregated: int | None = None  # which of the two the bars are made from: the first that came
        self.said = Said()
        self.last_price = 0.0
        self.gaps = 0

    def follow(self, said: Said) -> None:
        """Say nothing of that again."""
        self.said = said
        self.known = dict(said.known)

    def memory(self, ts_recv: int) -> Said:
        """What was said until now; what was said before that, where it was nothing."""
        last = [tracker.last if tracker.last >= 0 else before for tracker, before in zip(self.ids, self.said.ids, strict=True)]
        return Said(ts_recv + AGAIN, (last[0], last[1]), tuple(self.known.items())[-MOST_SAID:])

    def take(self, t: Trade, ts_recv: int, out: list[Event], first: int = 0) -> None:
        """Count one trade and give it out with the bars it closes or corrects; a double is dropped. `first` as of `Filled`."""
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
        if not t.flags & RECOVERED or not self.last_price:  # what was fetched to fill a hole is older than what came meanwhile
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
                self._say("late", "trade came too late for its bar", ts_recv, out, count=1)
        else:
            bars.add(t, out)
            out.append(t)
        if bars.kinds.makers:
            bars.kinds.add(t, out)

    def _remember(self, t: Trade) -> bool:
        """Note an id that is only unique; False where it was seen already."""
        known = self.known
        if t.id in known:
            return False
        known[t.id] = t.ts_event
        for _ in range(2):  # two for the one that came, so that a burst is forgotten again
            oldest = next(iter(known))
            if len(known) > MOST_REMEMBERED and (known[oldest] < t.ts_event - LAGGING or len(known) > MOST_IN_A_BURST):
                del known[oldest]
        return True

    def past(self, p: Past, ts_recv: int, out: list[Event]) -> None:
        """Trades of before now: give out what is missing of them."""
        tracker = self.ids[1 if self.aggregated else 0]
        if self.trade_ids == "none":
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
            self._say("recovered", f"{len(news)} missing trades were repeated", ts_recv, out, first, newest)
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
                self._say("gap", reason, ts_recv, out, count=None)
                continue
            if m.hole is self.unsure:
                self.unsure = None
            self.bars.mend(m.hole, ts_recv, out)
            last = m.last if m.first is not None else None
            reason = f"{m.found} missing trades fetched" if m.found else "no trade is missing"
            self._say("recovered", reason, ts_recv, out, m.first, last)
        self.repair.outcomes.clear()

    def has(self, t: Trade) -> bool:
        """Whether a trade with this id was given out already, and its hole is not open."""
        return bool(t.id) and self.ids[1 if t.flags & AGGREGATED else 0].has(int(t.id))

    def skipped(self, number: int, ts_recv: int, out: list[Event], *, aggregated: bool) -> None:
        if self.numbered:
            self._judge(self.ids[1 if aggregated else 0], number, None, ts_recv, out)

    def _judge(
        self, tracker: IdTracker, number: int, until: int | None, ts_recv: int, out: list[Event], first: int = 0
    ) -> bool:
        """Report what an unexpected id means; False where the trade is a double. `until`: its venue time, if it tells one."""
        last = tracker.last
        if last < 0 and ts_recv < self.said.until and number <= self.said.ids[0 if tracker is self.ids[0] else 1]:
            return False
        seen = tracker.see(number, first, ts_recv)
        counted = self.aggregated is None or tracker is self.ids[1 if self.aggregated else 0]
        if seen is Seen.GAP:
            self._gap(last + 1, (first or number) - 1, until, ts_recv, out, counted=counted)
        elif seen is Seen.RESET:
            if counted:
                self.bars.damage(ts_recv, out, until)
                self.repair.forget()
                self.unsure = None
            self.gaps += 1
            self._say("gap", f"trade ids went back from {last}: the venue restarted its numbers", ts_recv, out)
        elif seen is Seen.FILLED:
            self._came(tracker, first or number, number, ts_recv, out)
            self.repair.check(tracker, ts_recv)
            self.report(ts_recv, out)
        return seen is not Seen.DUPLICATE

    def _came(self, tracker: IdTracker, first: int, last: int, ts_recv: int, out: list[Event]) -> None:
        """Missing trades that come after all are told where a run of them ends, or within a second: there may be thousands."""
        start, end = self.came
        if end + 1 != first:
            self.tell_came(ts_recv, out)
            start = first
        self.came = start, last
        if tracker.missing(last + 1, last + 1) is None:
            self.tell_came(ts_recv, out)

    def tell_came(self, ts_recv: int, out: list[Event]) -> None:
        (first, last), self.came = self.came, NONE_CAME
        if last >= 0:
            what = "a missing trade came" if first == last else f"{last - first + 1} missing trades came"
            self._say("recovered", f"{what} after all", ts_recv, out, first, last)

    def _gap(self, first: int, last: int, until: int | None, ts_recv: int, out: list[Event], *, counted: bool) -> None:
        """Trades of these ids are missing: say so, and ask for them, where the bars are made from them."""
        self.gaps += 1
        hole = self.bars.damage(ts_recv, out, until) if counted else None
        self._say("gap", "trade ids missing", ts_recv, out, first, last)
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

    def lost(self, ts_recv: int, out: list[Event]) -> None:
        """The connection that carried them is gone."""
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
