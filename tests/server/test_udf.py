"""TradingView's data feed: the shapes of its public documentation, the values of /api/v1/bars."""

from typing import Any

import httpx
import msgspec
import pytest

from tapeline.clock import SECOND
from tapeline.events import Alert, Ticker
from tapeline.instruments import Instrument
from tapeline.server import udf_words
from tests.server.fakes import BTC, ETH, SIM, T0, FakeSource, bar, quote, status, trade

T = T0 // SECOND


async def ask(http: httpx.AsyncClient, path: str, code: int = 200, **params: Any) -> Any:
    answer = await http.get(f"/udf/{path}", params=params)
    assert answer.status_code == code, answer.text
    return answer.json()


async def test_config(http: httpx.AsyncClient) -> None:
    config = await ask(http, "config")
    assert config["supported_resolutions"] == ["1S", "5S", "15S", "1", "5", "15", "60", "240", "1D"]
    assert (config["supports_search"], config["supports_group_request"]) == (True, False)  # one of the two, never both
    assert config["supports_marks"] and config["supports_timescale_marks"] and config["supports_time"]
    assert config["exchanges"][1] == {"value": "sim", "name": "sim", "desc": "sim"}
    assert all(set(t) == {"name", "value"} for t in config["symbols_types"])


async def test_symbols(http: httpx.AsyncClient) -> None:
    row = await ask(http, "symbols", symbol=BTC)
    assert row["ticker"] == BTC
    assert (row["name"], row["exchange"], row["listed_exchange"], row["type"]) == ("BTC-USDT", "sim", "sim", "crypto")
    assert (row["session"], row["timezone"]) == ("24x7", "Etc/UTC")
    assert (row["minmov"], row["pricescale"], row["volume_precision"]) == (1, 100, 5)
    assert (row["has_seconds"], row["seconds_multipliers"]) == (True, ["1", "5", "15"])
    assert (row["has_intraday"], row["intraday_multipliers"]) == (True, ["1", "5", "15", "60", "240"])
    assert (row["has_daily"], row["has_weekly_and_monthly"], row["format"]) == (True, False, "price")
    assert "simulated" in row["description"]
    for other in ("SIM:btc-usdt", "btc-usdt"):
        assert (await ask(http, "symbols", symbol=other))["ticker"] == BTC


async def test_a_stock_has_its_hours(http: httpx.AsyncClient, source: FakeSource) -> None:
    stock = Instrument(
        id="finnhub:AAPL", venue="finnhub", native="AAPL", kind="stock", base="AAPL", quote="USD", session="XNYS"
    )
    source.streams.append(stock)
    row = await ask(http, "symbols", symbol="finnhub:AAPL")
    assert (row["session"], row["timezone"], row["type"]) == ("0930-1600", "America/New_York", "stock")
    source.streams[-1] = msgspec.structs.replace(stock, session="FX", kind="fx")
    assert (await ask(http, "symbols", symbol="finnhub:AAPL"))["session"] == "1700-1700:23456"
    source.streams[-1] = msgspec.structs.replace(stock, session="XTKS")  # with a break at noon
    row = await ask(http, "symbols", symbol="finnhub:AAPL")
    assert (row["session"].split(",")[0], row["timezone"]) == ("0900-1130", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("tick", "step"), [(0.01, (1, 100)), (0.25, (25, 100)), (0.5, (5, 10)), (5.0, (5, 1)), (1e-8, (1, 10**8)), (None, (1, 1000)), (10.0, (10, 1))]
)  # fmt: skip
def test_price_step(tick: float | None, step: tuple[int, int]) -> None:
    assert udf_words.price_step(tick, 3) == step


def test_resolutions_of_all_intervals() -> None:
    assert {r: udf_words.interval_of(r) for r in ("1S", "S", "1", "60", "240", "1D", "D", "30", "1W", "1h", "")} == {
        "1S": "1s", "S": "1s", "1": "1m", "60": "1h", "240": "4h", "1D": "1d", "D": "1d", "30": None, "1W": None, "1h": None, "": None,
    }  # fmt: skip


async def test_search(http: httpx.AsyncClient) -> None:
    found = await ask(http, "search", query="eth", type="", exchange="", limit=10)
    assert found == [
        {"symbol": "ETH-USDT", "full_name": ETH, "ticker": ETH, "description": "ETH / USDT spot at sim (simulated market)", "exchange": "sim",
         "type": "crypto"}
    ]  # fmt: skip
    assert len(await ask(http, "search", query="", limit=1)) == 1
    assert await ask(http, "search", query="eth", type="stock") == []
    assert await ask(http, "search", query="eth", exchange="kraken") == []


