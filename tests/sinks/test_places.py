"""Where events lie, and that no name leads out of the folder or into another's."""

import pytest

from tapeline.events import Alert, Bar, Flag, Status, Trade
from tapeline.sinks.places import folder, place_of
from tests.sinks.helpers import BTC, T0

DAY = 86_400 * 10**9


def trade(ts_event: int, flags: int = 0, instrument: str = BTC) -> Trade:
    return Trade(instrument, ts_event, T0, flags, 1.0, 1.0, "buy", "")


@pytest.mark.parametrize(
    ("event", "place"),
    [
        (trade(T0), "trade/binance/BTC-USDT/2026-11-19"),
        (trade(T0 + 10**9), "trade/binance/BTC-USDT/2026-11-20"),
        (trade(T0 - 3 * DAY), "trade/binance/BTC-USDT/2026-11-16"),
        (trade(1_000_000), "trade/binance/BTC-USDT/2026-11-19"),  # milliseconds taken for nanoseconds
        (trade(T0 + 2 * DAY), "trade/binance/BTC-USDT/2026-11-19"),  # tomorrow can be, the day after cannot
        (trade(T0 - 3 * DAY, int(Flag.BAD_TIME)), "trade/binance/BTC-USDT/2026-11-19"),
        (Status("", T0, T0, 0, "gap", "okx", "", "", None, None, None), "status/okx/_all/2026-11-19"),
        (Alert("", T0, T0, 0, "r", "firing", None, ""), "alert/_all/_all/2026-11-19"),
        (
            Bar(BTC, T0 + 1, T0 + 1, 0, "1d", T0 - DAY, 1, 1, 1, 1, 1, None, None, None, None, True, 0, "venue"),
            "bar/binance/BTC-USDT/2026-11-18",
        ),
    ],
)
def test_the_day_is_the_events_unless_that_cannot_be_true(event, place):
    assert place_of(event) == place


def test_no_name_leads_elsewhere():
    assert [folder(name) for name in ("BRK.B", "^GSPC", "..", ".", "a/b", "C:\\x", "_all", "")] == [
        "BRK.B", "%5EGSPC", "%2E%2E", "%2E", "a%2Fb", "C%3A%5Cx", "%5Fall", "_all",
    ]  # fmt: skip
    assert place_of(trade(T0, instrument="yahoo:../../x")) == "trade/yahoo/..%2F..%2Fx/2026-11-19"
