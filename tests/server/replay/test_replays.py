"""Recordings played beside a live market, over real sockets: opened, sought, paused, two at once, bounded, closed."""

import asyncio
import json
import shutil
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tapeline.cli.live import LiveSession
from tapeline.clock import MICRO, ReplayClock
from tapeline.config import QuerySettings, ServerSettings, SinkSettings
from tapeline.engine.player import Player
from tapeline.server.app import Server
from tapeline.server.asked import ApiError
from tapeline.server.query.query import Queries
from tapeline.server.replay import replays
from tapeline.sim import SimServer
from tapeline.tape import layout, reader
from tests.live.rig import NATIVE, SIM_BTC, settings
from tests.server.fakes import T0, FakeSource
from tests.waiting import until


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """Two sessions, the first of them in the lake too; (directory, ids)."""
    data = tmp_path_factory.mktemp("tape") / "data"

    async def record(seed):
        async with (
            SimServer(seed=seed, rate=6.0) as sim,
            LiveSession(settings(sim, data, sinks=SinkSettings(sqlite=False, lake=seed == 3))) as session,
        ):
            await session.connect("live")
            await until(lambda: session.collector.events > 4000 and all(session.collector.book(name, 1) for name in NATIVE), 60)

    for seed in (3, 4):
        asyncio.run(record(seed))
    return data, [info.id for info in reader.sessions(data)]


@asynccontextmanager
async def serving(data, page):
    """A server of a made-up live market beside the tape."""
    (page / "index.html").write_text("<!doctype html><title>the page</title>")
    queries = Queries(data, QuerySettings())
    server = Server(
        FakeSource(), ServerSettings(port=0, push_hz=50), ReplayClock(T0), page=page, queries=queries, recordings=data
    )
    address = await server.start()
    try:
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
            yield server, http
    finally:
        await server.stop()


@pytest.fixture
async def beside(tape, tmp_path):
    async with serving(tape[0], tmp_path) as (server, http):
        yield server, http, tape[1]


