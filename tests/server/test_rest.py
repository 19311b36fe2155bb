"""Every endpoint over a real socket, with values worked out by hand, in every format."""

import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.events import Ticker
from tests.server.fakes import BTC, ETH, T0, bar, metrics, quote, status, trade

US = T0 // 1000
TRADE_3 = {
    "type": "trade", "instrument": BTC, "ts_event": US + 3000, "ts_recv": US + 3005, "flags": ["SIMULATED"],
    "price": 103.0, "size": 0.25, "side": "buy", "id": "3", "conditions": None,
}  # fmt: skip
STATUS_1 = {
    "type": "status", "instrument": BTC, "ts_event": US + 1000, "ts_recv": US + 1000, "flags": ["SIMULATED"], "kind": "gap",
    "venue": "sim", "channel": "book", "reason": "ids 5 to 7 are missing", "from_seq": 5, "to_seq": 7, "count": 3,
}  # fmt: skip


async def get(http, path, code=200, **params):
    answer = await http.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == code, answer.text
    assert answer.headers["x-tapeline-mode"] == "simulated"
    row = answer.json()
    assert row["mode"] == "simulated"
    return row


async def refused(http, path, status, code, **params):
    row = await get(http, path, status, **params)
    assert set(row) == {"mode", "error"}
    assert set(row["error"]) == {"code", "message", "hint"}
    assert row["error"]["code"] == code
    return row["error"]


async def test_status_has_microseconds_and_viewers(http, source):
    row = await get(http, "status")
    assert (row["started"], row["now"]) == (US, US + 60_000_000)
    assert row["connections"][0]["since"] == US + 1  # 1,999 ns are one whole microsecond
    assert row["connections"][0]["last_frame"] == US + 2
    assert row["instruments"][0]["last_event"] == US + 3
    assert row["instruments"][0]["last_status"] == STATUS_1
    assert row["instruments"][1]["last_status"] is None
    assert (row["viewers"], row["dropped_viewers"]) == (0, 0)
    assert set(row) - {"viewers", "dropped_viewers", "short_pushes", "door"} == set(source.status())


async def test_instruments(http):
    rows = (await get(http, "instruments"))["instruments"]
    assert [(r["id"], r["streaming"]) for r in rows] == [(BTC, True), (ETH, True), ("sim:DOGE-USDT", False)]
    assert rows[0] == {
        "id": BTC, "venue": "sim", "symbol": "BTC-USDT", "kind": "spot", "base": "BTC", "quote": "USDT", "tick": 0.01,
        "lot": 0.00001, "streaming": True,
    }  # fmt: skip
    assert [r["id"] for r in (await get(http, "instruments", q="doge"))["instruments"]] == ["sim:DOGE-USDT"]
    assert (await get(http, "instruments", venue="kraken"))["instruments"] == []


async def test_trades_newest_of_the_range_oldest_first(http, source):
    source.push(*(trade(n) for n in range(10)), trade(99, ETH))
    row = await get(http, "trades", instrument=BTC, limit=3)
    assert [t["id"] for t in row["trades"]] == ["7", "8", "9"]
    assert row["more"] is True
    row = await get(http, "trades", instrument=BTC, **{"from": US + 3000, "to": US + 6000})  # right-open
    assert [t["id"] for t in row["trades"]] == ["3", "4", "5"]
    assert row["more"] is False
    assert row["trades"][0] == TRADE_3
    iso = await get(http, "trades", instrument=BTC, **{"from": "2026-11-20T00:00:00.003Z", "to": "2026-11-20T00:00:00.006Z"})
    assert iso == row
    assert (await get(http, "trades", instrument=ETH))["trades"][0]["id"] == "99"


async def test_an_instrument_without_trades_has_an_empty_list(http):
    assert await get(http, "trades", instrument=BTC) == {"mode": "simulated", "more": False, "trades": []}


async def test_large_answers_are_whole(http, source):
    source.push(*(trade(n) for n in range(6500)))
    row = await get(http, "trades", instrument=BTC, limit=5000)
    assert [int(t["id"]) for t in row["trades"]] == list(range(1500, 6500))


async def test_quotes_and_metrics_are_the_latest(http, source):
    source.push(quote(1), quote(2), quote(3, origin="venue"), quote(4, ETH), metrics(1), metrics(2), metrics(3, ETH))
    rows = (await get(http, "quotes", instrument=BTC))["quotes"]
    assert [(q["origin"], q["seq"]) for q in rows] == [("venue", 3), ("book", 2)]
    assert rows[1]["ask_size"] is None
    assert rows[1]["ts_recv"] == US + 2001
    assert len((await get(http, "quotes"))["quotes"]) == 3
    rows = (await get(http, "metrics"))["metrics"]
    assert [(m["instrument"], m["mid"], m["microprice"]) for m in rows] == [(BTC, 102.0, None), (ETH, 103.0, None)]


