"""Numbers that should follow one another: trade ids, and the update ids of books.

Nothing here asks the pipeline what it found: the ids of the events are counted again, and what is missing must be told by a `status`
of the same session. A hole that a status tells of is honest data; one that nobody tells of is broken data.

Trade ids are judged where the venue numbers its trades one by one. A record may bear no trade (Binance's insurance fund, a price of
zero) and then makes no event: the session's own tracker has seen its id. Records that stand for several trades
(AGGREGATED) are only watched for doubles, since the ids they stand for are not in the event.
"""

from bisect import bisect_right, insort
from collections import OrderedDict

from tapeline.audit.report import Few, Report
from tapeline.clock import iso
from tapeline.events import BookUpdate, Flag, Status, Trade
from tapeline.market.quality import IdTracker

AGGREGATED, OFF_BOOK, RECOVERED = int(Flag.AGGREGATED), int(Flag.OFF_BOOK), int(Flag.RECOVERED)
REMEMBERED = 200_000  # ids that are no numbers
Span = tuple[int, int]


class Spans:
    """A set of integers that mostly follow one another, as spans that do not touch."""

    def __init__(self) -> None:
        self.spans: list[list[int]] = []

    def add(self, number: int) -> bool:
        """False where it is in the set already."""
        spans = self.spans
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
            return True
        at = bisect_right(spans, [number, number])
        for i in (at - 1, at):
            if 0 <= i < len(spans) and spans[i][0] <= number <= spans[i][1]:
                return False
        insort(spans, [number, number])
        at = bisect_right(spans, [number, number]) - 1
        if at + 1 < len(spans) and spans[at + 1][0] == number + 1:
            spans[at][1] = spans.pop(at + 1)[1]
        if at and spans[at - 1][1] == number - 1:
            spans[at - 1][1] = spans.pop(at)[1]
        return True

    def holes(self) -> list[Span]:
        return [(a[1] + 1, b[0] - 1) for a, b in zip(self.spans, self.spans[1:], strict=False)]


def less(span: Span, told: list[Span]) -> list[Span]:
    """What of `span` no span of `told` covers."""
    left = [span]
    for first, last in told:
        left = [part for a, b in left for part in ((a, min(b, first - 1)), (max(a, last + 1), b)) if part[0] <= part[1]]
    return left


def _words(s: Status) -> str:
    span = "" if s.from_seq is None or s.to_seq is None else f" {s.from_seq} to {s.to_seq}"
    return f"{iso(s.ts_recv)} {s.kind}{span}: {s.reason}"


