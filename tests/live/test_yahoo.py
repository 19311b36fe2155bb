"""Yahoo's simulated wire over a real socket: samples, volumes, a hundred symbols, and its ends of connections."""

import json

import aiohttp
import pytest

from tapeline.config import VenueSettings
from tapeline.events import Flag, Ticker, Trade
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.venues.yahoo import Yahoo
from tests.live.rig import Run, flags_of, running
from tests.venues.yahoo_frames import bare
from tests.waiting import PATIENCE, until

AAPL, BTC, EUR = "sim-yahoo:AAPL", "sim-yahoo:BTC-USD", "sim-yahoo:EURUSD=X"
ASKED = ("yahoo:AAPL", "yahoo:BTC-USD", "yahoo:EURUSD=X")


def at(sim: SimServer) -> dict[str, VenueSettings]:
    return {"yahoo": VenueSettings(ws_url=sim.ws_url("yahoo"), http_url=sim.http_url("yahoo"))}


def tickers(run: Run, name: str) -> list[Ticker]:
    return [e for e in run.events if type(e) is Ticker and e.instrument == name]


async def test_volumes_add_up_and_a_replay_says_the_same(tmp_path):
    async with SimServer(seed=61, rate=5.0, venues=("yahoo",)) as sim:
        async with running(sim, tmp_path, instruments=ASKED, channels=("trades", "ticker"), venues=at(sim)) as run:
            await run.until(lambda: len(run.trades(AAPL)) >= 3 and len(tickers(run, EUR)) >= 2 and tickers(run, BTC))
            sim.pause()
            shares = sim.wires["yahoo"].symbols["AAPL"]
            await run.until(lambda: tickers(run, AAPL)[-1].volume == shares.shown[1])
            first, last = tickers(run, AAPL)[0], tickers(run, AAPL)[-1]
            assert last.last == shares.shown[0] / 100
            assert sum(t.size for t in run.trades(AAPL)) == last.volume - first.volume
            assert flags_of(run.trades(AAPL)) == {Flag.SAMPLED | Flag.AGGREGATED | Flag.SIMULATED}
            assert {t.session for t in tickers(run, AAPL)} == {"regular"}
            assert run.trades(BTC) == run.trades(EUR) == []
            assert tickers(run, BTC)[-1].notional > 1e6
            assert abs(tickers(run, EUR)[-1].last - 1.08) < 0.1
            rows = {i["id"]: (i["book"], i["last_price"]) for i in run.collector.status()["instruments"]}
            assert rows == {
                AAPL: ("none", run.trades(AAPL)[-1].price),
                BTC: ("none", tickers(run, BTC)[-1].last),
                EUR: ("none", tickers(run, EUR)[-1].last),
            }
            (venue,) = run.collector.status()["venues"]
            assert (venue["protocol"], venue["label"], venue["connections"]) == ("yahoo", "sim-yahoo", 1)
            assert venue["cpu_seconds"] > 0
            assert venue["frames"] >= len(tickers(run, AAPL))
        assert run.replayed() == run.published()


async def test_a_search_that_is_refused_keeps_nobody_from_the_socket(tmp_path):
    """Yahoo's HTTP side answers 429 to whom it takes for a program; its streams are elsewhere."""
    async with SimServer(seed=66, rate=5.0, venues=("yahoo",)) as sim:
        sim.fault(f.HttpFail(path="/v1/finance/search", status=429, times=0))
        async with running(sim, tmp_path, instruments=("yahoo:AAPL",), channels=("ticker",), venues=at(sim)) as run:
            await run.until(lambda: tickers(run, AAPL))


async def test_symbols_past_the_hundredth_are_left_out_and_a_place_is_freed():
    async with SimServer(seed=62, live=False, venues=("yahoo",)) as sim, aiohttp.ClientSession() as session:
        await sim.play(10)
        async with session.ws_connect(sim.ws_url("yahoo") + "/?version=2") as ws:
            await ws.send_json({"subscribe": [f"NONE{n}" for n in range(99)]})
            await ws.send_json({"subscribe": ["AAPL", "MSFT"]})
            assert await symbols(sim, ws, "AAPL") == {"AAPL"}
            await ws.send_json({"unsubscribe": ["NONE5"]})
            await ws.send_json({"subscribe": ["MSFT"]})
            assert await symbols(sim, ws, "AAPL", "MSFT") == {"AAPL", "MSFT"}


