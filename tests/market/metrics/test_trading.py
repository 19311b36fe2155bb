"""What was traded, by hand: windows, sides, rates, sessions, anchors, time-weighted prices."""

import pytest

from tapeline.clock import SECOND
from tapeline.events import Trade
from tapeline.market.metrics.analytics import Analytics, Source
from tapeline.testing import INSTRUMENT, T0, Trial, check_metric

HOUR = 3600 * SECOND


def trade(at: float, price: float, size: float, side: str = "buy", recv: float | None = None) -> Trade:
    """`at`: seconds after T0. Our clock is the venue's."""
    ts = T0 + int(at * SECOND)
    return Trade(INSTRUMENT, ts, ts if recv is None else T0 + int(recv * SECOND), 0, price, size, side, "")  # type: ignore[arg-type]


def figures(*names: str, trades: list[Trade], at: float, contract_value: float | None = None) -> dict[str, float]:
    trial = Trial(*names, contract_value=contract_value)
    for t in trades:
        trial.event(t)
    found = trial.sample(T0 + int(at * SECOND))
    assert trial.expected(T0 + int(at * SECOND)) == pytest.approx(found, rel=1e-12)
    return found


TRADES = [trade(0, 100.0, 1.0), trade(10, 102.0, 3.0, "sell"), trade(30, 101.0, 0.5, "unknown"), trade(50, 103.0, 2.0)]


def test_a_window_is_open_at_its_beginning_and_closed_at_now() -> None:
    found = figures("volume_1m", "trades_1m", trades=TRADES, at=60)
    assert found == {"volume_1m": 5.5, "trades_1m": 3.0}
    assert figures("volume_1m", "trades_1m", trades=TRADES, at=50) == {"volume_1m": 6.5, "trades_1m": 4.0}


def test_sides() -> None:
    found = figures("buy_volume_1m", "sell_volume_1m", "cvd_1m", "buy_ratio_1m", trades=TRADES, at=59)
    assert found == {"buy_volume_1m": 3.0, "sell_volume_1m": 3.0, "cvd_1m": 0.0, "buy_ratio_1m": 0.5}


def test_where_no_side_is_known_nothing_is_said_of_sides() -> None:
    names = ("volume_1m", "buy_volume_1m", "sell_volume_1m", "cvd_1m", "buy_ratio_1m", "cvd_session")
    assert figures(*names, trades=[trade(0, 1.0, 2.0, "unknown")], at=1) == {"volume_1m": 2.0}


def test_value_and_mean_price() -> None:
    found = figures("notional_1m", "vwap_1m", trades=TRADES, at=59)
    assert found == {"notional_1m": 100 + 306 + 50.5 + 206, "vwap_1m": pytest.approx(662.5 / 6.5)}


def test_of_inverse_contracts_the_value_is_that_of_the_contracts() -> None:
    found = figures("notional_1m", "notional_session", trades=TRADES, at=59, contract_value=100.0)
    assert found == {"notional_1m": 650.0, "notional_session": 650.0}


def test_rates_and_times_between() -> None:
    found = figures("trade_rate_1m", "interarrival_1m", trades=TRADES, at=59)
    assert found == pytest.approx(
        {
            "trade_rate_1m": 4 / 60,
            "trade_rate_1m.buys": 2 / 60,
            "trade_rate_1m.sells": 1 / 60,
            "interarrival_1m.mean": 50 / 3,
            "interarrival_1m.cv": (200 / 9) ** 0.5 / (50 / 3),  # of 10, 20, 20
        }
    )


def test_time_weighted() -> None:
    assert figures("twap_1m", trades=TRADES, at=60)["twap_1m"] == pytest.approx((1000 + 2040 + 2020 + 1030) / 60)
    before = figures("twap_1m", trades=TRADES, at=85)["twap_1m"]  # 102 stands when the window begins, at 25
    assert before == pytest.approx((5 * 102 + 20 * 101 + 35 * 103) / 60)
    assert figures("twap_1m", trades=TRADES, at=5000)["twap_1m"] == 103.0
    assert figures("twap_1m", trades=TRADES[:1], at=20)["twap_1m"] == 100.0


@pytest.mark.parametrize(
    "name", ["vwap_from_20261120T000045Z", "cvd_from_20261120T000045Z", "twap_10s", "mid_twap_10s", "cvd_10s"]
)
def test_short_ones_equal_their_twins(name: str) -> None:
    check_metric(name, seeds=range(2))


NAMES = ("volume_session", "trades_session", "vwap_session", "cvd_session")


def test_a_session_begins_at_midnight_and_takes_its_late_trades_alone() -> None:
    trial = Trial(*NAMES, "vwap_from_20261120T235950Z", "cvd_from_20261120T235950Z")
    day = 86_400
    for t in (trade(day - 20, 50.0, 9.0), trade(day - 5, 100.0, 1.0, "sell")):
        trial.event(t)
    assert trial.sample(T0 + (day - 1) * SECOND) == {
        "volume_session": 10.0, "trades_session": 2.0, "vwap_session": 55.0, "cvd_session": 8.0,
        "vwap_from_20261120T235950Z": 100.0, "cvd_from_20261120T235950Z": -1.0,
    }  # fmt: skip
    assert trial.sample(T0 + (day + 1) * SECOND) == {
        "volume_session": 0.0, "trades_session": 0.0, "cvd_session": 0.0,
        "vwap_from_20261120T235950Z": 100.0, "cvd_from_20261120T235950Z": -1.0,
    }  # fmt: skip
    for t in (trade(day + 2, 104.0, 3.0), trade(day - 1, 108.0, 1.0, recv=day + 3), trade(day - 15, 1.0, 1.0, recv=day + 3)):
        trial.event(t)
    found = trial.sample(T0 + (day + 4) * SECOND)
    assert found == {
        "volume_session": 3.0, "trades_session": 1.0, "vwap_session": 104.0, "cvd_session": 3.0,
        "vwap_from_20261120T235950Z": (100 + 312 + 108) / 5, "cvd_from_20261120T235950Z": 3.0,
    }  # fmt: skip
    assert trial.expected(T0 + (day + 4) * SECOND) == pytest.approx(found)


def test_before_its_moment_an_anchored_one_is_not_known() -> None:
    assert figures("vwap_from_20261121T000000Z", trades=TRADES, at=60) == {}


def test_finer_sizes_later_do_not_change_what_was_counted() -> None:
    trial = Trial("volume_session", "vwap_session")
    for at, size in ((1, 3.0), (2, 0.125), (3, 1e-8)):
        trial.event(trade(at, 10.0 + size, size))
        trial.sample(T0 + at * SECOND)
    assert trial.analytics.values["volume_session"] == 3.12500001
    assert trial.expected(T0 + 3 * SECOND) == pytest.approx(trial.analytics.values, rel=1e-14)


def test_the_session_of_a_stock_begins_when_its_exchange_opens() -> None:
    """2026-11-20 is a Friday: New York opens at 14:30 UTC, and the session lasts until the next one."""
    from tapeline.market.metrics import registry

    trial = Trial()
    analytics = Analytics(INSTRUMENT, 0, 5, None)
    analytics.add([registry.metric("volume_session")])
    said = []
    for hours in (14.0, 15.0, 22.0, 24 * 3 + 14.0, 24 * 3 + 15.0):
        t = trade(hours * 3600, 10.0, 1.0)
        trial.bars.add(t, [])
        analytics.take(t)
        analytics.sample(t.ts_recv, Source(True, None, trial.bars, None, "XNYS"))
        said.append(analytics.values["volume_session"])
    assert said == [1.0, 1.0, 2.0, 3.0, 1.0]
