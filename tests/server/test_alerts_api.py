"""/api/v1/alerts and the channel `alerts` over real HTTP: what is shown, what may be changed and what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tapeline.alerts.room import Room
from tapeline.clock import MICRO, ReplayClock
from tapeline.config import AlertsSettings, RuleSettings, TargetSettings
from tapeline.server.app import Server
from tests.alerts.making import T0, FakeWatch, alert
from tests.server.conftest import SETTINGS
from tests.server.fakes import FakeSource

PATH = "/api/v1/alerts"
RULES, CHECK = f"{PATH}/rules", f"{PATH}/check"
OWN = AlertsSettings(
    rules={"btc-high": RuleSettings(rule="mid > 1")}, targets={"ops": TargetSettings(url="json://127.0.0.1:9/hook")}
)


@pytest.fixture
async def room(tmp_path) -> AsyncIterator[Room]:
    room = Room(tmp_path, OWN, ReplayClock(T0), session="s", deliver=lambda _: 1)
    await room.open(FakeWatch())
    await room.begin({})
    yield room
    await room.rest()
    await room.close()


@pytest.fixture
async def http(room, tmp_path) -> AsyncIterator[httpx.AsyncClient]:
    server = Server(FakeSource(), SETTINGS, ReplayClock(T0), page=tmp_path / "none", alerts=room)
    async with server as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as client:
        yield client


async def committed(room: Room, *alerts: Any) -> None:
    await room.keeper.call(lambda s: s.commit([(a, ["ops"]) for a in alerts], {}, T0, outbox=100, history=1000))


async def test_the_history_is_newest_first_and_says_what_became_of_each(http, room):
    await committed(room, *(alert(n, severity="critical" if n % 2 else "info") for n in range(5)))
    answer = await http.get(PATH, params={"limit": 2})
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["mode"], body["more"], [a["id"] for a in body["alerts"]]) == ("simulated", True, ["a4", "a3"])
    first = body["alerts"][0]
    assert first["ts_event"] == alert(4).ts_event // MICRO
    assert first["flags"] == ["SIMULATED"]
    assert [d["target"] for d in first["deliveries"]] == ["ops"]
    found = (await http.get(PATH, params={"severity": "critical", "to": alert(3).ts_event // MICRO})).json()
    assert ([a["id"] for a in found["alerts"]], found["more"]) == (["a1"], False)
    assert (await http.get(PATH, params={"rule": "none"})).json()["alerts"] == []


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?severity=bad", "?from=x", "?rules=a"])
async def test_a_history_that_cannot_be_asked_for(http, query):
    assert (await http.get(PATH + query)).status_code == 400


async def test_a_rule_is_added_shown_muted_and_removed(http, room):
    new = {"name": "eth-low", "rule": "sim:ETH-USDT mid < 5", "severity": "critical", "notify": ["ops"], "cooldown": "5m"}
    answer = (await http.post(RULES, json=new)).json()
    assert answer["name"] == "eth-low"
    (own, added) = answer["rules"]
    assert (own["name"], own["origin"]) == ("btc-high", "settings")
    assert {k: added[k] for k in new} == new
    assert (added["origin"], added["muted"], added["state"]) == ("added", False, "quiet")
    assert [t["name"] for t in answer["targets"]] == ["ops"]
    assert {
        r["name"]: r["muted"] for r in (await http.patch(RULES, json={"name": "btc-high", "muted": True})).json()["rules"]
    } == {
        "btc-high": True,
        "eth-low": False,
    }
    assert [r["name"] for r in (await http.delete(RULES, params={"name": "eth-low"})).json()["rules"]] == ["btc-high"]
    assert [w.name for w in room.watch.rules] == ["btc-high"]


async def test_a_rule_tells_the_prices_that_a_chart_draws(http):
    rule = {"name": "range", "rule": "binance:BTC-USDT bid > 99k or spread > 5", "until": "mid < 98k"}
    rows = {r["name"]: r["lines"] for r in (await http.post(RULES, json=rule)).json()["rules"]}
    assert rows == {
        "btc-high": [{"instrument": "*", "field": "mid", "value": 1.0}],
        "range": [
            {"instrument": "sim:BTC-USDT", "field": "bid", "value": 99_000.0},
            {"instrument": "sim:BTC-USDT", "field": "mid", "value": 98_000.0},
        ],
    }


async def test_a_rule_without_a_name_gets_one(http):
    for name in ("sim-btc-usdt-mid-5", "sim-btc-usdt-mid-5-2"):
        assert (await http.post(RULES, json={"rule": "sim:BTC-USDT mid > 5"})).json()["name"] == name


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"rule": "wrong"}, "bad_rule"),
        ({"rule": "mid > 5", "name": "Not A Name"}, "bad_rule"),
        ({"rule": "mid > 5", "name": "btc-high"}, "bad_rule"),
        ({"rule": "mid > 5", "notify": ["nobody"]}, "unknown_target"),
        ({"rule": "mid > 5", "severity": "urgent"}, "bad_parameter"),
        ({"rule": "mid > 5", "url": "json://x"}, "bad_parameter"),
        ([], "bad_parameter"),
    ],
)
async def test_a_rule_that_cannot_be_added(http, room, body, code):
    answer = await http.post(RULES, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert [r["name"] for r in room.rules()] == ["btc-high"]


async def test_trying_a_rule_out_changes_nothing_and_gives_the_place(http, room):
    assert (await http.post(CHECK, json={"rule": "mid > 5"})).json()["ok"] is True
    told = (await http.post(CHECK, json={"rule": "wrong"})).json()
    assert told["ok"] is False
    assert set(told["error"]) == {"message", "hint", "option", "line", "column", "length"}
    assert [r["name"] for r in room.rules()] == ["btc-high"]


async def test_one_of_the_settings_cannot_be_removed_and_an_unknown_one_not_be_muted(http):
    for answer in (
        await http.delete(RULES, params={"name": "btc-high"}),
        await http.delete(RULES, params={"name": "none"}),
        await http.patch(RULES, json={"name": "none", "muted": True}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_such_rule")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}])
async def test_pages_of_other_origins_change_nothing(http, room, method, headers):
    body = b'{"name": "x", "rule": "mid > 1", "muted": true}'
    answer = await http.request(
        method, f"{RULES}?name=btc-high", content=body, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code == 403
    assert [(r["name"], r["muted"]) for r in room.rules()] == [("btc-high", False)]


async def test_a_form_of_another_page_is_no_json(http):
    answer = await http.post(RULES, content=b'{"rule": "mid > 1"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415


async def test_a_recording_has_the_alerts_on_its_tape_and_no_rules(tmp_path):
    source = FakeSource("replay")
    server = Server(source, SETTINGS, ReplayClock(T0), page=tmp_path / "none")
    async with server as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        source.push(*(alert(n) for n in range(3)))
        body = (await http.get(PATH, params={"limit": 2})).json()
        assert ([a["id"] for a in body["alerts"]], body["more"]) == (["a2", "a1"], True)
        for answer in (
            await http.get(RULES),
            await http.post(RULES, json={"rule": "mid > 1"}),
            await http.post(CHECK, json={}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_alerts")


async def test_viewers_see_alerts_as_they_come(server, source):
    import websockets

    source.push(alert(1))
    async with websockets.connect(server.address.replace("http", "ws") + "/api/v1/ws", proxy=None) as socket:
        await socket.send('{"method": "subscribe", "params": {"channel": "alerts"}, "id": 1}')
        seen = [await received(socket) for _ in range(2)]
        assert seen[0] == {"id": 1, "result": {"channel": "alerts", "instruments": []}}
        assert (seen[1]["type"], [a["id"] for a in seen[1]["data"]]) == ("snapshot", ["a1"])
        source.push(alert(2), alert(2, "resolved"))
        update = await received(socket)
        assert (update["type"], [(a["id"], a["state"]) for a in update["data"]]) == (
            "update",
            [("a2", "raised"), ("a2", "resolved")],
        )
        source.push(*(alert(n) for n in range(3, 133)))
        burst = await received(socket)
        assert ([a["id"] for a in burst["data"]][::99], burst["missed"]) == (["a33", "a132"], 30)


async def received(socket: Any) -> Any:
    import json

    return json.loads(await socket.recv())


async def test_a_rule_is_changed_with_all_its_settings(http, room):
    await http.post(RULES, json={"name": "eth-low", "rule": "sim:ETH-USDT mid < 5", "cooldown": "5m"})
    change = {"name": "eth-low", "settings": {"rule": "sim:ETH-USDT mid < 6", "severity": "critical", "notify": ["ops"]}}
    answer = (await http.patch(RULES, json=change)).json()
    (_, changed) = answer["rules"]
    assert answer["name"] == "eth-low"
    assert [changed[k] for k in ("rule", "severity", "notify", "cooldown")] == ["sim:ETH-USDT mid < 6", "critical", ["ops"], ""]
    assert [w.settings.rule for w in room.watch.rules] == ["mid > 1", "sim:ETH-USDT mid < 6"]
    kept = await room.keeper.call(lambda store: store.rules())
    assert [one.settings.severity for one in kept] == ["critical"]
    both = (await http.patch(RULES, json={**change, "muted": True})).json()
    assert [r["muted"] for r in both["rules"]] == [False, True]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "none", "settings": {"rule": "mid > 1"}}, "no_such_rule"),
        ({"name": "btc-high", "settings": {"rule": "mid > 2"}}, "bad_rule"),  # it stands in the settings
        ({"name": "eth-low", "settings": {"rule": "mid > 1", "notify": ["nobody"]}}, "unknown_target"),
        ({"name": "eth-low", "settings": {"rule": 1}}, "bad_parameter"),
    ],
)
async def test_a_change_that_cannot_be_made_changes_nothing(http, room, change, code):
    await http.post(RULES, json={"name": "eth-low", "rule": "sim:ETH-USDT mid < 5"})
    assert (await http.patch(RULES, json=change)).json()["error"]["code"] == code
    assert [w.settings.rule for w in room.watch.rules] == ["mid > 1", "sim:ETH-USDT mid < 5"]


async def test_a_rule_that_can_never_be_raised_says_so(http, room, monkeypatch):
    waiting = {"state": "waiting", "since": 0, "value": None, "raised": 0}
    monkeypatch.setattr(room.watch, "rows", lambda: {w.name: waiting for w in room.watch.rules})
    await http.post(RULES, json={"name": "here", "rule": "binance:ETH-USDT mid < 5"})  # streamed as sim:ETH-USDT
    answer = await http.post(RULES, json={"name": "nowhere", "rule": "okx:ETH-USDT mid < 5"})
    assert {r["name"]: r["state"] for r in answer.json()["rules"]} == {
        "btc-high": "waiting",
        "here": "waiting",
        "nowhere": "not_streamed",
    }
