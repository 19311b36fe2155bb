"""Trades that were missed, fetched over HTTP and given out after all: in order, once, flagged RECOVERED.

What is missing is known in one of two ways. Where ids are consecutive a hole shows itself as ids, in the middle (a lost frame) or
at the end (a lost connection: everything after the last id). Where ids are only unique (Bybit) a lost connection is the only sign,
and the most recent trades are asked for: those after the last one that we had are the missing ones, and if that one is not among
them, what lies before stays a hole.

    wanted ──ask──▶ asked ──answer with some──▶ asked (the rest of the hole, at most MOST_PAGES times)
                      │   ──answer with all───▶ status "recovered", the bars that the hole touched are mended
                      └── nothing new, or refused ──▶ again after 1, 2, 4 … s; after MOST_TRIES status "gap": the hole stays

One request of an instrument is under way at a time. Trades are never held back for a repair: what is live goes on.
"""

from collections import deque
from collections.abc import Callable, Sequence

from tapeline.clock import SECOND
from tapeline.events import Trade
from tapeline.market.barkinds.sums import Hole
from tapeline.market.quality import IdTracker
from tapeline.venues.base import Again, Request

MOST_TRIES = 5
MOST_PAGES = 50
MOST_WANTED = 100
MOST_REMEMBERED = 5000  # ids of an instrument whose trades are not numbered
Ask = Callable[[int | None, int | None, int, int], Request | None]
"""(first id, last id, attempt, not_before ns) → the request for trades, None where the venue offers none."""


class Missing:
    """Some trades that are wanted: ids `first` … `last`, None where the end is not known yet, or nothing is numbered."""

    __slots__ = ("first", "found", "hole", "last", "pages", "tries")

    def __init__(self, first: int | None, last: int | None, hole: Hole) -> None:
        self.first, self.last, self.hole = first, last, hole
        self.found = self.tries = self.pages = 0


class Outcome:
    """What became of one `Missing`: all `found`, or some `left`."""

    __slots__ = ("left", "missing")

    def __init__(self, missing: Missing, left: str = "") -> None:
        self.missing, self.left = missing, left


class Repair:
    """Pure. Requests are appended to `requests`; `answer` gives the trades to give out, `outcomes` what is to be reported."""

    def __init__(self, ask: Ask, requests: list[Request | Again]) -> None:
        self._ask, self._requests = ask, requests
        self.wanted: deque[Missing] = deque()
        self.outcomes: list[Outcome] = []
        self.given_up = 0

    def want(self, missing: Missing, now: int) -> bool:
        """False where the venue offers nothing, or too much is wanted already."""
        if len(self.wanted) >= MOST_WANTED or self._ask(missing.first, missing.last, 0, now) is None:
            return False
        self.wanted.append(missing)
        if len(self.wanted) == 1:
            self._send(now)
        return True

    def numbered(self, trades: Sequence[Trade], ids: IdTracker, now: int) -> list[Trade]:
        """An answer where ids are consecutive. `ids` learns of what is given out."""
        if not self.wanted:
            return []
        missing = self.wanted[0]
        news = [t for t in trades if self._is_new(missing, int(t.id), ids)]
        missing.found += len(news)
        if missing.last is None:
            missing.last = max([ids.last, *(int(t.id) for t in trades)])
        left = ids.missing(missing.first or 0, missing.last)
        if left is None:
            self._done(Outcome(missing), now)
        elif news and missing.pages < MOST_PAGES:
            missing.first, missing.tries = left[0], 0
            missing.pages += 1
            self._send(now)
        else:
            self._again(f"ids {left[0]} to {left[1]}", now)
        return news

    @staticmethod
    def _is_new(missing: Missing, number: int, ids: IdTracker) -> bool:
        if missing.last is None and number > ids.last >= 0:
            ids.see(number)
            return True
        return ids.fill(number)

    def named(self, trades: Sequence[Trade], known: dict[str, int], since: int, now: int) -> list[Trade]:
        """An answer where ids are only unique. `known`: those given out (id → ts_event), the last one before the loss at `since`."""
        if not self.wanted:
            return []
        missing = self.wanted[0]
        last_known = max((i for i, t in enumerate(trades) if known.get(t.id, since + 1) <= since), default=-1)
        news = [t for t in trades[last_known + 1 :] if t.id not in known and t.ts_event >= since]
        missing.found += len(news)
        left = "" if last_known >= 0 else "the venue's recent trades do not reach back to the last one before"
        self._done(Outcome(missing, left), now)
        return news

    def refused(self, reason: str, now: int) -> None:
        if self.wanted:
            self._again(reason, now)

    def forget(self) -> None:
        """The numbers began anew: nothing of before can be asked for."""
        self.wanted.clear()

    def check(self, ids: IdTracker, now: int) -> None:
        """A missing trade came by itself: that may have been the last one."""
        if self.wanted and (m := self.wanted[0]).last is not None and m.first is not None and not ids.missing(m.first, m.last):
            self._done(Outcome(m), now)

    def _again(self, left: str, now: int) -> None:
        missing = self.wanted[0]
        missing.tries += 1
        if missing.tries >= MOST_TRIES:
            self.given_up += 1
            self._done(Outcome(missing, left), now)
        else:
            self._send(now + (SECOND << (missing.tries - 1)))

    def _done(self, outcome: Outcome, now: int) -> None:
        self.wanted.popleft()
        self.outcomes.append(outcome)
        if self.wanted:
            self._send(now)

    def _send(self, not_before: int) -> None:
        missing = self.wanted[0]
        request = self._ask(missing.first, missing.last, missing.tries, not_before)
        if request is not None:
            self._requests.append(request)
