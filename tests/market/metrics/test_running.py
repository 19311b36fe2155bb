"""Running sums: short windows keep their digits however long the feed runs, and rows that a late one moves are summed anew."""

import pickle
import random
from fractions import Fraction

import numpy as np

from tapeline.market.metrics.base import Floats
from tapeline.market.metrics.running import Running
from tapeline.market.metrics.store import Trades


def put(trades: Trades, ts: list[int], price: list[float]) -> int:
    """The first place that changed."""
    n = len(ts)
    places = trades.add(np.array(ts, np.int64), np.array(price), np.ones(n), np.zeros(n))
    return int(places.min()) if n else len(trades)


def terms(trades: Trades, first: int) -> Floats:
    return np.stack([trades.price[first:], np.sqrt(trades.price[first:])])


def test_a_short_window_keeps_its_digits_after_large_sums() -> None:
    dice, trades, running = random.Random(1), Trades(), Running(2)
    large = [dice.random() * 1e9 for _ in range(5000)]
    small = [dice.random() * 1e-6 for _ in range(10)]
    for i, price in enumerate([*large, *small]):
        running.follow(trades, put(trades, [i], [price]), lambda k: terms(trades, k))
    exact = float(sum(map(Fraction, small)))
    plain = float(np.cumsum(trades.price)[-1] - np.cumsum(trades.price)[-11])
    found = running.sum(len(trades) - 10, len(trades))[0]
    assert abs(found - exact) / exact < 1e-12 < 1e-3 < abs(plain - exact) / exact


def test_any_run_of_rows_with_late_ones_forgotten_ones_and_put_away() -> None:
    dice, trades, running = random.Random(2), Trades(), Running(2)
    now = 0
    for step in range(400):
        ts = [now + dice.randint(-30, 30) for _ in range(dice.randint(0, 12))]
        first = put(trades, ts, [dice.random() for _ in ts])
        running.follow(trades, first, lambda k: terms(trades, k))
        a = dice.randint(0, len(trades))
        b = dice.randint(a, len(trades))
        assert np.allclose(running.sum(a, b), terms(trades, 0)[:, a:b].sum(axis=1), rtol=1e-13, atol=1e-15)
        trades.forget(now - 200)
        now += dice.choice((5, 5, 5, 500))
        if step % 7 == 0:
            running = pickle.loads(pickle.dumps(running))


def test_one_that_begins_late_sums_up_what_is_there() -> None:
    trades, running = Trades(), Running(2)
    put(trades, list(range(1000)), [1.0] * 1000)
    trades.forget(300)
    running.follow(trades, put(trades, [1000], [5.0]), lambda k: terms(trades, k))
    assert running.sum(0, len(trades))[0] == 700 + 5.0
