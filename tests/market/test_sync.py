"""One book's synchronisation, message by message: each state, each fit, each way to lose it and to find it again."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.config import PipelineSettings
from tapeline.events import BookUpdate, Event, Flag, Metrics, Quote, Status
from tapeline.market.sync import JOIN_RUN_IS_RESET, OLD_RUN_IS_RESET, BookSync, State
from tapeline.venues.base import UNNUMBERED, Again, BookChecksum, BookMessage, Request

SECOND = 1_000_000_000
MS = 1_000_000
T0 = 1_795_255_500 * SECOND
BIDS, ASKS = [(100.0, 1.0), (99.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)]


def message(kind: Any, prev: int, seq: int, bids: Any = (), asks: Any = (), limit: int = 0) -> BookMessage:
    return BookMessage("BTCUSDT", T0, 0, kind, list(bids), list(asks), seq, prev, limit)


def diff(prev: int, seq: int, bids: Any = (), asks: Any = ()) -> BookMessage:
    return message("diff", prev, seq, bids, asks)


def fetched(seq: int, bids: Any = BIDS, asks: Any = ASKS, limit: int = 0) -> BookMessage:
    return message("fetched", -1, seq, bids, asks, limit)


class Bench:
    """A BookSync with what it says and asks."""

    def __init__(self, **options: Any) -> None:
        self.requests: list[Request] = []
        self.out: list[Event] = []
        self.now = T0
        self.sync = BookSync("x:y", "x", PipelineSettings(**options), self._ask, self.requests)

    def _ask(self, attempt: int, not_before: int) -> Request:
        return Request(venue="x", purpose="book", url="u", weight=1, attempt=attempt, not_before=not_before)

    def tell(self, *messages: BookMessage) -> list[Event]:
        """The events of these messages."""
        before = len(self.out)
        for m in messages:
            self.now += MS
            self.sync.on_message(m, self.now, self.out)
        return self.out[before:]

    def synced(self) -> "Bench":
        self.tell(diff(9, 10), fetched(10), diff(10, 11))
        assert self.sync.state is State.SYNCED
        return self


def kinds(events: list[Event]) -> list[str]:
    return [e.kind if isinstance(e, Status) else type(e).__name__ for e in events]


def seqs(events: list[Event], event_type: type[Event] = Quote) -> list[int]:
    return [e.seq for e in events if isinstance(e, event_type)]


WHOLE = ["BookUpdate", "Quote", "Metrics"]


def test_a_book_begins() -> None:
    bench = Bench()
    assert kinds(bench.tell(diff(4, 5), diff(5, 6))) == ["resyncing"]
    assert [(r.attempt, r.not_before) for r in bench.requests] == [(0, T0 + MS)]
    events = bench.tell(fetched(5))
    assert kinds(events) == [*WHOLE, "synced", *WHOLE]
    snapshot, update = (e for e in events if isinstance(e, BookUpdate))
    assert (snapshot.snapshot, snapshot.seq, snapshot.prev_seq, snapshot.flags) == (True, 5, None, Flag.SNAPSHOT)
    assert (update.snapshot, update.seq, update.prev_seq, update.flags) == (False, 6, 5, 0)
    (joined,) = (e for e in events if isinstance(e, Status))
    assert (joined.from_seq, joined.to_seq, joined.count) == (5, 6, 2)


@pytest.mark.parametrize("prev", [3, 4, 5])
def test_the_first_diff_may_overlap_the_snapshot(prev: int) -> None:
    """Spot: U <= lastUpdateId + 1 <= u. Futures: U <= lastUpdateId <= u, or pu == lastUpdateId."""
    bench = Bench()
    assert kinds(bench.tell(diff(prev, 7), fetched(5)))[-4:] == ["synced", *WHOLE]


def test_what_the_snapshot_has_already_is_dropped() -> None:
    bench = Bench()
    events = bench.tell(diff(4, 5), diff(5, 6), diff(6, 7), fetched(6))
    assert seqs(events, BookUpdate) == [6, 7]


def test_a_snapshot_ahead_of_the_stream_waits_for_it_flagged() -> None:
    bench = Bench()
    events = bench.tell(diff(4, 5), fetched(7))
    assert [e.flags for e in events if isinstance(e, Quote | Metrics | BookUpdate)] == [Flag.SNAPSHOT | Flag.BOOK_UNPROVEN] * 3
    assert bench.sync.state is State.JOINING
    assert bench.tell(diff(5, 6), diff(6, 7)) == []
    assert kinds(bench.tell(diff(7, 8))) == ["synced", *WHOLE]


def test_a_stream_may_lag_far_behind_the_snapshot_before_it_joins() -> None:
    bench = Bench()
    bench.tell(diff(4, 5), fetched(500))
    assert bench.tell(*(diff(n, n + 1) for n in range(5, 500))) == []
    assert kinds(bench.tell(diff(500, 501))) == ["synced", *WHOLE]


def test_but_not_for_ever() -> None:
    bench = Bench()
    bench.tell(diff(4, 5), fetched(10**9))
    events = bench.tell(*(diff(n, n + 1) for n in range(5, 5 + JOIN_RUN_IS_RESET)))
    assert kinds(events) == ["gap", "resyncing"]
    assert "restarted" in events[0].reason


def test_a_snapshot_older_than_the_buffer_is_asked_for_again_with_backoff() -> None:
    bench = Bench()
    bench.tell(diff(9, 10))
    for wait in (500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, *[30_000] * 12):
        events = bench.tell(
            fetched(8), *(diff(n, n + 1) for n in range(bench.sync.buffer[-1][0].seq, bench.sync.buffer[-1][0].seq + 20))
        )
        assert kinds(events) == ["resyncing"]
        assert (events[0].from_seq, events[0].to_seq) == (9, 9)
        asked = bench.requests[-1]
        assert asked.not_before - events[0].ts_recv == wait * MS
    assert len(bench.requests) == 21  # never one a frame


def test_one_request_is_outstanding_at_a_time() -> None:
    bench = Bench()
    bench.tell(*(diff(n, n + 1) for n in range(100)), diff(200, 201), diff(300, 301))
    assert len(bench.requests) == 1
    bench.sync.on_refused("HTTP 429", bench.now, bench.out)
    assert [r.attempt for r in bench.requests] == [0, 1]
    bench.tell(*(diff(n, n + 1) for n in range(301, 400)))
    assert len(bench.requests) == 2


def test_a_gap() -> None:
    bench = Bench().synced()
    events = bench.tell(diff(13, 15), diff(15, 16))
    assert kinds(events) == ["gap", "resyncing"]
    assert (events[0].from_seq, events[0].to_seq, events[0].count, events[0].instrument) == (12, 13, 2, "x:y")
    assert bench.sync.state is State.BUFFERING
    assert bench.sync.book.touch() == (None,) * 4
    assert seqs(bench.tell(fetched(14))) == [14, 15, 16]
    assert bench.sync.state is State.SYNCED
    assert (bench.sync.gaps, bench.sync.resyncs) == (1, 1)


def test_a_snapshot_from_before_the_gap_does_not_mend_it() -> None:
    bench = Bench().synced()
    assert kinds(bench.tell(diff(13, 15), fetched(12))) == ["gap", "resyncing", "resyncing"]
    assert kinds(bench.tell(fetched(13)))[-4:] == ["synced", *WHOLE]


def test_a_gap_in_the_buffer_is_told_at_its_place() -> None:
    bench = Bench()
    events = bench.tell(diff(4, 5), diff(7, 8))
    assert kinds(events) == ["resyncing", "gap", "BookUpdate"]
    assert (events[1].from_seq, events[1].to_seq, events[2].seq, events[2].flags) == (6, 7, 5, Flag.BOOK_UNPROVEN)
    assert seqs(bench.tell(fetched(5))) == []
    assert seqs(bench.tell(fetched(7))) == [7, 8]


def test_duplicates_and_late_ones_are_ignored_and_overlaps_are_safe() -> None:
    bench = Bench().synced()
    assert bench.tell(diff(10, 11), diff(9, 10), diff(5, 11)) == []
    assert seqs(bench.tell(diff(9, 12, [(100.0, 7.0)]))) == [12]
    assert bench.sync.book.touch()[1] == 7.0
    assert bench.sync.duplicates == 3


def test_reordered_diffs_are_a_gap_and_then_old() -> None:
    bench = Bench().synced()
    assert kinds(bench.tell(diff(12, 13), diff(11, 12))) == ["gap", "resyncing"]
    assert seqs(bench.tell(fetched(13), diff(13, 14))) == [13, 14]


@pytest.mark.parametrize("begin", ["synced", "buffering"])
def test_ids_that_restart(begin: str) -> None:
    """In the book or in the buffer: after a run of old ids the new numbering is believed, and its snapshots are taken."""
    bench = Bench()
    bench.tell(diff(10**6, 10**6 + 1))
    if begin == "synced":
        bench.tell(fetched(10**6 + 1), diff(10**6 + 1, 10**6 + 2))
    events = bench.tell(*(diff(n, n + 1) for n in range(OLD_RUN_IS_RESET)))
    assert [k for k in kinds(events) if k != "BookUpdate"][0] == "gap"
    if begin == "buffering":
        bench.tell(fetched(20))  # asked for while the old numbers were believed
    bench.tell(diff(50, 51), fetched(50))
    assert bench.sync.state is State.SYNCED
    assert bench.sync.book.seq == 51


def test_a_crossed_book() -> None:
    bench = Bench().synced()
    events = bench.tell(diff(11, 12, [(101.0, 1.0)]))
    assert kinds(events) == ["BookUpdate", "crossed", "resyncing"]
    assert events[0].flags == Flag.BOOK_UNPROVEN
    assert bench.tell(diff(12, 13)) == []
    assert seqs(bench.tell(fetched(12))) == [12, 13]


@pytest.mark.parametrize("crossing", [[(101.0, 1.0)], [(101.5, 1.0)]])
def test_a_snapshot_that_is_crossed_is_no_book(crossing: Any) -> None:
    bench = Bench()
    events = bench.tell(diff(4, 5), fetched(4, crossing, ASKS))
    assert kinds(events) == ["resyncing", "BookUpdate", "crossed", "resyncing"]
    assert len(bench.requests) == 2
    assert seqs(bench.tell(fetched(6), diff(6, 7))) == [6, 7]


def test_a_side_that_is_truly_empty_is_told_as_empty() -> None:
    """A new listing: the snapshot was not cut, so nobody stands there."""
    bench = Bench()
    bench.tell(diff(9, 10), fetched(10, BIDS, [], limit=1000))
    (quote,) = (e for e in bench.tell(diff(10, 11, [(100.5, 1.0)])) if isinstance(e, Quote))
    assert (quote.bid, quote.ask, quote.ask_size) == (100.5, None, None)


def test_a_lost_connection() -> None:
    bench = Bench().synced()
    bench.sync.on_lost("connection 1 lost", bench.now, bench.out)
    assert bench.out[-1].kind == "resyncing"
    assert bench.sync.state is State.EMPTY
    assert bench.tell(fetched(11)) == []  # asked for before
    assert kinds(bench.tell(diff(20, 21))) == ["resyncing"]
    assert seqs(bench.tell(fetched(20))) == [20, 21]


def test_what_was_buffered_when_the_connection_was_lost_is_given_out_unproven() -> None:
    bench = Bench()
    bench.tell(diff(4, 5), diff(5, 6))
    bench.sync.on_lost("lost", bench.now, bench.out)
    assert [(e.seq, e.flags) for e in bench.out if isinstance(e, BookUpdate)] == [
        (5, Flag.BOOK_UNPROVEN),
        (6, Flag.BOOK_UNPROVEN),
    ]


def test_the_buffer_is_bounded() -> None:
    bench = Bench(buffer_updates=10)
    events = bench.tell(*(diff(n, n + 1) for n in range(25)))
    assert len(bench.sync.buffer) == 10
    assert seqs(events, BookUpdate) == list(range(1, 16))
    assert seqs(bench.tell(fetched(20))) == [20, 21, 22, 23, 24, 25]


def test_snapshots_in_the_stream_replace_the_book() -> None:
    bench = Bench()
    assert kinds(bench.tell(message("snapshot", -1, 5, BIDS, ASKS))) == [*WHOLE, "synced"]
    assert seqs(bench.tell(diff(5, 6), message("snapshot", -1, 3, BIDS, ASKS), diff(3, 4))) == [6, 3, 4]
    assert kinds(bench.tell(message("snapshot", -1, 9, [(102.0, 1.0)], ASKS), diff(9, 10)))[:2] == ["BookUpdate", "crossed"]


def test_partial_books_are_whole_each_time_and_know_only_themselves() -> None:
    bench = Bench()
    assert kinds(bench.tell(message("partial", -1, 5, BIDS, ASKS))) == [*WHOLE, "synced"]
    assert bench.tell(message("partial", -1, 5, BIDS, ASKS), message("partial", -1, 4, BIDS, ASKS)) == []
    assert kinds(bench.tell(message("partial", -1, 6, [(100.5, 1.0)], ASKS))) == WHOLE
    assert (bench.sync.book.bid_floor, bench.sync.book.ask_ceiling) == (100.5, 102.0)
    assert bench.requests == []


def test_partial_books_whose_ids_restart() -> None:
    bench = Bench()
    bench.tell(message("partial", -1, 10**6, BIDS, ASKS))
    events = bench.tell(*(message("partial", -1, n, BIDS, ASKS) for n in range(1, OLD_RUN_IS_RESET + 5)))
    assert seqs(events) == list(range(OLD_RUN_IS_RESET, OLD_RUN_IS_RESET + 5))


def test_a_partial_book_never_overwrites_a_full_one() -> None:
    bench = Bench().synced()
    assert bench.tell(message("partial", -1, 99, [(1.0, 1.0)], ASKS)) == []


@settings(max_examples=200)
@given(st.integers(1, 60), st.lists(st.tuples(st.sampled_from(["drop", "double", "swap"]), st.integers(0, 59)), max_size=6))
def test_whatever_happens_to_the_diffs_a_quote_is_never_wrong(start: int, faults: list[tuple[str, int]]) -> None:
    """The bid's size is the id of the last diff, so that a quote at `seq` is right if and only if its size says so."""
    diffs = [diff(n, n + 1, [(100.0, float(n + 1))]) for n in range(60)]
    for fault, i in faults:
        if fault == "drop" and i < len(diffs):
            del diffs[i]
        elif fault == "double" and i < len(diffs):
            diffs.insert(i, diffs[i])
        elif i + 1 < len(diffs):
            diffs[i], diffs[i + 1] = diffs[i + 1], diffs[i]
    bench, answered, top = Bench(), 0, 0
    for i, d in enumerate(diffs):
        top = max(top, d.seq)
        bench.tell(d)
        if i % 7 == 3 and answered < len(bench.requests):
            answered = len(bench.requests)
            bench.tell(fetched(top, [(100.0, float(top))]))
    quotes = [e for e in bench.out if isinstance(e, Quote)]
    assert all(q.bid_size == q.seq for q in quotes)
    assert seqs(bench.out) == sorted(seqs(bench.out))
    if bench.sync.state is State.SYNCED:
        assert bench.sync.book.seq == top


