"""The book where a span begins, against one that is folded from the start; and none where it was not whole."""

from pathlib import Path

import pytest

from tapeline.engine.lines import decode_lines
from tapeline.events import BookUpdate, Event, Flag, Quote
from tapeline.lake import export_tardis
from tapeline.lake.opening import opening, updates
from tapeline.market.book import Book
from tapeline.venues.registry import venue_class
from tests.engine.feeds import SECOND, T0
from tests.engine.foreign_files import lines, messages
from tests.lake.exports import BTC, SESSION, events_of, lake_of, market, over_midnight


def folded(events: list[Event], before: int) -> tuple[dict[float, float], dict[float, float]]:
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for e in events:
        if isinstance(e, BookUpdate) and e.ts_event < before and (e.snapshot or not e.flags & Flag.BOOK_UNPROVEN):
            if e.snapshot:
                bids.clear()
                asks.clear()
            for side, levels in ((bids, e.bids), (asks, e.asks)):
                side.update(levels)
    return {p: s for p, s in bids.items() if s}, {p: s for p, s in asks.items() if s}


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
def test_it_is_the_book_of_all_updates_before(tmp_path: Path, place: float) -> None:
    """The session runs over midnight, and its only snapshot is of the day before."""
    events = lake_of(tmp_path, over_midnight())
    times = [e.ts_event for e in events if isinstance(e, BookUpdate)]
    at = times[int(len(times) * place)]
    found = opening(tmp_path, BTC, at)
    assert found is not None and found.snapshot
    assert (dict(found.bids), dict(found.asks)) == folded(events, at)
    assert found.bids == sorted(found.bids, reverse=True) and found.ts_event == max(t for t in times if t < at)
    (count, first), *rest = updates(tmp_path, BTC, at, None)
    assert count == 0 and first[0][1] == found and all(u.ts_event >= at for _, part in rest for _, u in part)


def test_there_is_none_before_the_first_snapshot_after_a_gap_and_in_a_new_session(tmp_path: Path) -> None:
    messages = market()
    events = lake_of(tmp_path, events_of([*messages[:300], *messages[304:]]))
    first = next(e for e in events if isinstance(e, BookUpdate) and e.snapshot)
    assert opening(tmp_path, BTC, first.ts_event) is None
    assert opening(tmp_path, BTC, first.ts_event + SECOND) is not None
    last = events[-1].ts_event
    assert opening(tmp_path, BTC, last) is None
    assert opening(tmp_path, "binance:ETH-USDT", last) is None
    assert [e.flags & Flag.BOOK_UNPROVEN for e in events if isinstance(e, Quote)].count(0) > 100
    later = events_of(market(30, start=last + SECOND, first=900)[:3])
    lake_of(tmp_path, later, f"{SESSION}-2", 1)
    assert opening(tmp_path, BTC, last + 2 * SECOND) is None


def test_an_export_from_the_middle_begins_with_it(tmp_path: Path) -> None:
    events = lake_of(tmp_path, events_of(market()))
    times = [e.ts_event for e in events if isinstance(e, BookUpdate)]
    at = times[len(times) // 2]
    for name, start in (("whole", None), ("part", at)):
        export_tardis.export(tmp_path, "book_snapshot_5", BTC, start, None, str(tmp_path / f"{name}.csv"))
    whole, part = ((tmp_path / f"{name}.csv").read_text().splitlines() for name in ("whole", "part"))
    assert part[0] == whole[0] and part[-1] == whole[-1]
    assert [line.split(",", 4)[4] for line in part[1:]] == [line.split(",", 4)[4] for line in whole[-len(part) + 1 :]]


def test_levels_that_a_venue_forgets_are_said_to_go(tmp_path: Path) -> None:
    """A book that is cut to two levels a side, and whose venue is silent of those that are pushed out."""
    flags = int(Flag.SNAPSHOT)
    lake_of(
        tmp_path,
        [
            BookUpdate(BTC, T0, T0, flags, [(3.0, 1.0), (2.0, 1.0)], [(5.0, 1.0), (6.0, 1.0)], True, None, None, depth=2),
            BookUpdate(BTC, T0 + 1, T0 + 1, 0, [(4.0, 1.0)], [(7.0, 1.0)], False, None, None),
            BookUpdate(BTC, T0 + 2, T0 + 2, 0, [(4.0, 0.0), (1.0, 2.0)], [(4.5, 1.0)], False, None, None),
        ],
        parts=1,
    )
    (_, found), *_ = updates(tmp_path, BTC, None, None)
    assert [(u.bids, u.asks) for _, u in found[1:]] == [
        ([(4.0, 1.0), (2.0, 0.0)], [(7.0, 1.0), (7.0, 0.0)]),
        ([(4.0, 0.0), (1.0, 2.0)], [(4.5, 1.0), (6.0, 0.0)]),
    ]


def test_krakens_recorded_books(shared_frames: Path, tmp_path: Path) -> None:
    made = decode_lines(venue_class("kraken")(), lines(messages(shared_frames, "kraken")).splitlines(), "kraken")
    events = lake_of(tmp_path, list(made))
    depths = {e.instrument: e.depth for e in events if isinstance(e, BookUpdate) and e.snapshot and e.depth}
    for name, depth in depths.items():
        plain, touches = Book(), []
        for _, part in updates(tmp_path, name, None, None):
            for _, u in part:
                (plain.replace if u.snapshot else plain.apply)(u.bids, u.asks)
                assert max(len(plain.bids), len(plain.asks)) <= depth
                touches.append(plain.touch())
        own = [e for e in events if isinstance(e, Quote) and e.origin == "book" and e.instrument == name]
        assert touches == [(q.bid, q.bid_size, q.ask, q.ask_size) for q in own]
    assert len(depths) == 10
