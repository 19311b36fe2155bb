"""The book against a naive one, the range it may speak of, and its metrics against figures worked out by hand."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.market.book import Book
from tapeline.market.metrics.per_update import book_metrics

Levels = list[tuple[float, float]]
PRICES = st.integers(1, 60).map(lambda n: n / 10)
SOME = [0.0, 0.0, 0.5, 1.0, 2.25, 7.0]
SIZES = st.sampled_from(SOME)
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=12)


def applied(side: dict[float, float], levels: Levels) -> None:
    for price, size in levels:
        if size:
            side[price] = size
        else:
            side.pop(price, None)


def best(side: dict[float, float], *, bids: bool) -> Levels:
    return [(p, side[p]) for p in sorted(side, reverse=bids)]


@settings(max_examples=100)
@given(LEVELS, LEVELS, st.lists(st.tuples(LEVELS, LEVELS), max_size=25), st.integers(1, 12))
def test_any_sequence_of_updates(bids: Levels, asks: Levels, updates: list[tuple[Levels, Levels]], levels: int) -> None:
    """Against two dicts that are sorted when asked."""
    book, sides = Book(), ({}, {})
    book.replace(bids, asks)
    applied(sides[0], [level for level in bids if level[1]])
    applied(sides[1], [level for level in asks if level[1]])
    for changed in [([], []), *updates]:
        book.apply(*changed)
        for side, change in zip(sides, changed, strict=True):
            applied(side, change)
        wanted = best(sides[0], bids=True), best(sides[1], bids=False)
        assert book.depth(1000) == wanted
        assert book.depth(levels) == tuple(side[:levels] for side in wanted)
        assert book.touch() == tuple(v for side in wanted for v in (side[0] if side else (None, None)))
        assert book.crossed == bool(wanted[0] and wanted[1] and wanted[0][0][0] >= wanted[1][0][0])
        assert (book.bids, book.asks) == sides
        for n in (1, 5):
            assert book.sizes(n) == tuple(sum(s for _, s in side[:n]) for side in wanted)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("most", [10, 200, 2000])
def test_a_large_book_that_forgets_the_farthest(seed: int, most: int) -> None:
    """Thousands of levels come and go about a touch that walks. What is told is right, and bounded; the rest is not told."""
    random = Random(seed)
    book, sides, middle, forgot = Book(most), ({}, {}), 50_000, False
    for step in range(500):
        middle += random.randint(-20, 20)
        changed = [
            [((middle - sign * random.randint(1, 4000)) / 10, random.choice(SOME)) for _ in range(random.randint(0, 20))]
            for sign in (1, -1)
        ]
        for side, change, other in zip(sides, changed, (-1, 1), strict=True):
            change += [(p, 0.0) for p in side if (p * 10 - middle) * other <= 0]  # what the market walked through is gone
            applied(side, change)
        book.apply(*changed)
        if step % 20:
            continue
        wanted, floor, ceiling = (best(sides[0], bids=True), best(sides[1], bids=False)), book.bid_floor, book.ask_ceiling
        forgot = forgot or floor is not None
        told = book.depth(10**6)
        assert len(book.bids) <= most + 1001 and len(told[0]) <= most
        assert told[0] == [lv for lv in wanted[0][:most] if floor is None or lv[0] >= floor]
        assert told[1] == [lv for lv in wanted[1][:most] if ceiling is None or lv[0] <= ceiling]
        for n, side in enumerate(told):  # past the known range nothing can be expected
            assert not side or book.touch()[2 * n : 2 * n + 2] == side[0]
            assert len(side) < 5 or book.sizes(5)[n] == sum(s for _, s in side[:5])
    assert forgot == (most < 2000)


def test_a_snapshot_cut_at_its_limit_knows_nothing_past_its_last_level() -> None:
    book = Book()
    book.replace([(10.0, 1.0), (9.0, 1.0)], [(11.0, 1.0), (12.0, 1.0)], limit=2)
    book.apply([(8.0, 5.0), (9.5, 2.0)], [(13.0, 5.0)])
    assert book.depth(10) == ([(10.0, 1.0), (9.5, 2.0), (9.0, 1.0)], [(11.0, 1.0), (12.0, 1.0)])


def test_a_side_that_was_not_full_was_not_cut() -> None:
    book = Book()
    book.replace([(10.0, 1.0), (9.0, 1.0)], [(11.0, 1.0)], limit=2)
    book.apply([], [(13.0, 5.0)])
    assert book.depth(10)[1] == [(11.0, 1.0), (13.0, 5.0)]


def test_the_touch_may_stand_past_the_range_and_depth_does_not_tell_it() -> None:
    """When the market moves there, every level near it changes, so the best one was told; which others are missing, nobody knows."""
    book = Book()
    book.replace([(10.0, 1.0), (9.0, 1.0)], [(11.0, 4.0)], limit=2)
    book.apply([(8.0, 5.0), (10.0, 0.0), (9.0, 0.0)], [])
    assert book.touch() == (8.0, 5.0, 11.0, 4.0)
    assert (book.bid_floor, book.ask_ceiling) == (9.0, None)
    assert book.depth(5) == ([], [(11.0, 4.0)])


def metrics(bids: Levels, asks: Levels, levels: int = 5):
    book = Book()
    book.replace(bids, asks)
    book.seq = 7
    return book_metrics(book, book.touch(), levels, "x:y", 1, 2, 3)


def test_metrics_by_hand() -> None:
    m = metrics([(99.0, 3.0), (98.0, 5.0), (97.0, 100.0)], [(101.0, 1.0), (102.0, 1.0)], levels=2)
    assert (m.instrument, m.ts_event, m.ts_recv, m.flags, m.seq) == ("x:y", 1, 2, 3, 7)
    assert (m.mid, m.spread, m.spread_bps) == (100.0, 2.0, 200.0)
    assert m.imbalance == (8 - 2) / (8 + 2)
    assert m.microprice == (99 * 1 + 101 * 3) / 4  # 100.5: few are offered, so the price leans up


def test_metrics_of_real_figures() -> None:
    """From the recorded session, in exact arithmetic; a float may miss by the last of its digits."""
    bid, bid_size, ask, ask_size = (Decimal(x) for x in ("61837.63", "3.78826", "61837.64", "1.6052"))
    m = metrics([(61837.63, 3.78826)], [(61837.64, 1.6052)])
    exact = {
        "mid": (bid + ask) / 2,
        "spread": ask - bid,
        "spread_bps": 10_000 * (ask - bid) / ((bid + ask) / 2),
        "imbalance": (bid_size - ask_size) / (bid_size + ask_size),
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
    }
    for name, value in exact.items():
        assert getattr(m, name) == pytest.approx(float(value), rel=1e-9), name


@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        ("61837.63", "61837.64"),
        ("0.00001233", "0.00001234"),
        ("0.1", "0.3"),
        ("99999.99", "100000"),
        ("1.1", "3.3"),
        ("7", "9000000"),
    ],
)
def test_the_spread_is_the_decimal_difference_to_the_last_digit(bid: str, ask: str) -> None:
    m = metrics([(float(bid), 1.0)], [(float(ask), 1.0)])
    assert m.spread == float(Decimal(ask) - Decimal(bid))


@pytest.mark.parametrize(("bids", "asks"), [([], []), ([(1.0, 1.0)], []), ([], [(1.0, 1.0)])])
def test_a_one_sided_book_has_no_metrics(bids: Levels, asks: Levels) -> None:
    m = metrics(bids, asks)
    assert {m.mid, m.spread, m.spread_bps, m.imbalance, m.microprice} == {None}


@settings(max_examples=200)
@given(LEVELS, LEVELS, st.lists(st.tuples(LEVELS, LEVELS, st.booleans()), max_size=25), st.integers(1, 12))
def test_a_book_that_is_cut_at_a_depth(
    bids: Levels, asks: Levels, updates: list[tuple[Levels, Levels, bool]], most: int
) -> None:
    """Against two dicts: each level in order, then the best so many. A level that fell out is gone, and comes back only when told.

    Now and then an update comes that nothing is cut after: a book can be either.
    """
    book, sides = Book(), ({}, {})
    book.replace(bids, asks, cut=most)
    applied(sides[0], [level for level in bids if level[1]])
    applied(sides[1], [level for level in asks if level[1]])
    for *changed, cut in updates:
        if cut:
            book.apply_cut(*changed, most)
        else:
            book.apply(*changed)
        for side, change, is_bids in zip(sides, changed, (True, False), strict=True):
            applied(side, change)
            if cut:
                kept = dict(best(side, bids=is_bids)[:most])
                side.clear()
                side.update(kept)
        wanted = best(sides[0], bids=True), best(sides[1], bids=False)
        assert (book.bids, book.asks) == sides
        assert book.touch() == tuple(v for side in wanted for v in (side[0] if side else (None, None)))
        assert book.prices(10) == tuple([p for p, _ in side[:10]] for side in wanted)
        assert book.crossed == bool(wanted[0] and wanted[1] and wanted[0][0][0] >= wanted[1][0][0])
        if cut:
            assert book.depth(1000) == wanted
            assert book.bid_floor == (wanted[0][-1][0] if len(wanted[0]) == most else None)
            assert book.ask_ceiling == (wanted[1][-1][0] if len(wanted[1]) == most else None)


def test_what_the_venue_takes_for_known_is_kept_past_the_most_levels() -> None:
    """The venue will not repeat levels that it has told: a book that forgot them would be wrong once the market is there."""
    bids = [(100.0 - i, 1.0) for i in range(40)]
    book = Book(10)
    book.replace(bids, [], cut=25)
    book.apply_cut([(100.0 - i, 0.0) for i in range(12)], [], 25)
    assert book.prices(10)[0] == [88.0 - i for i in range(10)]
    assert len(book.bids) == 13
    assert len(book.depth(1000)[0]) == 10


@pytest.mark.parametrize("order", [1, -1])
def test_a_snapshot_of_more_levels_than_are_kept(order: int) -> None:
    """Coinbase sends its whole book: the best levels stay, in whatever order they came, and the known range ends with the last."""
    bids = [(1000.0 - i, 1.0 + i) for i in range(900)][::order]
    asks = [(1001.0 + i, 2.0 + i) for i in range(900)][::order]
    book, plain = Book(100), Book(10_000)
    book.replace(bids, asks)
    plain.replace(bids, asks)
    many = Book(100)
    many.replace([(p - k * 1000, s) for k in range(3) for p, s in bids], [(p + k * 1000, s) for k in range(3) for p, s in asks])
    for one in (book, many):
        assert one.depth(10_000) == plain.depth(100)
        assert (one.bid_floor, one.ask_ceiling) == (901.0, 1100.0)
        assert one.touch() == plain.touch()


@pytest.mark.parametrize("seed", range(3))
def test_updates_of_few_levels_and_of_thousands(seed: int) -> None:
    """One that brings thousands of new levels is put in order in one go."""
    random = Random(seed)
    book, sides = Book(100_000), ({}, {})
    book.replace([], [])
    for _ in range(40):
        many = random.choice([3, 299, 301, 5000])
        changed = [
            [(50_000 - sign * random.randint(1, 10**6) / 100, random.choice(SOME)) for _ in range(many)] for sign in (1, -1)
        ]
        book.apply(*changed)
        for side, change in zip(sides, changed, strict=True):
            applied(side, change)
        assert book.depth(10**6) == (best(sides[0], bids=True), best(sides[1], bids=False))


def test_dead_levels_of_a_huge_snapshot_are_no_levels() -> None:
    book = Book(100)
    book.replace([(5000.0 - i, float(i % 2)) for i in range(4000)], [(6000.0, 1.0)])
    assert book.depth(3)[0] == [(4999.0, 1.0), (4997.0, 1.0), (4995.0, 1.0)]
    assert len(book.depth(1000)[0]) == 100
