"""The server in front of the real engine, fed with a recorded session: the API shows what the engine published, to the last digit."""

import gzip
import json
from itertools import islice

import httpx
import pytest
from websockets.asyncio.client import connect

from tapeline.clock import MICRO, ReplayClock
from tapeline.config import ServerSettings
from tapeline.engine.engine import Engine
from tapeline.engine.lines import frames
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Metrics, Quote, Trade
from tapeline.server.app import Server
from tapeline.venues.registry import venue_class

BTC = "binance:BTC-USDT"
FRAMES = 6000


@pytest.fixture
async def played(shared_frames, tmp_path):
    """The server's address and every event the engine published."""
    recording = shared_frames / "recorded" / "binance-spot" / "btcusdt_20240808.gz"
    clock = ReplayClock()
    engine = Engine(Pipeline(), "recorded", clock, "replay")
    events = []
    engine.bus.tap(lambda batch: events.extend(batch.events))
    server = Server(engine, ServerSettings(port=0), clock, page=tmp_path)
    with gzip.open(recording) as lines:
        played = list(islice(frames(venue_class("binance")(), lines, "recorded"), FRAMES))
    for n, frame in enumerate(played):
        clock.set(frame.ts_recv)
        engine.handle(n, [frame])
    address = await server.start()
    yield address, events
    await server.stop()


async def test_the_api_shows_what_the_engine_published(played):
    address, events = played
    async with httpx.AsyncClient(base_url=f"{address}/api/v1", trust_env=False, timeout=30) as http:

        async def get(path, **params):
            answer = await http.get(path, params=params)
            assert answer.status_code == 200, answer.text
            assert answer.json()["mode"] == "replay"
            return answer.json()

        trades = [e for e in events if type(e) is Trade]
        shown = (await get("/trades", instrument=BTC, limit=5000))["trades"]
        assert len(shown) > 100
        assert [(t["id"], t["price"], t["size"], t["side"], t["ts_event"]) for t in shown] == [
            (t.id, t.price, t.size, t.side, t.ts_event // MICRO) for t in trades[-len(shown) :]
        ]
        touch = [e for e in events if type(e) is Quote and e.origin == "book"][-1]
        book = (await get("/book", instrument=BTC, depth=10))["book"]
        assert book["state"] == "synced"
        assert (book["bids"][0], book["asks"][0]) == ([touch.bid, touch.bid_size], [touch.ask, touch.ask_size])
        latest = [e for e in events if type(e) is Metrics][-1]
        (metrics,) = (await get("/metrics"))["metrics"]
        assert (metrics["mid"], metrics["microprice"], metrics["seq"]) == (latest.mid, latest.microprice, latest.seq)
        bars = (await get("/bars", instrument=BTC, interval="1s", limit=3000))["bars"]
        closed = {b.ts_open: b for b in events if type(b) is Bar and b.interval == "1s" and b.origin == "trades"}
        assert [(b["ts_open"], b["volume"]) for b in bars if b["closed"]] == [
            (at // MICRO, closed[at].volume) for at in sorted(closed)
        ]
        status = await get("/status")
        assert (status["frames"], status["events"]) == (FRAMES, len(events))
        (row,) = status["instruments"]
        assert (row["id"], row["book"], row["last_price"]) == (BTC, "synced", trades[-1].price)


async def test_a_viewer_opens_full(played):
    address, _ = played
    async with connect(address.replace("http", "ws") + "/api/v1/ws", proxy=None) as ws:
        for channel in ("trades", "quotes", "book", "bars", "metrics"):
            await ws.send(json.dumps({"method": "subscribe", "params": {"channel": channel, "instruments": [BTC]}}))
            assert "result" in json.loads(await ws.recv())
            snapshot = json.loads(await ws.recv())
            assert (snapshot["channel"], snapshot["type"]) == (channel, "snapshot")
            assert snapshot["data"]
