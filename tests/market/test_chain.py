"""Exact chains (OKX): the documented example, and every way in which one can break, join and reset.

The bids tell the truth: after the diff that reaches the n-th id of a chain, the best bid's size is n, so a quote is right if and only
if its size is that of the last diff given out.
"""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.events import BookUpdate, Event, Flag, Quote, Status
from tapeline.market import chain
from tapeline.market.sync import State
from tapeline.venues.base import BookMessage
from tests.market.test_sync import ASKS, BIDS, T0, Bench, kinds

DOCUMENTED = [(-1, 10), (10, 15), (15, 15), (15, 3), (3, 5)]


def link(prev: int, seq: int, size: float | None = None) -> BookMessage:
    bids = [] if size is None else [(100.0, size)]
    return BookMessage("BTC-USDT", T0, 0, "diff", bids, [], seq, prev, exact=True)


def whole(kind: Any, seq: int, size: float = 1.0) -> BookMessage:
    return BookMessage("BTC-USDT", T0, 0, kind, [(100.0, size), *BIDS[1:]], ASKS, seq, -1, exact=True)


def begun(seq: int = 10) -> Bench:
    bench = Bench()
    assert kinds(bench.tell(whole("snapshot", seq)))[-1] == "synced"
    return bench


def sizes(events: list[Event]) -> list[float | None]:
    return [e.bid_size for e in events if isinstance(e, Quote)]


def test_the_documented_example() -> None:
    """Snapshot, update, keep-alive, reset, update: none of them is a gap, and each is one update of the book."""
    bench = begun()
    events = bench.tell(*(link(prev, seq, n) for n, (prev, seq) in enumerate(DOCUMENTED[1:], 2)))
    assert sizes(events) == [2, 3, 4, 5]
    assert not [e for e in events if isinstance(e, Status)]
    assert (bench.sync.book.seq, bench.sync.state, bench.requests) == (5, State.SYNCED, [])


@pytest.mark.parametrize("dropped", [1, 3])
def test_one_that_is_dropped_is_missed_by_the_next(dropped: int) -> None:
    """Across the reset, too: then the id that comes is smaller than the one that the book stands at."""
    bench = begun()
    chain = DOCUMENTED[1:dropped] + DOCUMENTED[dropped + 1 :]
    events = bench.tell(*(link(prev, seq, 9.0) for prev, seq in chain))
    told = [e for e in events if isinstance(e, Status)]
    assert [e.kind for e in told][:2] == ["gap", "resyncing"]
    assert told[0].from_seq is None or told[0].from_seq <= (told[0].to_seq or 0)
    assert len(bench.requests) == 1
    assert bench.sync.state is State.BUFFERING


def test_the_range_of_a_gap_is_told_where_ids_grow_and_the_reason_where_they_do_not() -> None:
    (gap, _) = begun().tell(link(15, 20))
    assert (gap.from_seq, gap.to_seq, gap.count) == (11, 15, 5)
    (gap, _) = begun().tell(link(3, 5))
    assert (gap.from_seq, gap.to_seq) == (None, None)
    assert "follows 3 came after 10" in gap.reason


def test_a_dropped_keep_alive_is_no_loss() -> None:
    bench = begun()
    assert sizes(bench.tell(link(10, 15, 2), link(15, 3, 3), link(3, 5, 4))) == [2, 3, 4]


def test_doubles_are_known_by_both_ids() -> None:
    """Before the reset, of the reset, after it; a doubled keep-alive says nothing new."""
    bench = begun()
    events = bench.tell(
        link(10, 15, 2), link(10, 15, 9), link(15, 15), link(15, 15), link(15, 3, 3), link(15, 3, 9), link(3, 5, 4), link(3, 5, 9)
    )  # fmt: skip
    assert sizes(events) == [2, 2, 2, 3, 4]
    assert bench.sync.duplicates == 3
    assert not [e for e in events if isinstance(e, Status)]


def test_an_id_of_before_the_reset_is_no_double_after_it() -> None:
    """5 → 10 was passed in the first numbering; then the numbers begin anew and reach 10 from elsewhere, without 3 → 7."""
    bench = begun(5)
    events = bench.tell(link(5, 10, 2), link(10, 3, 3), link(7, 10, 9))
    assert kinds(events)[-2:] == ["gap", "resyncing"]


def test_reordered_ones_are_a_gap() -> None:
    assert kinds(begun().tell(link(15, 20, 3), link(10, 15, 2))) == ["gap", "resyncing", "gap", "BookUpdate"]


def test_a_snapshot_in_the_stream_begins_a_new_chain() -> None:
    bench = begun()
    bench.tell(link(15, 20))
    assert kinds(bench.tell(whole("snapshot", 40)))[-1] == "synced"
    assert sizes(bench.tell(link(40, 41, 7))) == [7]


