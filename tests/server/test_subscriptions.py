"""GET, POST and DELETE of /api/v1/subscriptions over real HTTP: what is refused, what is bounded, what is handed on."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tapeline.engine.subscriptions import Changed
from tapeline.errors import ConfigError, TapelineError, Unreachable, UsageError

PATH = "/api/v1/subscriptions"
ETH = "binance:ETH-USDT"
FAILURES: dict[str, TapelineError] = {
    "binance:NOPE": UsageError("binance lists no NOPE: did you mean binance:NEO-USDT?"),
    "kraken:BTC-USD": Unreachable("kraken: no answer within 6 s"),
    "finnhub:AAPL": ConfigError("FINNHUB_API_KEY", None, "no API key for finnhub"),
}


class FakeControl:
    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {"binance:BTC-USDT": ["trades", "book"]}
        self.calls: list[Any] = []

    def subscriptions(self) -> list[dict[str, Any]]:
        return [
            {"instrument": n.replace("binance", "sim"), "name": n, "channels": c, "error": ""} for n, c in self.rows.items()
        ]

    async def subscribe(self, instruments: Iterable[str], channels: Sequence[str] | None = None) -> Changed:
        names = list(instruments)
        self.calls.append(("subscribe", names, channels))
        done = [n for n in names if n not in FAILURES]
        self.rows.update({name: list(channels or ("trades",)) for name in done})
        return Changed(tuple(done), {n: FAILURES[n] for n in names if n in FAILURES})

    async def unsubscribe(self, instruments: Iterable[str], channels: Sequence[str] | None = None) -> Changed:
        names = list(instruments)
        self.calls.append(("unsubscribe", names, channels))
        done = [n for n in names if self.rows.pop(n, None)]
        return Changed(tuple(done), {n: UsageError(f"{n} is not subscribed") for n in names if n not in done})


@pytest.fixture
def control(source) -> FakeControl:
    source.control = FakeControl()
    return source.control


async def test_what_is_streamed(http, control):
    answer = await http.get(PATH)
    assert answer.status_code == 200
    assert answer.json() == {
        "mode": "simulated",
        "subscriptions": [
            {"instrument": "sim:BTC-USDT", "name": "binance:BTC-USDT", "channels": ["trades", "book"], "error": ""}
        ],
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_adding(http, control):
    answer = await http.post(PATH, json={"instruments": [ETH], "channels": ["trades"]})
    assert answer.status_code == 200
    assert (answer.json()["done"], answer.json()["failed"]) == ([ETH], [])
    assert [s["name"] for s in answer.json()["subscriptions"]] == ["binance:BTC-USDT", ETH]
    await http.post(PATH, json={"instruments": [ETH]})
    assert control.calls == [("subscribe", [ETH], ("trades",)), ("subscribe", [ETH], None)]


async def test_removing(http, control):
    answer = await http.delete(PATH, params=[("instrument", "binance:BTC-USDT"), ("instrument", ETH), ("channel", "book")])
    assert answer.status_code == 200
    assert answer.json()["done"] == ["binance:BTC-USDT"]
    assert [(x["instrument"], x["code"]) for x in answer.json()["failed"]] == [(ETH, "cannot_subscribe")]
    assert control.calls == [("unsubscribe", ["binance:BTC-USDT", ETH], ["book"])]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("binance:NOPE", 404, "cannot_subscribe"),
        ("kraken:BTC-USD", 502, "venue_error"),
        ("finnhub:AAPL", 409, "not_configured"),
    ],
)
async def test_where_nothing_succeeded_the_answer_is_an_error(http, control, name, status, code):
    answer = await http.post(PATH, json={"instruments": [name]})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"] == str(FAILURES[name])
    partly = await http.post(PATH, json={"instruments": [name, ETH]})
    assert partly.status_code == 200
    assert [x["code"] for x in partly.json()["failed"]] == [code]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_json"),
        (b"\xff", "application/json", 400, "bad_json"),
        (b"[]", "application/json", 400, "bad_parameter"),
        (b'{"instruments": "x"}', "application/json", 400, "bad_parameter"),
        (b'{"instruments": ["x"], "chanels": []}', "application/json", 400, "bad_parameter"),
        (b'{"instruments": ["x"], "channels": ["tardes"]}', "application/json", 400, "bad_parameter"),
        (b'{"instruments": []}', "application/json", 400, "missing_parameter"),
        (b'{"instruments": [' + b'"x",' * 200 + b'"x"]}', "application/json", 400, "bad_parameter"),
        (b'{"instruments": ["' + b"x" * 70_000 + b'"]}', "application/json", 413, "too_large"),
        (b'{"instruments": ["x"]}', "text/plain", 415, "not_json"),
        (b'{"instruments": ["x"]}', "", 415, "not_json"),
    ],
)
async def test_a_body_that_is_no_wish_is_refused(http, control, body, kind, status, code):
    answer = await http.post(PATH, content=body, headers={"content-type": kind} if kind else {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert control.calls == []


async def test_a_wrong_channel_is_told_the_right_ones(http, control):
    error = (await http.post(PATH, json={"instruments": [ETH], "channels": ["trade"]})).json()["error"]
    assert "'trade'" in error["message"]
    assert "trades, book" in error["hint"]


async def test_where_all_failed_each_is_told(http, control):
    message = (await http.delete(f"{PATH}?instrument=a:X&instrument=b:Y")).json()["error"]["message"]
    assert message == "a:X is not subscribed; b:Y is not subscribed"


@pytest.mark.parametrize(
    "query", ["", "?channel=trades", "?instrument=x&channel=tardes", "?instruments=x", "?instrument=x&force=1"]
)
async def test_a_removal_that_makes_no_sense_is_refused(http, control, query):
    answer = await http.delete(PATH + query)
    assert answer.status_code == 400
    assert control.calls == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}])
async def test_pages_of_other_origins_change_nothing(http, control, method, headers):
    body = b'{"instruments": ["binance:ETH-USDT"]}'
    answer = await http.request(
        method, f"{PATH}?instrument=binance:BTC-USDT", content=body, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code == 403
    assert control.calls == []


async def test_the_page_itself_may(http, control, server):
    answer = await http.post(PATH, json={"instruments": [ETH]}, headers={"origin": server.address})
    assert answer.status_code == 200


async def test_other_methods_are_not_known(http, control):
    assert (await http.put(PATH, json={"instruments": [ETH]})).status_code == 405


async def test_a_recording_has_none(http):
    for answer in (await http.get(PATH), await http.post(PATH, json={"instruments": [ETH]})):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_live")
