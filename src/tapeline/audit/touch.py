"""The touch and the clocks: books that cross, and how long events took to arrive."""

from array import array

import numpy as np

from tapeline.audit.report import Few, Latency, Report
from tapeline.clock import MILLI, iso
from tapeline.events import Bar, Event, Flag, Quote, Status

UNTIMED = int(Flag.NO_VENUE_TIME | Flag.BAD_TIME | Flag.RECOVERED | Flag.SAMPLED | Flag.SNAPSHOT)
UNPROVEN = int(Flag.BOOK_UNPROVEN)
MOST_SAMPLES = 1 << 20


class Crossings:
    """Of the touch of our own books: best bid at or above best ask. One that is flagged unproven, or that a status tells of at that
    moment, is honest.
    """

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.quotes = self.honest = 0
        self.untold = Few()
        self._waiting: list[Quote] = []

    def quote(self, q: Quote) -> None:
        if q.origin != "book":
            return
        self.quotes += 1
        if self._waiting and q.ts_recv != self._waiting[-1].ts_recv:
            self._settle()
        if q.bid is None or q.ask is None or q.bid < q.ask:
            return
        if q.flags & UNPROVEN:
            self.honest += 1
        else:
            self._waiting.append(q)

    def status(self, s: Status) -> None:
        if s.kind in {"crossed", "resyncing", "gap"}:
            self.honest += sum(q.ts_recv == s.ts_recv for q in self._waiting)
            self._waiting = [q for q in self._waiting if q.ts_recv != s.ts_recv]

    def _settle(self) -> None:
        """Their moment is over, and no status told of it."""
        for q in self._waiting:
            self.untold.add(f"{iso(q.ts_recv)}: bid {q.bid!r}, ask {q.ask!r}")
        self._waiting.clear()

    def judge(self, session: str, report: Report) -> None:
        about = {"session": session, "instrument": self.instrument}
        self._settle()
        if self.untold.count:
            text = f"the book is crossed {self.untold.count} times and is not marked"
            report.add("crossed books", "broken", text, count=self.untold.count, details=self.untold.details, **about)
        elif self.honest:
            text = f"the book was crossed {self.honest} times, each marked as unproven or told by a status"
            report.add("crossed books", "noted", text, count=self.honest, **about)
        elif self.quotes:
            report.add(
                "crossed books",
                "holds",
                f"{self.quotes} touches of the book: never crossed",
                count=self.quotes,
                **about,
            )


class Delays:
    """Of one instrument: every event's delay, thinned evenly once there are too many."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.events = 0
        self._samples = array("q")
        self._step = 1

    def take(self, e: Event) -> None:
        if e.flags & UNTIMED or isinstance(e, Bar | Status):
            return
        self.events += 1
        if self.events % self._step == 0:
            self._samples.append(e.ts_recv - e.ts_event)
            if len(self._samples) >= MOST_SAMPLES:
                self._samples = self._samples[::2]
                self._step *= 2

    def latency(self) -> Latency | None:
        if not self._samples:
            return None
        delays = np.frombuffer(self._samples, np.int64) / MILLI
        p50, p90, p99 = (round(float(x), 3) for x in np.percentile(delays, (50, 90, 99)))
        least, most = round(float(delays.min()), 3), round(float(delays.max()), 3)
        return Latency(
            instrument=self.instrument,
            events=self.events,
            skew=least,
            p50=p50,
            p90=p90,
            p99=p99,
            most=most,
            negative=round(float((delays < 0).mean()), 4),
        )
