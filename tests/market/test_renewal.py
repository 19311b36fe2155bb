"""A market that walks away from its snapshot: the book is renewed on the way, and always shows what the true one shows."""

import random

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.events import BookUpdate, Event, Quote, Status
from tapeline.market.sync import BookSync, State
from tapeline.plans import Request
from tapeline.venues.base import BookMessage

LIMIT = 20
Levels = dict[int, float]


class Truth:
    """A whole order book, two levels a price, walking down; what the venue would know."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.mid, self.seq = 1000, 100
        self.bids: Levels = {1000 - n: 1.0 + n for n in range(1, 900)}
        self.asks: Levels = {1000 + n: 1.0 + n for n in range(1, 900)}

    def snapshot(self, limit: int = LIMIT) -> BookMessage:
        bids = [(float(p), s) for p, s in sorted(self.bids.items(), reverse=True)[:limit]]
        asks = [(float(p), s) for p, s in sorted(self.asks.items())[:limit]]
        return BookMessage("X", 1, 0, "fetched", bids, asks, self.seq, -1, limit)

    def step(self) -> BookMessage:
        """One tick down: the best bid is eaten and becomes the best ask; something changes near the touch."""
        self.mid -= 1
        changed_bids, changed_asks = {self.mid: 0.0}, {self.mid: 2.0, self.mid + 1: float(self.random.randint(1, 9))}
        changed_bids[self.mid - self.random.randint(1, 5)] = float(self.random.randint(1, 9))
        for side, changes in ((self.bids, changed_bids), (self.asks, changed_asks)):
            for price, size in changes.items():
                side.pop(price, None) if size == 0 else side.__setitem__(price, size)
        before, self.seq = self.seq, self.seq + 3
        bids, asks = ([(float(p), s) for p, s in c.items()] for c in (changed_bids, changed_asks))
        return BookMessage("X", 1, 0, "diff", bids, asks, self.seq, before)

    def touch(self) -> tuple[float, float, float, float]:
        bid, ask = max(self.bids), min(self.asks)
        return float(bid), self.bids[bid], float(ask), self.asks[ask]


class Rig:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.sync = BookSync("v:X", "v", PipelineSettings(), self.ask, self.requests)
        self.truth, self.now, self.out = Truth(), SECOND, list[Event]()
        self.give(self.truth.step())
        self.give(self.truth.snapshot())
        self.give(self.truth.step())
        assert self.sync.state is State.SYNCED
        self.requests.clear()

    def ask(self, attempt: int, not_before: int) -> Request:
        return Request(venue="v", purpose="book", url="u", weight=1, native="X", attempt=attempt, not_before=not_before)

    def give(self, m: BookMessage) -> None:
        self.now += SECOND // 10
        self.sync.on_message(m, self.now, self.out)

    def walk(self, steps: int) -> None:
        for _ in range(steps):
            self.give(self.truth.step())

    def statuses(self) -> list[str]:
        return [e.kind for e in self.out if isinstance(e, Status)]


def depth_is_true(rig: Rig, levels: int) -> bool:
    bids, asks = rig.sync.book.depth(levels)
    true_bids = [(float(p), s) for p, s in sorted(rig.truth.bids.items(), reverse=True)[: len(bids)]]
    true_asks = [(float(p), s) for p, s in sorted(rig.truth.asks.items())[: len(asks)]]
    return bids == true_bids and asks == true_asks


def test_a_snapshot_is_asked_for_before_the_market_leaves_the_range_and_only_once() -> None:
    rig = Rig()
    rig.walk(10)
    assert rig.requests == []
    rig.walk(8)
    assert len(rig.requests) == 1
    assert rig.sync.state is State.SYNCED
    rig.walk(20)
    assert len(rig.requests) == 1


def test_the_renewed_book_is_the_true_one_and_knows_as_many_levels_again() -> None:
    rig = Rig()
    rig.walk(16)
    known = len(rig.sync.book.depth(100)[0])
    snapshot = rig.truth.snapshot()
    rig.walk(1)
    rig.give(snapshot)
    assert len(rig.sync.book.depth(100)[0]) > known
    assert depth_is_true(rig, 100)
    assert rig.sync.book.seq == rig.truth.seq
    assert rig.sync.book.touch() == rig.truth.touch()
    whole = [e for e in rig.out if isinstance(e, BookUpdate) and e.snapshot][-1]
    assert whole.seq == rig.truth.seq
    assert dict(whole.bids) == {p: s for p, s in rig.sync.book.bids.items() if p >= whole.bids[-1][0]}
    assert rig.statuses().count("gap") == 0
    assert rig.sync.resyncs == 0


def test_an_answer_from_ahead_of_the_stream_waits_for_it() -> None:
    rig = Rig()
    rig.walk(16)
    coming = [rig.truth.step() for _ in range(3)]
    ahead = rig.truth.snapshot()
    rig.give(ahead)
    for m in coming:
        rig.give(m)
    assert depth_is_true(rig, 100)
    assert len(rig.sync.book.depth(100)[0]) == LIMIT


def test_an_answer_from_before_the_request_is_not_used() -> None:
    rig = Rig()
    old = rig.truth.snapshot()
    rig.walk(18)
    before = rig.sync.book.touch()
    rig.give(old)
    assert rig.sync.book.touch() == before == rig.truth.touch()


def test_another_touch_in_the_new_snapshot_is_reported_and_the_snapshot_taken() -> None:
    rig = Rig()
    rig.walk(16)
    m = rig.truth.snapshot()
    m.bids[0] = (m.bids[0][0], 77.0)
    rig.give(m)
    assert rig.sync.book.touch()[1] == 77.0
    assert rig.statuses()[-1] == "resyncing"
    assert "tells another touch" in next(e.reason for e in reversed(rig.out) if isinstance(e, Status))
    assert [e for e in rig.out if isinstance(e, Quote)][-1].bid_size == 77.0


def test_a_refused_renewal_leaves_the_book_as_it_is_and_is_asked_for_again_later() -> None:
    rig = Rig()
    rig.walk(16)
    rig.sync.on_refused("HTTP 503", rig.now, rig.out)
    rig.walk(5)
    assert len(rig.requests) == 1
    rig.now += 31 * SECOND
    rig.walk(1)
    assert len(rig.requests) == 2
    assert rig.sync.state is State.SYNCED
    assert rig.sync.book.touch() == rig.truth.touch()


def test_a_gap_while_a_renewal_is_under_way_begins_the_book_anew() -> None:
    rig = Rig()
    rig.walk(16)
    rig.truth.step()
    rig.give(rig.truth.step())
    assert rig.sync.state is State.BUFFERING
    rig.give(rig.truth.snapshot())
    rig.walk(1)
    assert rig.sync.state is State.SYNCED
    assert depth_is_true(rig, 100)


def test_what_is_kept_for_an_answer_that_never_comes_is_bounded() -> None:
    rig = Rig()
    rig.truth.bids.update(dict.fromkeys(range(-3000, 100), 1.0))
    rig.walk(800)
    assert rig.sync.renewal._kept is None or len(rig.sync.renewal._kept) <= 500
