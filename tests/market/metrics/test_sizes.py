"""Sizes of trades: the promised error of the sketch, large trades by hand, profiles of windows and sessions against the whole."""

import random

import numpy as np
import pytest

from tapeline.clock import SECOND
from tapeline.events import Trade
from tapeline.market.metrics import volume_profile
from tapeline.market.metrics.sizes import BUCKETS, buckets_of, told, upper
from tapeline.market.profile import profile
from tapeline.testing import INSTRUMENT, T0, Trial, check_metric


@pytest.mark.parametrize("name", ["trade_size_20s", "large_trades_20s_1", "profile_20s_1bps", "profile_20s_25bps"])
def test_short_ones_equal_their_twins(name: str) -> None:
    check_metric(name, seeds=range(3))


def feed(trial: Trial, rows: list[tuple[float, float, float]], at: float) -> dict[str, float]:
    """`rows`: seconds, price, size."""
    for seconds, price, size in rows:
        ts = T0 + int(seconds * SECOND)
        trial.event(Trade(INSTRUMENT, ts, ts, 0, price, size, "buy", ""))
    found = trial.sample(T0 + int(at * SECOND))
    assert trial.expected(T0 + int(at * SECOND)) == pytest.approx(found, rel=1e-12)
    return found


def test_a_quantile_is_at_most_a_hundredth_off() -> None:
    dice, trial = np.random.default_rng(4), Trial("trade_size_1m")
    sizes = np.round(dice.lognormal(0, 3, 5000), 6) + 1e-6
    found = feed(trial, [(i / 100, 100.0, float(x)) for i, x in enumerate(sizes)], 50)
    for share in (10, 50, 90, 99):
        exact = np.quantile(sizes, share / 100, method="inverted_cdf")
        assert abs(found[f"trade_size_1m.p{share}"] - exact) / exact <= 0.0100001
    assert found["trade_size_1m.mean"] == pytest.approx(sizes.mean())


def test_buckets_hold_what_they_say_and_what_is_beyond_falls_into_the_last() -> None:
    sizes = np.array([1e-9, 1e-3, 0.5, 1.0, 7.0, 1e12])
    for size, bucket in zip(sizes, buckets_of(sizes).tolist(), strict=True):
        assert told(bucket) == pytest.approx(size, rel=0.0100001)
        assert upper(bucket - 1) <= size * (1 + 1e-12) <= upper(bucket) * (1 + 1e-11)
    assert buckets_of(np.array([0.0, 1e-30, 1e30, np.inf])).tolist() == [0, 0, BUCKETS - 1, BUCKETS - 1]


def test_large_trades_by_hand() -> None:
    rows = [(i, 100.0 + i, 1.0) for i in range(9)]
    found = feed(Trial("large_trades_1m"), [*rows, (20, 50.0, 30.0), (21, 51.0, 10.5), (22, 52.0, 9.0)], 30)
    assert found.pop("large_trades_1m.threshold") == pytest.approx(10, rel=0.03)
    assert found == {
        "large_trades_1m.count": 2.0,
        "large_trades_1m.volume": 40.5,
        "large_trades_1m.share": 40.5 / 58.5,
        "large_trades_1m.last_size": 10.5,
        "large_trades_1m.last_price": 51.0,
    }


def test_without_large_ones_there_is_no_last_one() -> None:
    found = feed(Trial("large_trades_1m"), [(1, 100.0, 1.0)], 2)
    assert found.keys() == {f"large_trades_1m.{part}" for part in ("threshold", "count", "volume", "share")}


def test_trades_of_no_size_are_no_large_ones() -> None:
    """As of some venues' indices and currencies."""
    trial = Trial("large_trades_1m")
    assert feed(trial, [(1, 100.0, 0.0)], 2) == {}
    assert feed(trial, [(3, 100.0, 2.0)], 4)["large_trades_1m.volume"] == 2.0


def test_a_finer_price_of_a_trade_too_late_for_the_window_moves_the_middle_of_a_bin() -> None:
    day, trial = 86_400, Trial("profile_10s_1bps", "profile_session_1bps")
    feed(trial, [(day + 1, 86_501.0, 1.0), (day + 2, 86_503.0, 1.0)], day + 3)
    trial.event(Trade(INSTRUMENT, T0 + (day - 10) * SECOND, T0 + (day + 3) * SECOND, 0, 100.25, 5.0, "buy", ""))
    found = trial.sample(T0 + (day + 4) * SECOND)
    assert trial.expected(T0 + (day + 4) * SECOND) == found
    assert trial.sample(T0 + 2 * day * SECOND) == {}, "a new session, and nothing in it yet"


def walk(seed: int, n: int) -> list[tuple[float, float, float]]:
    dice, price = random.Random(seed), 60_000
    rows = []
    for i in range(n):
        price += dice.randint(-40, 40)
        rows.append((i / 10, price / 10, dice.randint(1, 900) / 1000))
    return rows


def test_a_profile_is_that_of_its_trades() -> None:
    rows, trial = walk(1, 900), Trial("profile_1m_1bps", "profile_session_2bps")
    found = feed(trial, rows, 90)
    inside = [row for row in rows if row[0] > 30]
    for name, some, bps in (("profile_1m_1bps", inside, 1.0), ("profile_session_2bps", rows, 2.0)):
        whole = profile([p for _, p, _ in some], [x for _, _, x in some], ["buy"] * len(some), bps=bps)
        assert [found[f"{name}.{part}"] for part in ("poc", "val", "vah")] == [whole.poc, whole.val, whole.vah]


def test_too_many_prices_of_a_session_are_taken_coarser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_profile, "MOST_LEVELS", 50)
    rows, trial = walk(2, 900), Trial("profile_session_25bps")
    found = feed(trial, rows, 90)
    whole = profile([p for _, p, _ in rows], [x for _, _, x in rows], ["buy"] * len(rows), bps=25)
    assert found["profile_session_25bps.poc"] == whole.poc
    assert len(trial.analytics.metrics[0].levels) <= 50  # type: ignore[attr-defined]