class TradeIds:
    """One instrument's trades in one session. `aggregated` ones have ids of their own."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.trades = self.recovered = 0
        self.ids = (Spans(), Spans())
        self.names: OrderedDict[str, None] = OrderedDict()
        self.doubles = Few()
        self.told: list[Span] = []
        self.said = Few()
        self._before: int | None = None  # the last id ahead of frames that were not recorded

    def trade(self, t: Trade) -> None:
        self.trades += 1
        self.recovered += bool(t.flags & RECOVERED)
        if not t.id or t.flags & OFF_BOOK:
            return
        if t.id.isdecimal():
            if self._before is not None and not t.flags & AGGREGATED:
                self.told.append((self._before + 1, int(t.id) - 1))
                self._before = None
            if not self.ids[bool(t.flags & AGGREGATED)].add(int(t.id)):
                self.doubles.add(t.id)
            return
        if t.id in self.names:
            self.doubles.add(t.id)
        self.names[t.id] = None
        if len(self.names) > REMEMBERED:
            self.names.popitem(last=False)

    def unrecorded(self, s: Status) -> None:
        """Frames are missing on the tape, and whatever ids were in them."""
        self.said.add(_words(s))
        if self.ids[0].spans:
            self._before = self.ids[0].spans[-1][1]

    def status(self, s: Status) -> None:
        if s.kind != "gap":
            return
        if s.from_seq is not None and s.to_seq is not None:
            self.told.append((s.from_seq, s.to_seq))
            self.said.add(_words(s))
        elif "restarted its numbers" in s.reason:  # from here on old ids may come again
            self.said.add(_words(s))
            self.ids, self.names = (Spans(), Spans()), OrderedDict()

    def judge(self, session: str, report: Report, numbers: IdTracker | None) -> None:
        """`numbers`: the session's own tracker, where the venue numbers its trades one by one."""
        about = {"session": session, "instrument": self.instrument}
        if self.doubles.count:
            text = f"{self.doubles.count} trades are there twice"
            report.add("trade ids", "broken", text, count=self.doubles.count, details=self.doubles.details, **about)
        holes = self.ids[0].holes() if numbers is not None else []
        untold, honest, none = Few(), 0, 0
        for hole in holes:
            left = less(hole, self.told)
            missing = hole[1] - hole[0] + 1
            for a, b in left:
                missing -= b - a + 1
                if numbers is not None and numbers.missing(a, b) is None:
                    none += b - a + 1
                else:
                    untold.add(f"{a} to {b}")
            honest += missing
        if untold.count:
            text = f"{untold.count} holes in the trade ids that no status tells of"
            report.add("trade ids", "broken", text, count=untold.count, details=untold.details, **about)
        if honest:
            text = f"of {self.trades + honest} trades {honest} are missing, and a status tells of each"
            report.add("trade ids", "noted", text, count=honest, details=self.said.details, **about)
        if none:
            report.add(
                "trade ids", "holds", f"{none} ids belong to records that are no trades of the market", count=none, **about
            )
        if not (self.doubles.count or untold.count or honest):
            fetched = f", {self.recovered} of them fetched after a gap" if self.recovered else ""
            way = (
                "none missing, none twice" if numbers is not None else "none twice; the venue's ids do not tell what is missing"
            )
            report.add("trade ids", "holds", f"{self.trades} trades{fetched}: {way}", count=self.trades, **about)


class UpdateIds:
    """One instrument's book updates in one session: each must continue the one before, or a status stands between them."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.updates = self.snapshots = 0
        self.told, self.untold = Few(), Few()
        self._last: int | None = None
        self._fresh = True
        self._excuse = "the session begins"

    def book(self, u: BookUpdate) -> None:
        self.updates += 1
        if u.snapshot:
            self.snapshots += 1
        elif u.prev_seq is not None and self._last is not None and not self._follows(u.prev_seq, u.seq):
            if self._excuse:
                self.told.add(self._excuse)
            else:
                self.untold.add(f"update {u.seq} follows {u.prev_seq}, and the one before was {self._last}")
        self._fresh = u.snapshot
        self._excuse = ""
        self._last = u.seq if u.seq is not None else self._last

    def _follows(self, prev: int, seq: int | None) -> bool:
        """The first update after a snapshot may begin before it."""
        last = self._last or 0
        return prev == last or (self._fresh and prev <= last and (seq is None or last <= seq))

    def status(self, s: Status) -> None:
        if s.kind in {"gap", "resyncing", "synced", "crossed", "recovered", "disconnected"}:
            self._excuse = self._excuse or _words(s)

    def judge(self, session: str, report: Report) -> None:
        about = {"session": session, "instrument": self.instrument}
        if self.untold.count:
            text = f"{self.untold.count} jumps in the update ids that no status tells of"
            report.add("update ids", "broken", text, count=self.untold.count, details=self.untold.details, **about)
        elif self.told.count:
            text = f"in {self.updates} book updates {self.told.count} jumps of the ids, each told by a status"
            report.add("update ids", "noted", text, count=self.told.count, details=self.told.details, **about)
        else:
            text = f"{self.updates} book updates, {self.snapshots} of them snapshots: each continues the one before"
            report.add("update ids", "holds", text, count=self.updates, **about)