def test_a_book_without_a_first_snapshot_waits_for_one() -> None:
    """The documented procedure over HTTP: buffer, drop what the snapshot has, the first one applied spans its id."""
    bench = Bench()
    assert kinds(bench.tell(link(10, 15, 2), link(15, 20, 3), link(20, 25, 4))) == ["resyncing"]
    events = bench.tell(whole("fetched", 20))
    assert sizes(events) == [1, 4]
    assert bench.sync.state is State.SYNCED


@pytest.mark.parametrize("at", [15, 16, 19])
def test_the_first_one_applied_may_span_the_snapshot(at: int) -> None:
    """prevSeqId <= id of the snapshot < seqId."""
    bench = Bench()
    bench.tell(link(10, 15, 2), link(15, 20, 3))
    assert sizes(bench.tell(whole("fetched", at))) == [1, 3]
    assert sizes(bench.tell(link(20, 21, 4))) == [4]


def test_a_snapshot_older_than_the_buffer_is_asked_for_again() -> None:
    bench = Bench()
    bench.tell(link(10, 15, 2))
    assert kinds(bench.tell(whole("fetched", 9))) == ["resyncing"]
    assert [r.attempt for r in bench.requests] == [0, 1]
    assert sizes(bench.tell(whole("fetched", 15), link(15, 16, 3))) == [1, 3]


def test_a_snapshot_ahead_of_the_stream_waits_for_it_and_says_so() -> None:
    bench = Bench()
    events = bench.tell(link(10, 15, 2), whole("fetched", 18, 5.0))
    assert [e.flags for e in events if isinstance(e, Quote)] == [Flag.SNAPSHOT | Flag.BOOK_UNPROVEN]
    assert bench.sync.state is State.JOINING
    assert bench.tell(link(15, 17, 9)) == []
    assert sizes(bench.tell(link(17, 20, 6))) == [6]


def test_a_keep_alive_proves_a_snapshot_of_a_quiet_book() -> None:
    """Nothing has changed since the snapshot, and the keep-alive says that nothing is missing either."""
    for early in (True, False):
        bench = Bench()
        bench.tell(*([link(15, 15)] if early else [link(10, 15, 2)]), whole("fetched", 15, 5.0))
        bench.tell(*([] if early else [link(15, 15)]))
        assert bench.sync.state is State.SYNCED
        assert bench.sync.book.touch()[1] == 5.0


@pytest.mark.parametrize(
    ("at", "given"), [(10, [1, 2, 3, 4, 5]), (12, [1, 2, 3, 4, 5]), (15, [1, 3, 4, 5]), (3, [1, 5]), (4, [1, 5])]
)
def test_a_snapshot_finds_its_place_in_a_buffer_with_a_reset(at: int, given: list[float]) -> None:
    bench = Bench()
    bench.tell(*(link(prev, seq, n) for n, (prev, seq) in enumerate(DOCUMENTED[1:], 2)))
    assert sizes(bench.tell(whole("fetched", at))) == given
    assert bench.sync.book.seq == 5
    assert sizes(bench.tell(link(5, 6, 7.0))) == [7]


def test_a_snapshot_of_the_end_of_the_buffer_is_joined_by_the_next_one() -> None:
    bench = Bench()
    bench.tell(*(link(prev, seq, n) for n, (prev, seq) in enumerate(DOCUMENTED[1:], 2)))
    assert sizes(bench.tell(whole("fetched", 5), link(5, 6, 7.0))) == [1, 7]


def test_a_snapshot_that_is_nowhere_in_a_buffer_with_a_reset_is_asked_for_again() -> None:
    """8: before the 10 of the old numbers, or after the 5 of the new ones? The next one, some updates later, tells."""
    bench = Bench()
    bench.tell(*(link(prev, seq) for prev, seq in DOCUMENTED[1:]))
    assert kinds(bench.tell(whole("fetched", 8))) == ["resyncing"]
    bench.tell(link(5, 9, 7.0))
    assert sizes(bench.tell(whole("fetched", 9, 7.0), link(9, 11, 8.0))) == [7, 8]


def test_doubles_and_holes_in_the_buffer() -> None:
    bench = Bench()
    bench.tell(link(10, 15, 2), link(15, 3, 3), link(10, 15, 9), link(15, 3, 9))
    assert bench.sync.duplicates == 2
    events = bench.tell(link(4, 6, 5))
    assert kinds(events) == ["gap", "BookUpdate", "BookUpdate"]
    assert {e.flags for e in events if isinstance(e, BookUpdate)} == {Flag.BOOK_UNPROVEN}
    assert sizes(bench.tell(whole("fetched", 4))) == [1, 5]