async def control(http, path, **wish):
    answer = await http.post(f"{path}api/v1/replay", json=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stands(http, path, what):
    """The replay's state, once `what` holds of it."""
    async with asyncio.timeout(30):
        while not what(state := (await http.get(f"{path}api/v1/replay")).json()):
            await asyncio.sleep(0.01)
    return state


async def opened(http, session, **how):
    answer = await http.post("/api/v1/replays", json={"session": session, "playing": False, **how})
    assert answer.status_code == 200, answer.text
    return answer.json()["path"]


async def test_recordings_are_listed_the_newest_first(beside, tape):
    _, http, sessions = beside
    listed = (await http.get("/api/v1/recordings")).json()
    infos = {info.id: info for info in reader.sessions(tape[0])}
    assert [r["session"] for r in listed["recordings"]] == sessions[::-1]
    assert (listed["more"], listed["mode"]) == (False, "simulated")
    for row in listed["recordings"]:
        info = infos[row["session"]]
        assert (row["first"], row["last"]) == (info.first_ts // MICRO, info.last_ts // MICRO)
        assert (row["frames"], row["live"]) == (info.frames, False)
        assert SIM_BTC in row["instruments"]
        assert len(row["instruments"]) == 3


async def test_a_replay_has_a_page_and_an_api_of_its_own(beside):
    _, http, (session, _) = beside
    path = await opened(http, session)
    assert path == f"/replay/{session}/"
    page = await http.get(path)
    assert "the page" in page.text
    status = await http.get(f"{path}api/v1/status")
    assert (status.json()["mode"], status.json()["session"]) == ("replay", session)
    assert status.headers["x-tapeline-mode"] == "replay"
    assert (await http.get("/api/v1/status")).headers["x-tapeline-mode"] == "simulated"
    assert "default-src 'none'" in status.headers["content-security-policy"]
    assert (await http.get("/api/v1/status")).json()["session"] != session


async def test_sought_and_paused_the_api_shows_that_instant_and_nothing_later(beside, tape):
    _, http, (session, _) = beside
    path = await opened(http, session)
    whole = Player(tape[0], session, speed=0)
    await whole.run()
    straight, half = Player(tape[0], session, speed=0, playing=False), whole.frames // 2

    def between():
        """All of a microsecond has been, and a bar is open: the next frame may close it."""
        return straight._cursor.peek().ts_recv // MICRO > straight.clock.now() // MICRO and straight.open_bar(SIM_BTC, "1s")

    while straight.frames < half or not between():
        straight._cursor.peek()
        straight._publish(*straight._cursor.take(None, max(1, min(256, half - straight.frames))))
    middle = straight.clock.now() // MICRO
    await control(http, path, at=whole.last // MICRO)
    end = await stands(http, path, lambda s: not s["seeking"])
    assert end["finished"]
    await control(http, path, at=middle)
    state = await stands(http, path, lambda s: not s["seeking"])
    assert (state["now"], state["playing"], state["finished"], state["epoch"]) == (middle, False, False, 2)

    book = (await http.get(f"{path}api/v1/book", params={"instrument": SIM_BTC, "depth": 1000})).json()["book"]
    expected = straight.book(SIM_BTC, 1000)
    assert book["bids"] == [list(level) for level in expected.bids]
    assert book["asks"] == [list(level) for level in expected.asks]
    trades = (await http.get(f"{path}api/v1/trades", params={"instrument": SIM_BTC})).json()["trades"]
    assert trades
    assert all(t["ts_recv"] <= middle for t in trades)
    bars = (await http.get(f"{path}api/v1/bars", params={"instrument": SIM_BTC, "interval": "1s"})).json()["bars"]
    open_bar = straight.open_bar(SIM_BTC, "1s")
    assert bars[-1]["ts_open"] == open_bar.ts_open // MICRO
    assert (bars[-1]["volume"], bars[-1]["closed"]) == (open_bar.volume, False)


async def test_viewers_get_a_status_of_another_epoch_and_then_snapshots(beside):
    _, http, (session, _) = beside
    path = await opened(http, session)
    state = (await http.get(f"{path}api/v1/replay")).json()
    url = str(http.base_url).rstrip("/").replace("http", "ws") + f"{path}api/v1/ws"
    async with connect(url, proxy=None) as ws:
        await control(http, path, at=state["last"])
        await stands(http, path, lambda s: not s["seeking"])
        for channel in ({"channel": "trades", "instruments": [SIM_BTC]}, {"channel": "status"}):
            await ws.send(json.dumps({"method": "subscribe", "params": channel}))
        while json.loads(await ws.recv()).get("channel") != "status":
            pass
        await control(http, path, at=state["first"] + 1_500_000)
        seen = []
        while len(seen) < 2:
            message = json.loads(await ws.recv())
            if message["type"] == "snapshot":
                seen.append(message)
        assert [m["channel"] for m in seen] == ["status", "trades"]
        assert seen[0]["data"]["status"]["replay"]["epoch"] == 2
        assert all(t["ts_recv"] <= state["first"] + 1_500_000 for t in seen[1]["data"])


async def test_two_at_once_know_nothing_of_each_other(beside):
    _, http, sessions = beside
    one, two = [await opened(http, session) for session in sessions]
    await control(http, one, speed="max", playing=True)
    await stands(http, one, lambda s: s["finished"])
    other = (await http.get(f"{two}api/v1/replay")).json()
    assert (other["session"], other["now"], other["playing"]) == (sessions[1], other["first"], False)
    rows = (await http.get("/api/v1/replays")).json()["replays"]
    assert [(r["path"], r["finished"], r["viewers"]) for r in rows] == [(one, True, 0), (two, False, 0)]


async def test_speed_steps_and_what_is_refused(beside):
    _, http, (session, _) = beside
    path = await opened(http, session, speed=5)
    assert (await control(http, path))["speed"] == 5
    assert (await control(http, path, speed="max"))["speed"] is None
    first = (await http.get(f"{path}api/v1/replay")).json()["first"]
    await control(http, path, step="second")
    assert (await stands(http, path, lambda s: s["now"] > first + 999_999))["now"] == first + 1_000_000
    for wish in (
        {"speed": 0},
        {"speed": 1001},
        {"speed": "fast"},
        {"at": -1},
        {"at": "noon"},
        {"step": "second", "playing": True},
    ):
        answer = await http.post(f"{path}api/v1/replay", json=wish)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_parameter"), wish
    plain = await http.post(f"{path}api/v1/replay", content=b"{}", headers={"content-type": "text/plain"})
    assert plain.json()["error"]["code"] == "not_json"


@pytest.mark.parametrize("name", ["..", ".", "", "../tape", "%2e%2e", "x" * 300, "lock", "nothing", "\x00", "a/b"])
async def test_names_with_tricks_are_no_recordings(beside, name):
    server, http, _ = beside
    answer = await http.post("/api/v1/replays", json={"session": name})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_recording")
    assert server.app.state.replays._open == {}


async def test_no_more_than_some_are_open(beside, monkeypatch):
    _, http, sessions = beside
    monkeypatch.setattr(replays, "MOST", 1)
    path = await opened(http, sessions[0])
    assert await opened(http, sessions[0]) == path
    refused = await http.post("/api/v1/replays", json={"session": sessions[1]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "too_many_replays")
    gone = await http.delete("/api/v1/replays", params={"session": sessions[0]})
    assert gone.json()["replays"] == []
    assert await opened(http, sessions[1])


async def test_closing_sends_the_viewers_away(beside):
    _, http, (session, _) = beside
    path = await opened(http, session)
    url = str(http.base_url).rstrip("/").replace("http", "ws") + f"{path}api/v1/ws"
    async with connect(url, proxy=None) as ws:
        assert (await http.delete("/api/v1/replays", params={"session": session})).status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd.code == 1001
    assert (await http.get(f"{path}api/v1/replay")).json()["error"]["code"] == "no_replay"
    with pytest.raises(InvalidStatus):
        await connect(url, proxy=None)
    again = await http.delete("/api/v1/replays", params={"session": session})
    assert (again.status_code, again.json()["error"]["code"]) == (404, "no_replay")


async def test_one_that_nobody_uses_is_closed_and_its_page_opens_it_again(beside, monkeypatch):
    server, http, (session, _) = beside
    monkeypatch.setattr(replays, "LOOK_SECONDS", 0.02)
    path = await opened(http, session)
    monkeypatch.setattr(replays, "IDLE_SECONDS", 0.1)
    await until(lambda: not server.app.state.replays._open)
    monkeypatch.setattr(replays, "IDLE_SECONDS", 100.0)
    assert (await http.get(path, headers={"sec-fetch-site": "cross-site"})).status_code in (403, 404)
    assert (await http.get(f"{path}api/v1/status")).status_code == 404
    assert (await http.get(path, headers={"sec-fetch-site": "none"})).status_code == 200
    assert (await http.get(f"{path}api/v1/status")).json()["session"] == session


async def test_the_timeline_tells_frames_volume_and_gaps(beside, tape):
    _, http, (session, _) = beside
    path = await opened(http, session)
    found = (await http.get(f"{path}api/v1/replay/timeline", params={"buckets": 50})).json()
    (info,) = [i for i in reader.sessions(tape[0]) if i.id == session]
    assert (found["from"], found["to"]) == (info.first_ts // MICRO, info.last_ts // MICRO)
    assert len(found["frames"]) == len(found["volume"]) == 50
    assert sum(found["frames"]) == info.frames
    whole = Player(tape[0], session, speed=0)
    traded = []
    whole.bus.tap(lambda batch: traded.extend(e for e in batch.events if type(e).__name__ == "Trade"))
    await whole.run()
    assert sum(found["volume"]) == pytest.approx(sum(t.price * t.size for t in traded))
    one = (await http.get(f"{path}api/v1/replay/timeline", params={"buckets": 7, "instrument": SIM_BTC})).json()
    assert sum(one["volume"]) == pytest.approx(sum(t.size for t in traded if t.instrument == SIM_BTC))
    assert [g["kind"] for g in found["gaps"]] == [g["kind"] for g in one["gaps"]]


async def test_without_a_lake_the_volume_is_not_known(tape, tmp_path):
    data, (session, _) = tape
    (tmp_path / "index.html").write_text("page")
    player = Player(data, session, playing=False)
    server = Server(player, ServerSettings(port=0), ReplayClock(T0), page=tmp_path, recordings=data)
    async with server as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        found = (await http.get("/api/v1/replay/timeline", params={"buckets": 5})).json()
        assert found["volume"] == [None] * 5
        assert sum(found["frames"]) > 0
        assert (await http.get("/api/v1/replay")).json()["session"] == session
        assert (await http.get("/api/v1/recordings")).status_code == 200


async def test_one_whose_tape_is_removed_while_it_plays(tape, tmp_path):
    data, (session, _) = tape
    copy = tmp_path / "copy"
    shutil.copytree(layout.session_dir(data, session), layout.tape_dir(copy) / session)
    async with serving(copy, tmp_path) as (_, http):
        path = await opened(http, session)
        shutil.rmtree(layout.session_dir(copy, session))
        gone = await http.get(f"{path}api/v1/replay/timeline")
        assert (gone.status_code, gone.json()["error"]["code"]) == (503, "tape_broken")
        await control(http, path, at=0)
        assert (await http.get("/api/v1/recordings")).json()["recordings"] == []
        assert (await http.delete("/api/v1/replays", params={"session": session})).json()["replays"] == []


async def test_the_end_of_the_server_ends_them(tape, tmp_path):
    data, sessions = tape
    async with serving(data, tmp_path) as (server, http):
        for session in sessions:
            await control(http, await opened(http, session), playing=True)
        tasks = [one._task for one in server.app.state.replays._open.values()]
    assert [task.done() for task in tasks] == [True, True]


async def test_a_fault_in_a_player_is_told_and_another_seek_begins_anew(beside, monkeypatch):
    server, http, (session, _) = beside
    path = await opened(http, session)
    player = server.app.state.replays._open[session].player
    before = (await stands(http, path, lambda state: not state["seeking"]))["epoch"]

    def broken(target):
        raise ValueError(target)

    with monkeypatch.context() as patch:
        patch.setattr(player, "_best", broken)
        await control(http, path, at=player.last // MICRO)
        state = await stands(http, path, lambda state: state["finished"])
    assert not state["seeking"]
    assert "ValueError" in player.reason
    await control(http, path, at=player.last // MICRO)
    await stands(http, path, lambda state: not state["seeking"] and state["epoch"] > before)


async def test_a_recording_that_is_being_opened_when_the_server_ends_is_not_left_open(tape, monkeypatch):
    reached, go_on = asyncio.Event(), asyncio.Event()

    def application(player):
        raise AssertionError(player)

    made = replays.Replays(tape[0], application, FakeSource())
    looked_up = made._player

    async def slow(session):
        reached.set()
        await go_on.wait()
        return await looked_up(session)

    monkeypatch.setattr(made, "_player", slow)
    opening = asyncio.ensure_future(made.open(tape[1][0]))
    await reached.wait()
    await made.stop()
    go_on.set()
    with pytest.raises(ApiError) as refused:
        await opening
    assert refused.value.code == "ending"


async def test_the_address_without_its_slash_leads_to_the_page(beside):
    _, http, sessions = beside
    there = await http.get(f"/replay/{sessions[0]}?interval=5m&instrument=sim:BTC-USDT&x=%2F%2Fevil.example%0d%0aX:1")
    assert there.status_code == 307
    assert there.headers["location"] == (
        f"/replay/{sessions[0]}/?interval=5m&instrument=sim:BTC-USDT&x=%2F%2Fevil.example%0d%0aX:1"
    )
    assert (await http.get(f"/replay/{sessions[0]}", follow_redirects=True)).text.startswith("<!doctype html><title>the page")
    for name in ("%2F%2Fevil.example", "%5C%5Cevil.example", "%0d%0aLocation:%20https:", "..%2F..", "https:%2F%2Fevil.example"):
        answer = await http.get(f"/replay/{name}")
        assert answer.status_code == 404 or answer.headers["location"].startswith("/replay/"), (name, answer.headers)
    assert (await http.post(f"/replay/{sessions[0]}")).status_code == 405
    foreign = await http.get(f"/replay/{sessions[0]}", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"})
    assert foreign.status_code == 403
