"""Candles that no table could keep are refused, and times that cannot be true are flagged, on the socket and over HTTP."""

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Flag
from tests.engine.feeds import MS, SECOND, T0, answer, opened, play, recv, statuses

NOW = T0 // MS


def candle(begin: str = "2026-11-21T10:05:00.000000000Z", **changes: object) -> dict[str, object]:
    row = dict.fromkeys(("open", "high", "low", "close", "vwap"), 1.5) | {"volume": 2.0, "trades": 3, "interval": 1}
    row |= {"symbol": "BTC/USD", "interval_begin": begin, "timestamp": "2026-11-21T10:06:00.000000Z", **changes}
    return {"channel": "ohlc", "type": "update", "timestamp": "2026-11-21T10:05:01.000000Z", "data": [row]}


def bars(message: object) -> tuple[list[Bar], int]:
    events = play([opened(venue="kraken", streams=["ohlc-1:BTC/USD"]), recv(T0 + SECOND, message)])
    return [e for e in events if type(e) is Bar], len(statuses(events, "rejected"))


def test_a_candle_is_given_as_it_is() -> None:
    (bar,), rejected = bars(candle())
    assert (bar.low, bar.trades, bar.flags, rejected) == (1.5, 3, 0, 0)


@pytest.mark.parametrize("changes", [{"trades": 10**30}, {"begin": "6026-08-12T19:28:00.000000000Z"}])
def test_what_no_table_holds_is_refused(changes: dict[str, object]) -> None:
    assert bars(candle(**changes)) == ([], 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("begin", ["1970-01-01T00:00:00.000000000Z", "2031-01-01T00:00:00.000000000Z"])
def test_a_time_that_cannot_be_true_is_flagged(begin: str) -> None:
    (bar,), rejected = bars(candle(begin))
    assert (bar.flags, rejected) == (Flag.BAD_TIME, 0)


def test_candles_over_http_are_judged_too() -> None:
    def row(begin: int, end: int, trades: int) -> list[object]:
        return [begin, "1", "1", "1", "1", "1", end, "1", trades, "1", "1", "0"]

    rows = [row(NOW - 60_000, NOW - 1, 1), row(NOW, 60_000, 1), row(NOW - 60_000, NOW - 1, 10**30)]
    url = "http://venue/api/v3/klines?symbol=BTCUSDT&interval=1m"
    made = answer(T0 + SECOND, rows, purpose="bars 1m", url=url)
    events = play([opened(), made], Pipeline())
    assert [bool(e.flags & Flag.BAD_TIME) for e in events if type(e) is Bar] == [False, True]
    assert len(statuses(events, "rejected")) == 1
