"""Every trade in the bin that exact arithmetic puts it in."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.market.columns import step_of
from tapeline.market.footprint import MOST_CELLS, footprint

TRADES = st.lists(
    st.tuples(st.integers(1, 5_000), st.integers(1, 10**6), st.sampled_from(["buy", "sell", "unknown"])),
    min_size=1,
    max_size=60,
)


def made(trades, digits, step):
    price = np.array([p / 10**digits for p, _, _ in trades])
    size = np.array([s / 1000 for _, s, _ in trades])
    side = np.array([d for _, _, d in trades])
    return footprint(price, size, side == "buy", side == "sell", step_of(step))


@given(TRADES, st.integers(0, 6), st.sampled_from([0.01, 0.5, 2.5, 10.0, 0.0003]))
def test_every_trade_is_in_its_bin(trades, digits, step):
    width = Fraction(repr(step))
    bins = [Fraction(p, 10**digits) // width for p, _, _ in trades]
    found = made(trades, digits, step)
    if max(bins) - min(bins) + 1 > MOST_CELLS:
        assert found is None
        return
    assert found.low == min(bins)
    for sizes, side in ((found.buys, "buy"), (found.sells, "sell")):
        exact = [0.0] * int(max(bins) - min(bins) + 1)
        for at, (_, size, of) in zip(bins, trades, strict=True):
            exact[int(at - min(bins))] += size / 1000 if of == side else 0
        assert sizes == pytest.approx(exact, rel=1e-7)
    assert found.volume == pytest.approx(sum(s for _, s, _ in trades) / 1000)


def test_no_trades():
    nothing = np.empty(0)
    assert footprint(nothing, nothing, nothing > 0, nothing > 0, step_of(1.0)) == (0, [], [], 0.0)
