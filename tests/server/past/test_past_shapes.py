"""Book columns, footprints and profiles of the past: by whole requests over memory and lake, against what the events say."""

import gzip
import random
from fractions import Fraction
from itertools import islice

import httpx
import pytest

from tapeline.clock import MICRO, SECOND, ReplayClock
from tapeline.config import QuerySettings, ServerSettings
from tapeline.engine.lines import frames
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Trade
from tapeline.market.columns import column, raw, step_of
from tapeline.server.app import Server
from tapeline.server.query.query import Queries
from tapeline.venues.registry import venue_class
from tests.engine.feeds import T0
from tests.lake.keeping import NAME, keep, market, session
from tests.server.fakes import FakeSource, book_event
from tests.server.past.test_past import COMMIT, Near

SETTINGS = ServerSettings(port=0, history_trades=100, history_bars=100, heatmap_mb=0)


async def served(tmp_path, events, settings=SETTINGS, queries=Near, source=None):
    """A server, to be stopped: the lake has the events, memory the newest of them."""
    source = source or FakeSource("live")
    source.time = max(e.ts_recv for e in events)
    keep(tmp_path, events, "s", COMMIT)
    server = Server(source, settings, ReplayClock(source.time), page=tmp_path / "none", queries=queries(tmp_path))
    await server.start()
    source.push(*events)
    return server


async def get(server, path, **params):
    async with httpx.AsyncClient(base_url=f"{server.address}/api/v1", trust_env=False, timeout=60) as http:
        answer = await http.get(path, params={"instrument": NAME, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def events():
    r = random.Random(4)
    return session(r, market(r, T0, 500, 900))


async def test_a_footprint_adds_up_to_its_bars(tmp_path, events):
    server = await served(tmp_path, events)
    try:
        made = await get(server, "/footprint", interval="1m", step=0.5, limit=300)
        bars = (await get(server, "/bars", interval="1m", limit=300))["bars"]
    finally:
        await server.stop()
    assert [row["ts_open"] for row in made["bars"]] == [bar["ts_open"] for bar in bars]
    for row, bar in zip(made["bars"], bars, strict=True):
        assert sum(row["buys"]) == pytest.approx(bar["buy_volume"], rel=1e-6)
        assert sum(row["buys"]) + sum(row["sells"]) == pytest.approx(bar["volume"], rel=1e-6)
        assert row["low"] == Fraction(repr(bar["low"])) // Fraction("0.5")
        assert row["low"] + len(row["buys"]) - 1 == Fraction(repr(bar["high"])) // Fraction("0.5")
        assert row["complete"] is bar["complete"]


async def test_a_profile_from_before_memory_is_of_all_trades(tmp_path, events):
    server = await served(tmp_path, events)
    try:
        whole = await get(server, "/profile", **{"from": T0 // MICRO - 1_000_000})
        memory = await get(server, "/profile")
    finally:
        await server.stop()
    trades = [e for e in events if type(e) is Trade]
    assert whole["profile"]["volume"] == pytest.approx(sum(t.size for t in trades))
    assert (whole["first"], whole["more"]) == (min(t.ts_event for t in trades) // MICRO, False)
    assert memory["more"] is True
    assert memory["profile"]["volume"] == pytest.approx(sum(t.size for t in trades[-100:]))


async def test_a_process_answers_what_memory_lacks(tmp_path, events):
    server = await served(tmp_path, events, queries=lambda data: Queries(data, QuerySettings()))
    try:
        trades = await get(server, "/trades", limit=5000)
        bars = await get(server, "/bars", interval="90s", limit=3000)
        made = await get(server, "/footprint", interval="90s", step=5, limit=300)
    finally:
        await server.stop()
    assert [t["id"] for t in trades["trades"]] == [
        t.id for t in sorted((e for e in events if type(e) is Trade), key=lambda t: t.ts_event)
    ]
    assert (trades["more"], bars["more"], made["more"]) == (False, False, False)
    assert [bar["ts_open"] for bar in bars["bars"]] == [row["ts_open"] for row in made["bars"]]


def recorded_books(shared_frames, count, look):
    """The events of a recorded session; `look(pipeline, at)` at every whole second, before anything that came later."""
    recording = shared_frames / "recorded" / "binance-spot" / "btcusdt_20240808.gz"
    pipeline, made, at = Pipeline(), [], 0
    with gzip.open(recording) as lines:
        for n, frame in enumerate(islice(frames(venue_class("binance")(), lines, "recorded"), count)):
            while at and frame.ts_recv > at:
                look(pipeline, at)
                at += SECOND
            at = at or (frame.ts_recv // SECOND + 1) * SECOND
            pipeline.feed_many(n, [frame], made)
    return made


async def test_columns_of_memory_follow_those_of_the_lake(tmp_path, shared_frames):
    source = FakeSource("live")
    made = recorded_books(shared_frames, 1500, lambda *_: None)
    server = await served(tmp_path, made, ServerSettings(port=0), source=source)
    last = source.time // SECOND * SECOND
    try:
        for k in range(1, 6):
            source.time = last + k * SECOND
            source.push(book_event(k, NAME))
        answer = await get(server, "/book/history", step=0.5, limit=10)
        older = await get(server, "/book/history", step=0.5, limit=600, to=answer["columns"][0]["ts"])
    finally:
        await server.stop()
    times = [c["ts"] for c in older["columns"] + answer["columns"]]
    end = last // MICRO + 6_000_000
    assert times == list(range(end - len(times) * 1_000_000, end, 1_000_000))
    assert (len(answer["columns"]), answer["more"], older["more"]) == (10, True, False)
    assert [c["bid"] == 99.0 for c in answer["columns"][-6:]] == [True] * 6  # the made-up book of memory
    assert not any(c["bid"] == 99.0 for c in answer["columns"][:-6])


async def test_columns_of_the_lake_are_the_books_of_their_times(tmp_path, shared_frames):
    """Against the pipeline's own book, looked at while it was made of a recorded session."""
    seen = {}

    def look(pipeline, at):
        lane = pipeline.lanes.get(NAME)
        if lane is not None and lane.sync.state.value == "synced":
            seen[at] = lane.sync.book.depth(2000), lane.sync.book.bid_floor is None

    made = recorded_books(shared_frames, 2500, look)
    server = await served(tmp_path, made)
    try:
        answer = await get(server, "/book/history", step=0.5, every="1s", rows=40, limit=1200)
        page = await get(server, "/book/history", step=0.5, every="1s", rows=40, limit=5, to=answer["columns"][-1]["ts"])
    finally:
        await server.stop()
    shown = {c["ts"]: c for c in answer["columns"] if c["proved"]}
    expected = {
        ts // MICRO: column(NAME, ts, raw(bids, asks, (not whole, not whole)), step_of(0.5), 40)
        for ts, ((bids, asks), whole) in seen.items()
    }
    assert len(expected) > 10
    assert {ts: shown[ts] for ts in expected} == expected
    assert page["columns"] == answer["columns"][-6:-1]
    assert page["more"] is True