async def symbols(sim: SimServer, ws: aiohttp.ClientWebSocketResponse, *wanted: str) -> set[str]:
    """Those that say anything: until all of the wanted did, and for a while after."""
    (conn,) = sim.hub.of("yahoo")
    await until(lambda: conn.streams.keys() >= set(wanted))  # it was heard
    await sim.play(10)
    found: set[str] = set()
    while True:
        try:
            message = await ws.receive_str(timeout=0.3 if found >= set(wanted) else PATIENCE)
        except TimeoutError:
            return found
        envelope = json.loads(message)
        assert envelope.keys() == {"type", "message"}
        found |= {e.instrument.partition(":")[2] for e in decoded(message.encode())}


def decoded(data: bytes) -> list[Ticker | Trade]:
    from tapeline.instruments import Registry

    return list(Yahoo().decoder(Registry("x"), simulated=True).decode(data, 2**62))  # type: ignore[arg-type]


async def test_the_older_address_sends_the_bare_record_and_bad_json_ends_it_without_a_code():
    async with SimServer(seed=63, live=False, venues=("yahoo",)) as sim, aiohttp.ClientSession() as session:
        await sim.play(5)
        async with session.ws_connect(sim.ws_url("yahoo")) as ws:
            await ws.send_json({"subscribe": ["AAPL"]})
            text = await ws.receive_str(timeout=5)
            assert "{" not in text
            assert decoded(text.encode())[0].instrument == "x:AAPL"
            await ws.send_str('{"subscribe":')
            while (message := await ws.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 0)  # no code, which is 1005 where it is told


async def test_after_a_lost_connection_the_volume_between_is_one_trade(tmp_path):
    async with SimServer(seed=64, rate=5.0, venues=("yahoo",)) as sim:
        async with running(sim, tmp_path, instruments=("yahoo:AAPL",), channels=("trades",), venues=at(sim)) as run:
            await run.until(lambda: run.trades(AAPL))
            sim.fault(f.Close(code=1006))
            await run.until(lambda: len(run.statuses("connected")) >= 2)
            seen = len(run.trades(AAPL))
            await run.until(lambda: len(run.trades(AAPL)) >= seen + 2)
            shown = tickers(run, AAPL)
            assert sum(t.size for t in run.trades(AAPL)) == shown[-1].volume - shown[0].volume
        assert run.replayed() == run.published()


@pytest.mark.parametrize("how", ["truncated", "utf8", "nan", "huge_id"])
async def test_malformed_samples_are_refused_and_the_feed_goes_on(tmp_path, how):
    async with (
        SimServer(seed=65, rate=5.0, venues=("yahoo",)) as sim,
        running(sim, tmp_path, instruments=("yahoo:AAPL",), channels=("ticker",), venues=at(sim)) as run,
    ):
        await run.until(lambda: tickers(run, AAPL))
        armed = sim.fault(f.Malformed(stream="AAPL", how=how))
        await run.until(lambda: armed.hits)
        seen = len(tickers(run, AAPL))
        await run.until(lambda: len(tickers(run, AAPL)) > seen)
        assert len(run.statuses("rejected")) == 1


def test_the_simulated_record_is_what_the_test_writes_by_hand():
    """Two encoders, written apart."""
    from tapeline.sim.yahoo import _float, _int, _text, _zigzag

    record = _text(1, "AAPL") + _float(2, 300.5) + _zigzag(3, 1_785_936_600_000) + _int(7, 0) + _zigzag(9, 5_422_202)
    import base64

    assert base64.b64encode(record) == bare(
        id="AAPL", price=300.5, time=1_785_936_600_000, market_hours=0, day_volume=5_422_202
    )
