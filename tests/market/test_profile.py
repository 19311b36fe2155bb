"""The volume profile: the published example of the value area, ties, bins, and that order does not matter."""

import random

import pytest

from tapeline.market.profile import profile, step_for, value_area

# The worked example of the 70 % value area by volume, as reprinted in the archive of AmiBroker's users
# (purebytes.com/archives/amibroker/2007/msg07856.html): the volumes that its text names, and farther out so much that 70 % of the
# total are 388, as it says. Its answer: 105 to 108, which hold 390.
EXAMPLE = {102: 14, 103: 30, 104: 40, 105: 70, 106: 150, 107: 90, 108: 80, 109: 50, 110: 30}


def test_the_published_example() -> None:
    assert round(0.7 * sum(EXAMPLE.values())) == 388
    poc, low, high = value_area(EXAMPLE)
    assert (poc, low, high) == (106, 105, 108)
    assert sum(EXAMPLE[price] for price in range(low, high + 1)) == 390


def test_the_published_example_by_trades() -> None:
    rows = [(float(price), volume / 2) for price, volume in EXAMPLE.items() for _ in range(2)]
    random.Random(1).shuffle(rows)
    found = profile([p for p, _ in rows], [v for _, v in rows], ["buy"] * len(rows), step=1.0)
    assert (found.poc, found.val, found.vah, found.step, found.volume) == (106.0, 105.0, 108.0, 1.0, 554.0)
    assert [(b.low, b.high, b.volume, b.buy_volume, b.sell_volume) for b in found.bins][4] == (106.0, 106.0, 150.0, 150.0, 0.0)


@pytest.mark.parametrize(
    ("bins", "wanted"),
    [
        ({5: 1}, (5, 5, 5)),
        ({1: 3, 2: 1, 3: 3, 4: 3}, (3, 2, 4)),  # 3 is nearer to the middle of 1 to 4 than 1 and 4
        ({1: 5, 2: 1, 3: 5}, (1, 1, 3)),  # equally near: the lower
        ({1: 1, 2: 5, 3: 1}, (2, 2, 2)),
        ({1: 2, 2: 5, 3: 2, 4: 1}, (2, 2, 3)),  # equal neighbours: the upper
        ({1: 4, 9: 6}, (9, 1, 9)),  # empty prices between are passed over
    ],
)
def test_ties_and_gaps(bins: dict[int, int], wanted: tuple[int, int, int]) -> None:
    assert value_area(bins) == wanted


@pytest.mark.parametrize(
    ("price", "bps", "ticks", "step"),
    [(60_000.0, 1, 10, 50), (60_000.0, 2, 10, 100), (100.0, 1, 100, 1), (0.00001234, 1, 10**8, 1), (1e6, 25, 1, 2000)],
)
def test_bins_are_one_two_or_five_times_a_power_of_ten(price: float, bps: float, ticks: int, step: int) -> None:
    assert step_for(price, bps, ticks) == step


def test_a_bin_of_several_ticks_ends_at_its_last_tick() -> None:
    found = profile([60_000.1, 60_004.9, 60_005.0], [1.0, 1.0, 0.5], ["buy", "sell", "unknown"])
    assert found.step == 5.0
    assert [(b.low, b.high, b.volume, b.buy_volume, b.sell_volume) for b in found.bins] == [
        (60_000.0, 60_004.9, 2.0, 1.0, 1.0),
        (60_005.0, 60_009.9, 0.5, 0.0, 0.0),
    ]
    assert (found.poc, found.val, found.vah) == (60_002.45, 60_000.0, 60_004.9)


def test_of_nothing() -> None:
    assert profile([], [], []).poc is None