def test_what_a_successor_repeats_is_known_though_the_numbers_began_anew() -> None:
    """A planned reconnect plays what the new connection said meanwhile: all of it is in the book, and its smaller ids are no reason
    to think so.
    """
    bench = begun()
    links = [link(prev, seq, n) for n, (prev, seq) in enumerate(DOCUMENTED[1:], 2)]
    assert bench.sync.has(link(7, 10))  # the snapshot has it
    for m in links:
        assert not bench.sync.has(m)
        bench.tell(m)
    assert all(bench.sync.has(m) for m in links)
    assert not bench.sync.has(link(5, 6))
    assert not bench.sync.has(whole("snapshot", 5))
    bench.tell(link(50, 60), link(60, 61))
    assert [bench.sync.has(m) for m in (link(50, 60), link(60, 61), link(61, 62))] == [True, True, False]


def test_a_renewal_ends_where_the_numbers_begin_anew() -> None:
    """Its diffs could no longer be told from those of before. Bounded snapshot, market at its edge: renewal is asked for."""
    bench = Bench()
    bids = [(100.0 - i, 1.0) for i in range(10)]
    bench.tell(BookMessage("x", T0, 0, "snapshot", bids, [(101.0, 1.0)], 10, -1, 10, True))
    gone = BookMessage("x", T0, 0, "diff", [(100.0 - i, 0.0) for i in range(8)], [], 15, 10, exact=True)
    bench.tell(gone)
    assert len(bench.requests) == 1
    bench.tell(link(15, 16), link(16, 3), link(3, 5))
    events = bench.tell(BookMessage("x", T0, 0, "fetched", [(92.0, 7.0)], [(101.0, 1.0)], 16, -1, exact=True))
    assert events == []
    assert bench.tell(link(5, 20))[0].seq == 20
    assert (92.0, 7.0) not in bench.sync.book.bids.items()


def test_where_a_snapshot_belongs() -> None:
    """The rule by itself, for ids that only grow as well."""
    grows = [(BookMessage("x", T0, 0, "diff", [], [], seq, prev), 0) for prev, seq in [(9, 12), (12, 14)]]

    def at(seq: int, buffer: Any) -> list[int] | None:
        found = chain.continuing(whole("fetched", seq), buffer)
        return None if found is None else [m.seq for m, _ in found]

    assert [at(n, grows) for n in (8, 9, 11, 12, 14, 99)] == [None, [12, 14], [12, 14], [14], [], []]
    exact = [(link(prev, seq), 0) for prev, seq in [(9, 12), (12, 14)]]
    assert [at(n, exact) for n in (8, 9, 11, 12, 14, 99)] == [None, [12, 14], [12, 14], [14], [], []]
    assert at(5, []) == []


@settings(max_examples=300)
@given(
    st.lists(st.integers(-1, 9).filter(bool), min_size=5, max_size=60),
    st.lists(st.tuples(st.sampled_from(["drop", "double", "swap"]), st.integers(0, 59)), max_size=5),
    st.sampled_from(["fetched", "snapshot"]),
)
def test_whatever_happens_to_a_chain_nothing_is_left_out(steps: list[int], faults: list[tuple[str, int]], kind: str) -> None:
    """Ids go forth, and back now and then. The size of the best bid is the place in the chain, which snapshots tell, too: from quote
    to quote it grows by one. A snapshot over HTTP may let a diff be said again, but never leaves one out.
    """
    ids = [10_000]
    for step in steps:
        ids.append(ids[-1] + step if step > 0 else max(0, ids[-1] - 1000))
    if len(set(ids)) < len(ids):
        return  # places that nothing tells from one another
    sent = [link(prev, seq, float(n)) for n, (prev, seq) in enumerate(pairwise(ids), 2)]
    for fault, i in faults:
        if fault == "drop" and i < len(sent):
            del sent[i]
        elif fault == "double" and i < len(sent):
            sent.insert(i, sent[i])
        elif i + 1 < len(sent):
            sent[i], sent[i + 1] = sent[i + 1], sent[i]
    bench, top, answered = Bench(), 1.0, 0
    bench.tell(whole("snapshot", 10_000))
    for m in sent:
        top = max(top, m.bids[0][1])
        bench.tell(m)
        if answered < len(bench.requests):
            answered = len(bench.requests)
            bench.tell(whole(kind, ids[int(top) - 1], top))
    quotes = [e for e in bench.out if isinstance(e, Quote)]
    for before, after in pairwise(quotes):
        due = (before.bid_size or 0) + 1
        if not after.flags & Flag.SNAPSHOT:
            said_again = kind == "fetched" and before.flags & Flag.SNAPSHOT
            assert after.bid_size == due or (said_again and (after.bid_size or 0) < due)
    if not faults:
        assert sizes(bench.out) == [float(n) for n in range(1, len(ids) + 1)]