def crc(bids: Any, asks: Any) -> int:
    """Any function of the texts will do here; the real ones are tested in test_checksum.py."""
    return hash((tuple(bids), tuple(asks))) & 0xFFFF


class Unnumbered(Bench):
    """A book that begins on the socket, is cut at two levels and proved by a checksum."""

    def __init__(self) -> None:
        super().__init__()
        self.again: list[Again] = []
        self.sync = BookSync("x:y", "x", PipelineSettings(), self._begin, self.again, checksum=BookChecksum(2, crc))  # type: ignore[arg-type]

    def _begin(self, attempt: int, not_before: int) -> Again:
        return Again(instrument="x:y", attempt=attempt, not_before=not_before)

    def text(self, kind: Any, bids: Any, asks: Any, book: Any = None, cut: int = 2) -> BookMessage:
        """`book`: (bids, asks) whose checksum the message bears, in texts; None bears none."""
        checksum = None if book is None else crc(*([(f"{p:.2f}", f"{s:.2f}") for p, s in side] for side in book))
        texts = [[(f"{p:.2f}", f"{s:.2f}") for p, s in side] for side in (bids, asks)]
        return BookMessage(
            "Y", T0, 0, kind, bids, asks, UNNUMBERED, UNNUMBERED, cut=cut, checksum=checksum,
            bid_texts=texts[0], ask_texts=texts[1],
        )  # fmt: skip