async def test_book(http, source):
    book = (await get(http, "book", instrument=BTC, depth=2))["book"]
    assert book == {
        "instrument": BTC, "ts_event": US + 1000, "ts_recv": US + 1002, "seq": 1, "state": "synced",
        "bids": [[99.0, 1.0], [98.0, 2.0]], "asks": [[101.0, 2.0], [102.0, 3.0]], "complete_to": {"bid": 50.0, "ask": None},
    }  # fmt: skip
    assert len((await get(http, "book", instrument=BTC))["book"]["bids"]) == 25
    source.book_state = "invalid"
    assert (await get(http, "book", instrument=BTC))["book"]["state"] == "invalid"
    source.book_at = None
    await refused(http, "book", 503, "no_book", instrument=BTC)


async def test_bars_with_revisions_late_bars_and_the_open_one(http, source):
    source.push(bar(0), bar(2), bar(3), bar(2, close=1.5, revision=1), bar(1, revision=1), bar(0, origin="venue", close=7.0))
    source.open[BTC, "1m"] = bar(4, complete=False)
    row = await get(http, "bars", instrument=BTC)
    assert [(b["ts_open"] - US) // 60_000_000 for b in row["bars"]] == [0, 1, 2, 3, 4]
    assert [b["close"] for b in row["bars"]] == [105.0, 106.0, 1.5, 108.0, 109.0]
    assert [b["closed"] for b in row["bars"]] == [True, True, True, True, False]
    assert [b["revision"] for b in row["bars"]] == [0, 1, 1, 0, 0]
    row = await get(http, "bars", instrument=BTC, limit=2, to=US + 4 * 60_000_000)
    assert [b["ts_open"] for b in row["bars"]] == [US + 120_000_000, US + 180_000_000]
    assert row["more"] is True
    assert [b["close"] for b in (await get(http, "bars", instrument=BTC, origin="venue"))["bars"]] == [7.0]
    assert (await get(http, "bars", instrument=BTC, interval="5m"))["bars"] == []


async def test_bars_of_many_instruments_at_once_are_of_memory_alone(http, source):
    source.push(*(bar(n) for n in range(3)), bar(0, instrument=ETH))
    row = await get(http, "bars", instrument=[ETH, BTC, ETH], limit=2, past="memory")
    found = [(b["instrument"], (b["ts_open"] - US) // 60_000_000) for b in row["bars"]]
    assert (found, row["more"]) == ([(ETH, 0), (BTC, 1), (BTC, 2)], True)
    assert (await get(http, "bars", instrument=[ETH, BTC], past="memory"))["more"] is False
    await refused(http, "bars", 400, "bad_parameter", instrument=[BTC, ETH])
    await refused(http, "bars", 400, "bad_parameter", instrument=[BTC, ETH], limit=1501, past="memory")
    await refused(http, "bars", 400, "bad_parameter", instrument=BTC, past="yesterday")
    await refused(http, "bars", 404, "unknown_instrument", instrument=[BTC, "sim:NONE"], past="memory")
    await refused(http, "bars", 400, "missing_parameter", past="memory")


async def test_bars_of_a_kind_that_is_switched_on(http, source):
    source.push(bar(0, interval="tick:20"), bar(1, interval="tick:20"))
    source.open[BTC, "tick:20"] = bar(2, interval="tick:20", complete=False)
    rows = (await get(http, "bars", instrument=BTC, interval="tick:20.0"))["bars"]
    assert [(b["interval"], b["closed"]) for b in rows] == [("tick:20", True), ("tick:20", True), ("tick:20", False)]


async def test_heikin_ashi_is_drawn_from_the_bars_in_memory(http, source):
    source.push(bar(0, open=10.0, high=14.0, low=8.0, close=12.0), bar(1, open=12.0, high=12.0, low=10.0, close=11.0))
    rows = (await get(http, "bars", instrument=BTC, interval="heikin-ashi:1m"))["bars"]
    assert [(b["open"], b["high"], b["low"], b["close"]) for b in rows] == [(11.0, 14.0, 8.0, 11.0), (11.0, 12.0, 10.0, 11.25)]
    assert [b["interval"] for b in rows] == ["heikin-ashi:1m"] * 2
    last = (await get(http, "bars", instrument=BTC, interval="heikin-ashi:1m", limit=1))["bars"]
    assert last == rows[1:]


@pytest.mark.parametrize("name", ["trades", "quotes", "bars", "metrics", "instruments"])
async def test_every_format_has_the_same_rows(http, source, name):
    source.push(trade(3), trade(4, side="unknown", flags=129), quote(1), bar(0), bar(1, vwap=None), metrics(2))
    params = {"instrument": BTC} if name in ("trades", "bars") else {}
    rows = (await get(http, name, **params))[name]
    assert rows

    async def fetch(kind):
        answer = await http.get(f"/api/v1/{name}", params={**params, "format": kind})
        assert answer.status_code == 200
        assert answer.headers["x-tapeline-mode"] == "simulated"
        return answer

    text = await fetch("csv")
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    as_text = [{k: cell(v) for k, v in row.items()} for row in rows]
    assert list(csv.DictReader(io.StringIO(text.text))) == as_text
    arrow = await fetch("arrow")
    table = pa.ipc.open_stream(arrow.content).read_all()
    assert table.to_pylist() == rows
    assert table.schema.metadata[b"tapeline.mode"] == b"simulated"
    assert pq.read_table(io.BytesIO((await fetch("parquet")).content)).to_pylist() == rows


def cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return "|".join(value) if isinstance(value, list) else str(value)


async def test_an_empty_table_keeps_its_columns(http):
    answer = await http.get("/api/v1/trades", params={"instrument": BTC, "format": "arrow"})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.num_rows == 0
    assert table.schema.names == list(TRADE_3)


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("trades", {}, 400, "missing_parameter"),
        ("trades", {"instrument": "sim:BTC-USTD"}, 404, "unknown_instrument"),
        ("trades", {"instrument": "sim:DOGE-USDT"}, 404, "not_streaming"),
        ("trades", {"instrument": BTC, "limit": 5001}, 400, "bad_parameter"),
        ("trades", {"instrument": BTC, "limit": "many"}, 400, "bad_parameter"),
        ("trades", {"instrument": BTC, "limit": 0}, 400, "bad_parameter"),
        ("trades", {"instrument": BTC, "from": "yesterday"}, 400, "bad_parameter"),
        ("trades", {"instrument": BTC, "from": "9" * 40}, 400, "bad_parameter"),
        ("trades", {"instrument": BTC, "from": -1}, 400, "bad_parameter"),
        ("trades", {"instrument": BTC, "lmit": 5}, 400, "unknown_parameter"),
        ("trades", {"instrument": BTC, "format": "xml"}, 400, "bad_parameter"),
        ("bars", {"instrument": BTC, "interval": "2x"}, 400, "bad_parameter"),
        ("bars", {"instrument": BTC, "interval": "tick:0"}, 400, "bad_parameter"),
        ("bars", {"instrument": BTC, "interval": "2m"}, 400, "bad_parameter"),
        ("bars", {"instrument": BTC, "interval": "heikin-ashi:2m"}, 400, "bad_parameter"),
        ("book", {"instrument": BTC, "depth": 1001}, 400, "bad_parameter"),
        ("book", {"instrument": BTC, "format": "csv"}, 400, "unknown_parameter"),
        ("quotes", {"instrument": "nonsense"}, 404, "unknown_instrument"),
        ("nothing", {}, 404, "not_found"),
    ],
)
async def test_a_wrong_question_gets_a_reason(http, path, params, status, code):
    await refused(http, path, status, code, **params)


async def test_hints_help(http):
    assert BTC in (await refused(http, "trades", 404, "unknown_instrument", instrument="sim:BTC-USTD"))["hint"]
    assert "1m" in (await refused(http, "bars", 400, "bad_parameter", instrument=BTC, interval="2m"))["hint"]
    assert "tick:500" in (await refused(http, "bars", 400, "bad_parameter", instrument=BTC, interval="tock:500"))["hint"]


async def test_only_get(http):
    answer = await http.post("/api/v1/status")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_a_fault_of_ours_is_said_so(http, source, monkeypatch, caplog):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(source, "status", broken)
    assert (await refused(http, "status", 500, "internal_error"))["message"] == "ZeroDivisionError in the server"
    assert "ZeroDivisionError" in caplog.text


async def test_ready_when_a_connection_is_up(http, source):
    assert (await http.get("/livez")).status_code == 200
    assert (await http.get("/readyz")).json() == {"mode": "simulated", "ready": True, "why": ""}
    source.connection = "connecting"
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"] == "none of 1 connections is up (connecting)"
    source.mode = "replay"
    assert (await http.get("/readyz")).status_code == 200


async def test_status_events_of_the_past_do_not_change_status(http, source):
    source.push(status(5))
    assert (await get(http, "status"))["gaps"] == 1  # the engine counts, not the server


async def test_tickers_keep_the_last_of_each_figure(http, source):
    at = T0 + 1999
    source.push(Ticker(BTC, at, at, 1, last=100.5, volume=12.25, change_pct=-1.5))
    source.push(Ticker(BTC, at + 2000, at + 3000, 1, mark=100.25, next_funding=T0 + 5_000))
    (row,) = (await get(http, "tickers"))["tickers"]
    assert {k: row[k] for k in ("instrument", "last", "volume", "change_pct", "mark", "open")} == {
        "instrument": BTC, "last": 100.5, "volume": 12.25, "change_pct": -1.5, "mark": 100.25, "open": None,
    }  # fmt: skip
    assert (row["ts_event"], row["next_funding"]) == (US + 3, US + 5)
    assert (await get(http, "tickers", instrument=ETH))["tickers"] == []
    await refused(http, "tickers", 404, "unknown_instrument", instrument="sim:NOPE")
