"""Metrics of the book against a second book of plain dicts that is walked level by level, and against figures worked out by hand."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.clock import SECOND
from tapeline.events import BookUpdate
from tapeline.market.book import Book
from tapeline.market.metrics.ladder import Ladder
from tapeline.testing import INSTRUMENT, LAG, T0, Trial

Levels = list[tuple[float, float]]
NAMES = ("imbalance_5", "imbalance_10bps", "depth_10bps", "depth_3", "cost_100k", "cost_2000", "microprice_2", "book_slope_4")


class PlainBook:
    def __init__(self) -> None:
        self.sides: tuple[dict[float, float], dict[float, float]] = {}, {}

    def apply(self, *changes: Levels) -> None:
        for side, levels in zip(self.sides, changes, strict=True):
            side.update(levels)
            for price in [p for p, size in side.items() if not size]:
                del side[price]

    def levels(self) -> tuple[Levels, Levels]:
        return sorted(self.sides[0].items(), reverse=True), sorted(self.sides[1].items())


def cost(levels: Levels, mid: float, notional: float, side: int) -> float | None:
    left, got = notional, 0.0
    for price, size in levels:
        taken = min(left, price * size)
        left, got = left - taken, got + taken / price
        if left <= 1e-9:
            return 10_000 * side * (notional / got - mid) / mid
    return None


def slope(levels: Levels, mid: float, n: int) -> float:
    above, below, total = 0.0, 0.0, 0.0
    for price, size in levels[:n]:
        total += size
        far = abs(price - mid) / mid * 10_000
        above, below = above + far * total, below + far**2
    return above / below


def expected(book: PlainBook) -> dict[str, float | None]:
    bids, asks = book.levels()
    if not bids or not asks:
        return {}
    mid = (bids[0][0] + asks[0][0]) / 2
    near = [sum(s for p, s in side if abs(p - mid) <= mid * 0.001 * (1 + 1e-13)) for side in (bids, asks)]
    five, two, three = ([sum(s for _, s in side[:n]) for side in (bids, asks)] for n in (5, 2, 3))
    return {
        "imbalance_5": (five[0] - five[1]) / sum(five),
        "imbalance_10bps": (near[0] - near[1]) / sum(near) if sum(near) else None,
        "depth_10bps.bid": near[0],
        "depth_10bps.ask": near[1],
        "depth_3.bid": three[0],
        "depth_3.ask": three[1],
        "cost_100k.buy": cost(asks, mid, 100_000, 1),
        "cost_100k.sell": cost(bids, mid, 100_000, -1),
        "cost_2000.buy": cost(asks, mid, 2000, 1),
        "cost_2000.sell": cost(bids, mid, 2000, -1),
        "microprice_2": (bids[0][0] * two[1] + asks[0][0] * two[0]) / sum(two),
        "book_slope_4.bid": slope(bids, mid, 4),
        "book_slope_4.ask": slope(asks, mid, 4),
    }


def update(at: int, bids: Levels, asks: Levels, *, snapshot: bool = False) -> BookUpdate:
    return BookUpdate(INSTRUMENT, T0 + at, T0 + at + LAG, 0, bids, asks, snapshot, None, None)


@pytest.mark.parametrize("seed", range(6))
def test_against_a_plain_book(seed: int) -> None:
    """Hundreds of levels come and go about a middle that walks; many die and come back."""
    dice = Random(seed)
    trial, plain, mid, spread = Trial(*NAMES), PlainBook(), 20_000, dice.choice((1, 2, 40))

    def some(n: int) -> tuple[Levels, Levels]:
        sizes = (0.0, 0.5, 1.25, 40.0)
        bids = {(mid - spread - dice.randint(0, 400)) / 10: dice.choice(sizes) for _ in range(n)}
        asks = {(mid + spread + dice.randint(0, 400)) / 10: dice.choice(sizes) for _ in range(n)}
        bids |= {p: 0.0 for p in plain.sides[0] if p * 10 > mid - spread}
        asks |= {p: 0.0 for p in plain.sides[1] if p * 10 < mid + spread}
        return list(bids.items()), list(asks.items())

    changed = some(dice.choice((4, 300)))
    for step in range(60):
        trial.event(update(step * SECOND, *changed, snapshot=not step))
        plain.apply(*changed)
        found = trial.sample(T0 + step * SECOND + LAG)
        wanted = {name: value for name, value in expected(plain).items() if value is not None}
        assert found == pytest.approx(wanted, rel=1e-9), step
        mid += dice.randint(-30, 30)
        changed = some(12)


def one(name: str, bids: Levels, asks: Levels, **more: float) -> dict[str, float]:
    trial = Trial(name, **more)
    trial.event(update(0, bids, asks, snapshot=True))
    return trial.sample(T0 + LAG)


BIDS, ASKS = [(99.0, 1.0), (98.0, 2.0)], [(101.0, 3.0), (102.0, 5.0)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("imbalance_1", {"imbalance_1": -0.5}),
        ("imbalance_2", {"imbalance_2": -5 / 11}),
        ("imbalance_9", {"imbalance_9": -5 / 11}),
        ("imbalance_50bps", {}),  # nothing rests within half a per cent
        ("depth_100bps", {"depth_100bps.bid": 1.0, "depth_100bps.ask": 3.0}),
        ("depth_10bps", {"depth_10bps.bid": 0.0, "depth_10bps.ask": 0.0}),
        ("microprice", {"microprice": (99 * 3 + 101 * 1) / 4}),
        ("cost_101", {"cost_101.buy": 100.0, "cost_101.sell": 10_000 * (1 - 101 / (1 + 2 / 98) / 100)}),
        ("cost_295", {"cost_295.buy": 100.0, "cost_295.sell": 10_000 * (1 - 295 / 3 / 100)}),
        ("cost_813", {"cost_813.buy": 10_000 * (813 / 8 / 100 - 1)}),  # the bids are worth 295
        ("cost_814", {}),
    ],
)
def test_by_hand(name: str, wanted: dict[str, float]) -> None:
    assert one(name, BIDS, ASKS) == pytest.approx(wanted)


def test_contracts_of_an_inverse_instrument() -> None:
    """A contract is worth 100: 301 of them at 100 and 200 make 100 · 3 / 100 + 1 / 200 of the base asset for the last one."""
    found = one("cost_400", [(50.0, 10.0)], [(100.0, 3.0), (200.0, 9.0)], contract_value=100.0)
    assert found["cost_400.buy"] == pytest.approx(10_000 * (400 / (3 + 0.5) / 75 - 1))


def test_no_book_no_figures() -> None:
    trial = Trial(*NAMES)
    trial.event(update(0, BIDS, ASKS, snapshot=True))
    assert trial.sample(T0 + LAG)
    trial.lose_book(T0 + SECOND)
    assert trial.sample(T0 + 2 * SECOND) == {}
    trial.event(update(3 * SECOND, BIDS, [], snapshot=True))
    assert trial.sample(T0 + 3 * SECOND + LAG) == {}, "one-sided"


SIDE = st.lists(
    st.tuples(st.integers(1, 400), st.sampled_from([0.25, 1.0, 3.0])), min_size=1, max_size=300, unique_by=lambda x: x[0]
)


@settings(max_examples=150)
@given(SIDE, SIDE, st.integers(0, 310), st.integers(0, 310), st.integers(1, 400), st.integers(1, 310))
def test_what_lies_past_the_known_range_is_not_known(
    bids: Levels, asks: Levels, limit: int, dead: int, far: int, levels: int
) -> None:
    """A snapshot that was cut at `limit` levels; the best `dead` levels of each side are gone since."""
    below, above = [(1000.0 - p, s) for p, s in bids], [(1000.0 + p, s) for p, s in asks]
    book = Book()
    book.replace(below, above, limit)
    sides = sorted(below, reverse=True), sorted(above)
    book.apply([(p, 0.0) for p, _ in sides[0][:dead]], [(p, 0.0) for p, _ in sides[1][:dead]])
    for name, sign, side in (("bids", -1, sides[0]), ("asks", 1, sides[1])):
        ladder = Ladder(book, name)  # type: ignore[arg-type]
        cut = 0 < limit <= len(side)
        left = side[dead:]
        assert ladder.within(1000.0 + sign * far) == (
            None if cut and far > abs(side[-1][0] - 1000) else sum(s for p, s in left if abs(p - 1000) <= far)
        )
        assert ladder.best(levels) == (None if cut and len(left) < levels else sum(s for _, s in left[:levels]))


def read(book: Book, depth: int) -> Sequence[tuple[float, float]]:
    prices, sizes, _ = book.top("bids", depth)
    return list(zip(prices, sizes, strict=True))


def test_a_deep_book_is_read_no_deeper_than_asked() -> None:
    book = Book()
    book.replace([(float(p), 1.0) for p in range(1, 9000)], [(9001.0, 1.0)])
    assert read(book, 3) == [(8999.0, 1.0), (8998.0, 1.0), (8997.0, 1.0)]
    assert Ladder(book, "bids").best(4096) == 4096.0
    assert Ladder(book, "bids").best(4097) is None, "deeper than anybody may read at each sample"
    book.apply([(8999.0, 0.0)], [])
    assert read(book, 2)[0] == (8998.0, 1.0)