def test_a_book_without_numbers_begins_with_its_snapshot() -> None:
    bench = Unnumbered()
    assert kinds(bench.tell(bench.text("snapshot", BIDS, ASKS, (BIDS, ASKS)))) == ["BookUpdate", "Quote", "Metrics", "synced"]
    events = bench.tell(bench.text("diff", [(100.0, 5.0)], [], ([(100.0, 5.0), (99.0, 2.0)], ASKS)))
    assert kinds(events) == ["BookUpdate", "Quote", "Metrics"]
    assert (events[0].seq, events[0].prev_seq, events[0].flags) == (None, None, 0)
    assert not bench.again


def test_an_update_without_a_number_is_never_taken_for_a_double() -> None:
    """Else a successor's updates would be dropped for as long as it may repeat its predecessor's: a book that is silently wrong."""
    bench = Unnumbered()
    diff = bench.text("diff", [(100.0, 5.0)], [])
    assert not bench.sync.has(diff)
    bench.tell(bench.text("snapshot", BIDS, ASKS))
    bench.tell(diff)
    assert not bench.sync.has(diff)


@pytest.mark.parametrize(("limit", "anew"), [(0, True), (400, False)])
def test_a_whole_book_of_which_we_keep_a_part_begins_anew_before_the_market_leaves_that_part(limit: int, anew: bool) -> None:
    """Of 40 levels we keep the best ten, 91 to 100: at 75 % of the way down, at 93, the others are wanted. A venue that sends so
    many levels and no more keeps them around the market itself: nothing is asked for.
    """
    bench = Unnumbered()
    bench.sync = BookSync("x:y", "x", PipelineSettings(book_levels=10), bench._begin, bench.again)  # type: ignore[arg-type]
    whole = BookMessage(
        "Y", T0, 0, "snapshot", [(100.0 - i, 1.0) for i in range(40)], ASKS, UNNUMBERED, UNNUMBERED, limit=limit
    )
    bench.tell(whole)
    assert bench.sync.book.bid_floor == 91.0
    for i in range(6):
        assert kinds(bench.tell(bench.text("diff", [(100.0 - i, 0.0)], [], cut=0))) == ["BookUpdate", "Quote", "Metrics"]
    events = bench.tell(bench.text("diff", [(94.0, 0.0)], [], cut=0))
    assert kinds(events) == ["BookUpdate", "Quote", "Metrics", *(["resyncing", "resyncing"] if anew else [])]
    assert [a.instrument for a in bench.again] == (["x:y"] if anew else [])
    if anew:
        assert "edge" in events[3].reason
        assert kinds(bench.tell(whole)) == ["BookUpdate", "Quote", "Metrics", "synced"]


