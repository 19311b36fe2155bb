"""Books in price bins: every size in the bin that exact arithmetic puts it in, and no bin that shows too little."""

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.market import columns
from tapeline.market.columns import binned, column, raw, step_of

OPEN = (False, False)


def book(tick_digits, mid, levels, seed):
    """Levels at whole ticks around `mid` (in ticks), best first."""
    rng = random.Random(seed)
    bid, ask = mid, mid + rng.randint(1, 5)
    bids, asks = [], []
    for _ in range(levels):
        bids.append((bid / 10**tick_digits, rng.randint(1, 10**6) / 1000))
        asks.append((ask / 10**tick_digits, rng.randint(1, 10**6) / 1000))
        bid, ask = bid - rng.randint(1, 9), ask + rng.randint(1, 9)
    return [level for level in bids if level[0] > 0], asks


def exact(bids, asks, step, rows, cut):
    """The same in fractions of the printed decimals, level by level."""
    width = Fraction(repr(step))
    best = (Fraction(repr(bids[0][0])) + Fraction(repr(asks[0][0]))) / 2
    edge = (2 * best / width + 1) // 2
    found, known = {}, []
    for levels, is_cut in ((bids, cut[0]), (asks, cut[1])):
        numbers = [Fraction(repr(price)) // width for price, _ in levels]
        left_out = numbers[-1] if is_cut and numbers[-1] != numbers[0] else None
        for number, (_, size) in zip(numbers, levels, strict=True):
            if number != left_out and edge - rows <= number < edge + rows:
                found[number] = found.get(number, 0) + Fraction(repr(size))
                known.append(number)
    return {int(n): float(s) for n, s in found.items()}, int(min(known)), int(max(known))


@given(
    st.integers(0, 8),
    st.integers(60, 10**7),
    st.integers(1, 60),
    st.sampled_from([0.01, 0.05, 0.5, 1.0, 2.5, 0.0003, 10.0, 1e-8]),
    st.integers(1, 50),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 9),
)
def test_every_size_is_in_its_bin(digits, mid, levels, step, rows, cut, seed):
    bids, asks = book(digits, mid, levels, seed)
    bins = binned(raw(bids, asks, cut), step_of(step), rows)
    wide = Fraction(repr(bids[0][0])) // Fraction(repr(step)), Fraction(repr(asks[0][0])) // Fraction(repr(step))
    if wide[1] - wide[0] >= rows:
        return  # the touch is farther off than the rows reach
    sizes, low, high = exact(bids, asks, step, rows, cut)
    got = {bins.low + k: size for k, size in enumerate(bins.sizes) if size}
    assert got == pytest.approx(sizes, rel=1e-7)
    assert len(bins.sizes) <= 2 * rows
    assert bins.low <= low <= high < bins.low + len(bins.sizes)


def test_sizes_print_as_decimals():
    bins = binned(raw([(100.0, 0.1), (99.9, 0.2)], [(100.1, 0.3)], OPEN), step_of(1.0), 10)
    assert bins == (99, [0.2, 0.4])


def test_the_bin_at_a_cut_end_is_left_out_but_never_the_one_of_the_touch():
    bids, asks = [(10.0, 1.0), (9.0, 2.0), (8.5, 3.0)], [(11.0, 1.0), (11.5, 2.0)]
    assert binned(raw(bids, asks, OPEN), step_of(1.0), 10) == (8, [3.0, 2.0, 1.0, 3.0])
    assert binned(raw(bids, asks, (True, True)), step_of(1.0), 10) == (9, [2.0, 1.0, 3.0])


def test_rows_bound_each_side_of_the_mid():
    bids, asks = [(100.0 - i, 1.0) for i in range(50)], [(101.0 + i, 2.0) for i in range(50)]
    bins = binned(raw(bids, asks, OPEN), step_of(1.0), 3)
    assert (bins.low, bins.sizes) == (98, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


def test_a_book_of_one_side_or_none():
    assert binned(raw([(5.0, 1.0)], [], OPEN), step_of(1.0), 3) == (5, [1.0])
    assert column("x", 5_000_999, raw([], [], OPEN), step_of(1.0), 3) == {
        "instrument": "x", "ts": 5000, "bid": None, "ask": None, "low": 0, "sizes": [], "proved": True,
    }  # fmt: skip
    assert column("x", 5_000_999, None, step_of(1.0), 3)["proved"] is False


def test_prices_keep_their_digits():
    book = raw([(0.00001234, 5.0)], [(0.00001235, 5.0)], OPEN)
    shown = column("x", 0, book, step_of(1e-8), 5)
    assert (shown["bid"], shown["ask"], shown["low"], shown["sizes"]) == (0.00001234, 0.00001235, 1234, [5.0, 5.0])
    assert columns.digits_of(np.array([100.0, 0.25]), 0) == 2


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf"), 1e-13])
def test_what_is_no_step(step):
    with pytest.raises(ValueError, match="width"):
        step_of(step)
