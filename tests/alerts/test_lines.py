"""Which prices a rule draws on a chart."""

import pytest

from tapeline.alerts.lines import Line, lines_of

BTC, ETH = "binance:BTC-USDT", "binance:ETH-USDT"


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (f"{BTC} mid crosses above 100000", [(BTC, "mid", 100_000.0)]),
        (f"{BTC} bid > 99k and ask < 101K", [(BTC, "bid", 99_000.0), (BTC, "ask", 101_000.0)]),
        (f"{BTC}, {ETH} price <= 5", [(BTC, "price", 5.0), (ETH, "price", 5.0)]),
        ("binance:* not (mid > 7) for 10s", [("binance:*", "mid", 7.0)]),
        ("mid > 1", [("*", "mid", 1.0)]),
        (f"100 < {BTC}.mid", [(BTC, "mid", 100.0)]),
        (f"{BTC} mid > 2 * 50 - 1", [(BTC, "mid", 99.0)]),
        (f"{BTC} last crosses 10 until last < 9", [(BTC, "last", 10.0), (BTC, "last", 9.0)]),
        (f"{BTC} mid > 5 or mid > 5", [(BTC, "mid", 5.0)]),
        (f"{BTC} avg(mid, 5m) > 5", []),  # the average's threshold is no price at which anything happens
        (f"{BTC} mid - vwap_5m > 5", []),
        (f"{BTC} spread_bps > 5", []),
        (f"{BTC} mid rises by 1% within 5m", []),
        (f"{BTC} status is gap", []),
        ("no rule at all", []),
    ],
)
def test_constant_prices_are_lines(rule, lines):
    assert list(lines_of(rule)) == [Line(*line) for line in lines]


def test_the_option_until_has_lines_too():
    assert lines_of(f"{BTC} mid > 10", "mid < 9") == (Line(BTC, "mid", 10.0), Line(BTC, "mid", 9.0))