async def test_history_is_what_the_bars_are(http: httpx.AsyncClient, source: FakeSource) -> None:
    source.push(*(bar(n) for n in range(10)))
    source.open[BTC, "1m"] = bar(10, close=1.0)
    given = await ask(http, "history", symbol=BTC, resolution="1", **{"from": T + 120, "to": T + 660})
    bars = (
        await http.get("/api/v1/bars", params={"instrument": BTC, "from": (T + 120) * 10**6, "to": (T + 660) * 10**6})
    ).json()["bars"]
    assert given["s"] == "ok"
    assert given["t"] == [b["ts_open"] // 10**6 for b in bars] == [T + 60 * n for n in range(2, 11)]
    for short, name in zip("ohlcv", ("open", "high", "low", "close", "volume"), strict=True):
        assert given[short] == [b[name] for b in bars]
    assert set(given) == set("tohlcv") | {"s"}


async def test_to_is_not_of_it_and_countback_goes_before_from(http: httpx.AsyncClient, source: FakeSource) -> None:
    source.push(*(bar(n) for n in range(10)))
    some = {"symbol": BTC, "resolution": "1", "from": T + 420, "to": T + 540}
    assert (await ask(http, "history", **some))["t"] == [T + 420, T + 480]
    assert (await ask(http, "history", **some, countback=5))["t"] == [T + 60 * n for n in range(4, 9)]
    assert (await ask(http, "history", **some, countback=1))["t"] == [T + 480]
    assert (await ask(http, "history", **some, countback=500))["t"] == [T + 60 * n for n in range(9)]
    assert (await ask(http, "history", **some, countback=0))["t"] == [T + 420, T + 480]


async def test_no_data_says_where_there_is_some(http: httpx.AsyncClient, source: FakeSource) -> None:
    source.push(bar(0), bar(1))
    empty = {"symbol": BTC, "resolution": "1", "from": T + 3600, "to": T + 7200}
    assert await ask(http, "history", **empty) == {"s": "no_data", "nextTime": T + 60}
    assert (await ask(http, "history", **empty, countback=2))["t"] == [T, T + 60]
    assert await ask(http, "history", **(empty | {"from": T - 60, "to": T})) == {"s": "no_data"}
    assert await ask(http, "history", **(empty | {"resolution": "1D"})) == {"s": "no_data"}


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("symbols", {}, 400),
        ("symbols", {"symbol": "sim:XYZ"}, 404),
        ("symbols", {"symbol": "sim:DOGE-USDT"}, 404),
        ("history", {"symbol": BTC, "resolution": "7"}, 400),
        ("history", {"symbol": BTC, "resolution": "1", "from": "soon"}, 400),
        ("history", {"symbol": BTC, "resolution": "1", "to": "nan"}, 400),
        ("history", {"symbol": BTC, "resolution": "1", "countback": "-1"}, 400),
        ("quotes", {}, 400),
        ("search", {"limit": "0"}, 400),
    ],
)
async def test_errors_are_said_as_the_protocol_says_them(
    http: httpx.AsyncClient, path: str, params: dict[str, str], status: int
) -> None:
    answer = await ask(http, path, status, **params)
    assert answer["s"] == "error"
    assert answer["error"]["message"] in answer["errmsg"]


async def test_time_is_plain_text_of_the_engines_clock(http: httpx.AsyncClient) -> None:
    answer = await http.get("/udf/time")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == str(T)


async def test_quotes(http: httpx.AsyncClient, source: FakeSource) -> None:
    day = Ticker(BTC, T0, T0, SIM, open=100.0, high=120.0, low=90.0, volume=5.0)
    source.push(day, quote(1), trade(4))
    answer = await ask(http, "quotes", symbols=f"{BTC},{ETH},sim:XYZ")
    btc, eth, xyz = answer["d"]
    assert answer["s"] == btc["s"] == "ok"
    assert btc["n"] == BTC
    assert btc["v"] == {
        "short_name": "BTC-USDT", "exchange": "sim", "description": "BTC / USDT spot at sim (simulated market)", "lp": 104.0,
        "open_price": 100.0, "high_price": 120.0, "low_price": 90.0, "volume": 5.0, "ch": 4.0, "chp": 4.0,
        "bid": 99.5, "ask": 100.5, "spread": 1.0,
    }  # fmt: skip
    assert (eth["s"], eth["errmsg"]) == ("error", "waiting")  # what is old or not there is no quote
    assert (xyz["s"], xyz["v"]) == ("error", {})


async def test_marks_are_alerts_on_their_bars(http: httpx.AsyncClient, source: FakeSource) -> None:
    at = T0 + 90 * SECOND

    def alert(n: int, state: str, **more: Any) -> Alert:
        return Alert(BTC, at + n, at + n, SIM, "high", state, 101.0, "mid crosses above 100", **more)

    source.push(alert(0, "raised", severity="critical", id="a1"), alert(1, "resolved", severity="critical", id="a1"))
    source.push(Alert(ETH, at, at, SIM, "other", "raised", 1.0, "x"))
    marks = await ask(http, "marks", symbol=BTC, resolution="1", **{"from": T, "to": T + 3600})
    assert marks == {
        "id": ["high a1"], "time": [T + 60], "color": ["red"], "text": ["high (critical): mid crosses above 100"], "label": ["H"],
        "labelFontColor": ["white"], "minSize": [14],
    }  # fmt: skip
    assert (await ask(http, "marks", symbol=BTC, resolution="1", **{"from": T, "to": T + 60}))["id"] == []


async def test_timescale_marks_are_gaps(http: httpx.AsyncClient, source: FakeSource) -> None:
    source.push(status(61_000), status(62_000, "synced"), status(63_000, "disconnected", ""), status(64_000, instrument=ETH))
    marks = await ask(http, "timescale_marks", symbol=BTC, resolution="1", **{"from": T, "to": T + 3600})
    assert marks == [
        {"id": f"gap {T0 + 61 * SECOND}", "time": T + 60, "color": "red", "label": "G",
         "tooltip": ["gap book", "ids 5 to 7 are missing", "3 missing"]},
        {"id": f"disconnected {T0 + 63 * SECOND}", "time": T + 60, "color": "yellow", "label": "D",
         "tooltip": ["disconnected book", "ids 5 to 7 are missing", "3 missing"]},
    ]  # fmt: skip
