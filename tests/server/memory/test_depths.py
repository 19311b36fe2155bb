"""Looks at books: when they are taken, how long they are kept, and what of them the API and the channel `depths` show."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from tapeline.clock import MICRO, MILLI, SECOND
from tapeline.config import ServerSettings
from tapeline.server.memory import depths
from tapeline.server.memory.depths import Depths
from tapeline.server.memory.history import History
from tests.server.fakes import BTC, ETH, T0, FakeSource, book_event

QUIET = ServerSettings(heatmap_mb=64)


def looker(source, settings=QUIET):
    history = History(settings)
    made = Depths(source, history, settings)
    source.bus.tap(history.tap)
    source.bus.tap(made.tap)
    return made


def play(source, at, *names, n=1):
    source.time, source.book_at = at, n
    source.push(*(book_event(n, name) for name in names or (BTC,)))


def times(made, name=BTC, every=SECOND):
    return [ts - T0 for ts, _ in made.of[name].back(every)][::-1] if name in made.of else []


def test_one_look_a_second_of_who_has_a_book():
    source = FakeSource()
    made = looker(source)
    for ms in range(0, 3000, 50):
        play(source, T0 + ms * MILLI, BTC, ETH, n=ms)
    assert times(made) == times(made, ETH) == [0, SECOND, 2 * SECOND]


async def test_four_a_second_of_who_is_looked_at():
    source = FakeSource()
    made = looker(source)
    play(source, T0 + 10 * MILLI)
    made.watch(BTC)
    for ms in range(50, 2000, 50):
        play(source, T0 + ms * MILLI, BTC, ETH, n=ms)
    assert times(made, every=250 * MILLI) == [n * 250 * MILLI for n in range(8)]
    assert times(made, every=500 * MILLI) == [n * 500 * MILLI for n in range(4)]
    assert times(made) == [0, SECOND]
    assert times(made, ETH, 250 * MILLI) == [SECOND]
    made.stop()


async def test_without_a_budget_those_are_kept_that_are_looked_at():
    source = FakeSource()
    made = looker(source, ServerSettings(heatmap_mb=0))
    play(source, T0 + 10 * MILLI, BTC, ETH)
    made.watch(BTC)
    for ms in range(50, 1000, 50):
        play(source, T0 + ms * MILLI, BTC, ETH, n=ms)
    assert times(made, every=250 * MILLI) == [n * 250 * MILLI for n in range(4)]
    assert times(made, ETH) == []
    made.stop()


async def test_fine_looks_go_when_nobody_looks_any_more_and_those_of_seconds_stay():
    source = FakeSource()
    made = looker(source)
    play(source, T0)
    made.watch(BTC)
    for ms in range(0, 3000, 50):
        play(source, T0 + ms * MILLI, n=ms)
    made.of[BTC].until = 0.0
    made._forget(1.0)
    assert times(made, every=250 * MILLI) == [0, SECOND, 2 * SECOND]
    made.stop()


def test_a_book_that_did_not_change_is_the_same_one():
    source = FakeSource()
    made = looker(source)
    play(source, T0, n=1)
    for n in range(1, 5):
        source.time = T0 + n * SECOND
        source.push()
    books = [book for _, book in made.of[BTC].back(SECOND)]
    assert len(books) == 5
    assert len({id(book) for book in books}) == 1
    assert made.nbytes == books[0].nbytes


def test_a_book_that_is_not_proved_is_none():
    source = FakeSource()
    made = looker(source)
    source.book_state = "buffering"
    play(source, T0)
    assert list(made.of[BTC].back(SECOND)) == [(T0, None)]


def test_past_the_budget_the_oldest_looks_go_of_who_has_most():
    source = FakeSource()
    made = looker(source, ServerSettings(heatmap_mb=1))
    for n in range(300):
        play(source, T0 + n * SECOND, *([BTC, ETH] if n >= 100 else [BTC]), n=n)
    assert made.nbytes <= made.capacity
    assert made.dropped > 0
    assert abs(len(times(made)) - len(times(made, ETH))) <= 1
    assert times(made)[-1] == times(made, ETH)[-1] == 299 * SECOND


def test_few_looks_are_taken_in_one_go():
    source = FakeSource()
    made = looker(source)
    names = [f"sim:N{n}-USDT" for n in range(depths.OTHERS + 6)]
    play(source, T0, *names)
    assert sum(len(times(made, name)) for name in names) == depths.AT_ONCE
    for _ in range(20):
        source.push()
    assert [len(times(made, name)) for name in names] == [1] * depths.OTHERS + [0] * 6


@pytest.mark.parametrize("every", ["1s", "500ms"])
async def test_the_history_of_a_book(server, source, http, every):
    for n in range(4):
        play(source, T0 + n * SECOND, n=n)
    answer = (await http.get("/api/v1/book/history", params={"instrument": BTC, "step": 1, "rows": 3, "every": every})).json()
    assert {k: v for k, v in answer.items() if k != "columns"} == {
        "mode": "simulated", "instrument": BTC, "step": 1.0, "every": 1_000_000 if every == "1s" else 500_000, "more": False,
    }  # fmt: skip
    shown = {"instrument": BTC, "bid": 99.0, "ask": 101.0, "low": 97, "proved": True, "sizes": [3, 2, 1, 0, 2, 3]}
    assert answer["columns"] == [shown | {"ts": (T0 + n * SECOND) // MICRO} for n in range(4)]
    params = {"instrument": BTC, "step": 1, "limit": 2, "to": (T0 + 3 * SECOND) // MICRO}
    answer = (await http.get("/api/v1/book/history", params=params)).json()
    assert ([c["ts"] for c in answer["columns"]], answer["more"]) == ([(T0 + n * SECOND) // MICRO for n in (1, 2)], True)


async def test_what_cannot_be_asked(http):
    for params, code in (
        ({"instrument": BTC}, "missing_parameter"),
        ({"instrument": BTC, "step": "0"}, "bad_parameter"),
        ({"instrument": BTC, "step": "nan"}, "bad_parameter"),
        ({"instrument": BTC, "step": "1", "every": "2s"}, "bad_parameter"),
        ({"instrument": BTC, "step": "1", "rows": "401"}, "bad_parameter"),
        ({"instrument": BTC, "step": "1", "depth": "5"}, "unknown_parameter"),
    ):
        assert (await http.get("/api/v1/book/history", params=params)).json()["error"]["code"] == code


async def test_the_channel_gives_a_column_a_step(server, source):
    for n in range(3):
        play(source, T0 + n * SECOND, n=n)
    wish = {"channel": "depths", "instruments": [BTC], "step": 1, "every": "1s", "rows": 3}
    async with connect(server.address.replace("http", "ws") + "/api/v1/ws", proxy=None) as ws:
        await ws.send(json.dumps({"method": "subscribe", "params": wish, "id": 1}))
        assert json.loads(await ws.recv())["result"] == wish | {"step": 1.0}
        snapshot = json.loads(await ws.recv())
        assert {k: snapshot[k] for k in ("type", "step", "every", "rows")} == {
            "type": "snapshot", "step": 1.0, "every": "1s", "rows": 3,
        }  # fmt: skip
        assert [c["ts"] for c in snapshot["data"]] == [(T0 + n * SECOND) // MICRO for n in range(3)]
        play(source, T0 + 3 * SECOND, n=3)
        update = json.loads(await asyncio.wait_for(ws.recv(), 30))
        assert (update["type"], [c["ts"] for c in update["data"]]) == ("update", [(T0 + 3 * SECOND) // MICRO])
        assert update["data"][0]["sizes"] == [3, 2, 1, 0, 2, 3]


async def test_the_channel_is_watched_by_name(server):
    async with connect(server.address.replace("http", "ws") + "/api/v1/ws", proxy=None) as ws:
        for wish in (
            {"instruments": ["*"], "step": 1},
            {"instruments": [BTC]},
            {"instruments": [BTC], "step": 1, "every": "3s"},
        ):
            await ws.send(json.dumps({"method": "subscribe", "params": {"channel": "depths", **wish}}))
            assert json.loads(await ws.recv())["error"]["code"] in ("bad_parameter", "missing_parameter")
