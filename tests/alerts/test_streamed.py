import pytest

from tapeline.alerts.streamed import is_streamed

STREAMED = {"binance:BTC-USDT", "sim-kraken:BTC-USD"}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("binance:BTC-USDT mid > 5", True),
        ("binance:ETH-USDT mid > 5", False),
        ("kraken:BTC-USD mid > 5", True),  # as a simulated market calls it
        ("binance:ETH-USDT, binance:BTC-USDT mid > 5", True),  # one is enough
        ("mid > 5", True),
        ("binance:* mid > 5", True),
        ("binance:BTC-USDT.mid > kraken:BTC-USD.mid", True),
        ("binance:BTC-USDT.mid > coinbase:BTC-USD.mid", False),  # all are needed
        ("what is this", True),
    ],
)
def test_whether_a_rule_can_begin(rule: str, told: bool) -> None:
    assert is_streamed(rule, "", STREAMED) is told


def test_what_ends_it_is_needed_too() -> None:
    assert not is_streamed("binance:BTC-USDT.mid > kraken:BTC-USD.mid", "okx:BTC-USDT.mid < 1", STREAMED)
