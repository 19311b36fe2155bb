"""Metrics of the touch and of executions against loops over plain lists, and against figures worked out by hand."""

from bisect import bisect_right
from random import Random
from typing import Any

import pytest

from tapeline.clock import MILLI, SECOND
from tapeline.events import BookUpdate, Ticker, Trade
from tapeline.testing import INSTRUMENT, LAG, T0, Trial

Touch = tuple[float, float, float, float]


def touch(at: int, bid: float, bid_size: float, ask: float, ask_size: float) -> BookUpdate:
    return BookUpdate(INSTRUMENT, T0 + at, T0 + at + LAG, 0, [(bid, bid_size)], [(ask, ask_size)], True, None, None)


def trade(at: int, price: float, size: float, side: Any, *, late: int = 0) -> Trade:
    return Trade(INSTRUMENT, T0 + at, T0 + at + LAG + late, 0, price, size, side, str(at))


def at(seconds: float) -> int:
    return T0 + int(seconds * SECOND) + LAG


def test_the_spread_is_weighted_by_time() -> None:
    """2 for 1 s, 4 for 2 s, not known for 3 s, 1 for 4 s; then the window of 6 s leaves the first ones behind."""
    trial = Trial("spread_10s", "spread_6s", "spread_bps_10s", "quote_rate_10s")
    trial.event(touch(0, 99, 1, 101, 1))
    trial.event(touch(1 * SECOND, 98, 1, 102, 1))
    trial.lose_book(at(3))
    trial.event(touch(6 * SECOND, 99.5, 1, 100.5, 1))
    found = trial.sample(at(10))
    assert found["spread_10s"] == pytest.approx((2 * 1 + 4 * 2 + 1 * 4) / 7)
    assert found["spread_bps_10s"] == pytest.approx(100 * (2 * 1 + 4 * 2 + 1 * 4) / 7)
    assert found["spread_6s"] == 1.0, "of (4 s, 10 s] the touch is known from 6 s on"
    assert found["quote_rate_10s"] == 0.2, "of three, the first came at the very beginning of the window, which is open"
    assert trial.analytics.incomplete == ["spread_10s", "spread_6s", "spread_bps_10s", "quote_rate_10s"]
    assert trial.sample(at(13))["spread_6s"] == 1.0
    assert "spread_6s" not in trial.analytics.incomplete


def test_order_flow_by_hand() -> None:
    """Equation (1) of Cont, Kukanov and Stoikov: each way in which a touch can change."""
    steps: list[tuple[Touch, float]] = [
        ((99, 5, 101, 5), 0.0),
        ((99, 8, 101, 5), 3.0),  # 3 joined the bid
        ((99, 8, 101, 1), 4.0),  # 4 left the ask
        ((100, 2, 101, 1), 2.0),  # a better bid of 2
        ((100, 2, 102, 7), 1.0),  # the ask of 1 is gone
        ((98, 9, 102, 7), -2.0),  # the bid of 2 is gone
        ((98, 9, 101, 6), -6.0),  # a better ask of 6
    ]
    trial, total = Trial("ofi_1m"), 0.0
    for second, (state, flow) in enumerate(steps):
        trial.event(touch(second * SECOND, *state))
        total += flow
        assert trial.sample(at(second + 0.5))["ofi_1m"] == pytest.approx(total)


def test_executions_by_hand() -> None:
    """A buyer of 1 at the ask of 99/101, the mid 0.5 higher 5 s later; a seller of 3 at 99.5, the mid unchanged by then."""
    trial = Trial("effective_spread_1m", "realised_spread_1m_5s", "price_impact_1m_5s")
    trial.event(touch(0, 99, 1, 101, 1))
    trial.event(trade(1 * SECOND, 101.0, 1.0, "buy"))
    trial.event(touch(1 * SECOND, 99.5, 1, 101.5, 1))  # of the same instant: the trade did that
    assert trial.sample(at(2)) == pytest.approx({"effective_spread_1m": 200.0})
    trial.event(trade(2 * SECOND, 99.5, 3.0, "sell"))
    trial.event(trade(2 * SECOND, 1.0, 50.0, "unknown"))
    found = trial.sample(at(7))
    sell = 10_000 * 2 * 1.0 / 100.5
    assert found == pytest.approx(
        {
            "effective_spread_1m": (200 + 3 * sell) / 4,
            "realised_spread_1m_5s": (10_000 * 2 * 0.5 / 100 + 3 * sell) / 4,
            "price_impact_1m_5s": 100 / 4,
        }
    )