def test_texts_count_where_a_message_bears_no_checksum() -> None:
    """Kraken v1 proves no snapshot: its texts are part of what the first update proves."""
    bench = Unnumbered()
    bench.tell(bench.text("snapshot", BIDS, ASKS), bench.text("diff", [(99.0, 7.0)], []))
    bench.tell(bench.text("diff", [], [(101.0, 1.0)], ([(100.0, 1.0), (99.0, 7.0)], [(101.0, 1.0), (102.0, 4.0)])))
    assert bench.sync.state is State.SYNCED
    assert bench.sync.gaps == 0


def test_a_level_that_is_cut_is_gone() -> None:
    bench = Unnumbered()
    bench.tell(bench.text("snapshot", BIDS, ASKS, (BIDS, ASKS)))
    bench.tell(bench.text("diff", [(99.5, 3.0)], [], ([(100.0, 1.0), (99.5, 3.0)], ASKS)))  # 99.0 falls out
    bench.tell(bench.text("diff", [(99.5, 0.0), (98.0, 6.0)], [], ([(100.0, 1.0), (98.0, 6.0)], ASKS)))
    assert bench.sync.state is State.SYNCED
    assert bench.sync.book.bids == {100.0: 1.0, 98.0: 6.0}


@pytest.mark.parametrize("kind", ["snapshot", "diff"])
def test_a_wrong_checksum_is_a_gap_and_the_stream_is_begun_anew(kind: str) -> None:
    bench = Unnumbered()
    if kind == "diff":
        bench.tell(bench.text("snapshot", BIDS, ASKS, (BIDS, ASKS)))
    events = bench.tell(bench.text(kind, BIDS, ASKS, ([(1.0, 1.0)], [])))
    assert kinds(events) == ["BookUpdate", "gap", "resyncing"]
    assert events[0].flags & Flag.BOOK_UNPROVEN
    assert "checksum" in events[1].reason
    assert bench.sync.book.touch() == (None, None, None, None)
    assert [(a.instrument, a.attempt) for a in bench.again] == [("x:y", 0)]
    late = bench.tell(bench.text("diff", [(100.0, 1.0)], [], (BIDS, ASKS)))  # of the old stream
    assert kinds(late) == ["BookUpdate"]
    assert late[0].flags & Flag.BOOK_UNPROVEN
    events = bench.tell(bench.text("snapshot", BIDS, ASKS, (BIDS, ASKS)))
    assert kinds(events) == ["BookUpdate", "Quote", "Metrics", "synced"]
    assert bench.sync.state is State.SYNCED
    assert len(bench.again) == 1