def plain(trades: list[Trade], touches: list[tuple[int, float]], now: int, window: int, horizon: int) -> list[float | None]:
    """Effective, realised, impact; a mid for each touch, None of a hole, with its time."""
    times = [t for t, _ in touches]

    def mid(ts: int) -> float | None:
        known = bisect_right(times, ts)
        return touches[known - 1][1] if known else None

    sums = [[0.0, 0.0] for _ in range(3)]
    for t in trades:
        sign = {"buy": 1, "sell": -1, "unknown": 0}[t.side]
        before = mid(t.ts_event - 1)
        if not sign or before is None:
            continue
        after = mid(t.ts_event + horizon)
        worths = [t.price - before, None if after is None else t.price - after, None if after is None else after - before]
        for n, (worth, due) in enumerate(zip(worths, (0, horizon, horizon), strict=True)):
            if worth is not None and now - window < t.ts_event + due <= now:
                sums[n][0] += t.size * 20_000 * sign * worth / before
                sums[n][1] += t.size
    return [a / b if b else None for a, b in sums]


@pytest.mark.parametrize("seed", range(4))
def test_executions_against_a_loop(seed: int) -> None:
    """Touches that come after trades they precede, late trades, quiet minutes."""
    dice = Random(seed)
    names = ("effective_spread_20s", "realised_spread_20s_3s", "price_impact_20s_3s")
    trial, now, due, mid = Trial(*names), T0, T0 + SECOND, 100.0
    touches: list[tuple[int, float]] = []
    trades: list[Trade] = []
    trial.event(touch(0, 99.0, 1.0, 101.0, 1.0))
    touches.append((T0, 100.0))
    for _ in range(1500):
        now += int(dice.expovariate(1 / 30) * MILLI) + (dice.random() < 0.005) * 25 * SECOND
        while now >= due:
            found = trial.sample(due)
            wanted = plain(trades, touches, trial.analytics.now, 20 * SECOND, 3 * SECOND)
            assert [found.get(name) for name in names] == [
                pytest.approx(x, rel=1e-9, abs=1e-9) if x is not None else None for x in wanted
            ]
            due += SECOND
        if dice.random() < 0.5:
            ts = now - LAG - dice.choice((0, 0, 40, 9000)) * MILLI
            e = Trade(
                INSTRUMENT,
                ts,
                now,
                0,
                mid + dice.randint(-3, 3),
                dice.randint(1, 9),
                dice.choice(("buy", "sell", "unknown")),
                "",
            )  # type: ignore[arg-type]
            trades.append(e)
            trial.event(e)
        else:
            mid = 100.0 + dice.randint(-4, 4) / 2
            ts = now - LAG - dice.choice((0, 0, 60)) * MILLI
            trial.event(BookUpdate(INSTRUMENT, ts, now, 0, [(mid - 1, 1.0)], [(mid + 1, 1.0)], True, None, None))
            touches.append((max(ts, touches[-1][0]), mid))


def test_basis_and_funding() -> None:
    trial = Trial("basis", "funding", "funding_4h")
    assert trial.sample(T0) == {}
    figures = {"mark": 100.1, "index": 100.0, "funding_rate": 0.0001, "next_funding": T0 + 90 * SECOND}
    trial.event(Ticker(INSTRUMENT, T0, T0, 0, **figures))  # type: ignore[arg-type]
    found = trial.sample(T0 + 30 * SECOND)
    assert found == pytest.approx(
        {"basis": 10.0, "funding.rate": 1.0, "funding.annual": 10.95, "funding.due": 60.0, "funding_4h.rate": 1.0}
        | {"funding_4h.annual": 21.9, "funding_4h.due": 60.0}
    )
    assert "funding.due" not in trial.sample(T0 + 100 * SECOND), "the time that was told is over"
