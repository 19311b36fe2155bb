"""Recordings served as if they were the venue: the bytes as they were, and a book that fits whoever joins."""

import gzip
import json
from bisect import bisect_right
from decimal import Decimal

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import TapeSettings
from tapeline.errors import UsageError
from tapeline.frames import Frame, FrameKind, HttpAnswer, Opened, Session, pack, pack_answer
from tapeline.sim import SimServer
from tapeline.sim.playback import Playback
from tapeline.tape.writer import TapeWriter
from tests.sim.client import Book, drain


def server(*playback):
    return SimServer(venues=[p.venue for p in playback], playback=playback, live=False)


def diff(first, last, price="100.00", size="1.000", **more):
    return {"e": "depthUpdate", "E": last, "s": "BTCUSDT", "U": first, "u": last, **more, "b": [[price, size]], "a": []}


SNAPSHOT = {"lastUpdateId": 10, "bids": [["99.00", "5.000"]], "asks": [["101.00", "4.000"]]}


def lines(tmp_path, *messages):
    path = tmp_path / "session.gz"
    with gzip.open(path, "wt") as file:
        for n, message in enumerate(messages):
            whole = (
                message
                if "lastUpdateId" in message
                else {"stream": f"btcusdt@{message.pop('stream', 'depth@100ms')}", "data": message}
            )
            file.write(f"{1_700_000_000_000_000_000 + n * 100_000_000} {json.dumps(whole, separators=(',', ':'))}\n")
    return path


async def test_messages_at_the_pace_they_came_in(tmp_path, session):
    path = lines(tmp_path, *[diff(n, n) for n in range(11, 41)])
    async with (
        server(Playback("binance", path, speed=10)) as sim,
        session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@depth@100ms") as ws,
    ):
        await sim.play(0.15)
        some = await drain(ws, session)
        assert 10 < len(some) < 20
        await sim.play(1)
        assert [d["u"] for d in [*some, *await drain(ws, session)]] == list(range(11, 41))


async def test_nothing_is_played_to_an_empty_house(tmp_path, session):
    playback = Playback("binance", lines(tmp_path, diff(11, 11)), speed=0)
    async with server(playback) as sim:
        await sim.play(1)
        assert playback.played == 0


async def test_the_book_is_given_as_it_stands_when_asked(tmp_path, session):
    playback = Playback("binance", lines(tmp_path, diff(9, 10), SNAPSHOT, diff(11, 12), diff(13, 13, "99.00", "0.000")))
    async with (
        server(playback) as sim,
        session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@depth"),
    ):
        url = sim.http_url("binance") + "/api/v3/depth?symbol=BTCUSDT&limit=100"
        assert (await (await session.get(url)).json())["lastUpdateId"] == 10
        await sim.play(1)
        assert await (await session.get(url)).json() == {
            "lastUpdateId": 13,
            "bids": [["100.00", "1.000"]],
            "asks": [["101.00", "4.000"]],
        }
        assert sim.book("binance", "BTCUSDT").bids == [(100.0, 1.0)]
        info = await (await session.get(sim.http_url("binance") + "/api/v3/exchangeInfo")).json()
        assert [(s["symbol"], s["baseAsset"]) for s in info["symbols"]] == [("BTCUSDT", "BTC")]


async def test_a_gap_in_the_recording_is_no_book(tmp_path, session):
    path = lines(tmp_path, SNAPSHOT, diff(11, 12), diff(20, 21))
    async with server(Playback("binance", path)) as sim, session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@depth"):
        await sim.play(1)
        assert (await session.get(sim.http_url("binance") + "/api/v3/depth?symbol=BTCUSDT")).status == 503


async def test_a_tape_is_a_venue_again(tmp_path, session):
    book = HttpAnswer(venue="binance", purpose="book", url="u", status=200, native="BTCUSDT")
    second = 1_000_000_000
    frames = [
        Frame(second, FrameKind.OPENED, 1, pack(Opened(venue="binance", url="w"))),
        Frame(second, FrameKind.OPENED, 2, pack(Opened(venue="other", url="w"))),
        Frame(second, FrameKind.HTTP, 0, pack_answer(book, json.dumps(SNAPSHOT).encode())),
        Frame(
            second + 1,
            FrameKind.RECV,
            1,
            json.dumps({"stream": "btcusdt@depth@100ms", "data": diff(11, 12)}).replace(" ", "").encode(),
        ),
        Frame(second + 2, FrameKind.RECV, 2, b'{"stream":"btcusdt@trade","data":{}}'),
    ]
    tape = TapeWriter(tmp_path, Session(id="s", version="0"), TapeSettings(), ReplayClock(second))
    tape.append_many(frames)
    tape.close_sync()
    async with (
        server(Playback("binance", tmp_path, speed=0)) as sim,
        session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@depth/btcusdt@trade") as ws,
    ):
        await sim.play(1)
        assert await drain(ws, session) == [diff(11, 12)]
        assert sim.book("binance", "BTCUSDT").last_update_id == 12


@pytest.mark.parametrize(
    ("venue", "name", "path"), [("binance", "binance-spot", ""), ("binance-usdm", "binance-usdm", "/public")]
)
async def test_a_recorded_session_rebuilds_against_its_own_book_tickers(shared_frames, session, venue, name, path):
    playback = Playback(venue, shared_frames / "recorded" / name / "btcusdt_20240808.gz", speed=20)
    rest = "/api/v3/" if venue == "binance" else "/fapi/v1/"
    async with (
        server(playback) as sim,
        session.ws_connect(f"{sim.ws_url(venue)}{path}/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker") as ws,
    ):
        book, tickers, states = Book(spot=venue == "binance"), [], []
        await sim.play(1)  # join in the middle
        for n in range(3):
            for message in await drain(ws, session):
                data = message["data"]
                if "bookTicker" in message["stream"]:
                    tickers.append((data["u"], tuple(Decimal(data[key]) for key in "bBaA")))
                    continue
                book.diff(data)
                if book.id == data["u"]:
                    states.append((book.id, book.touch()))
            if n == 0:
                answer = await session.get(f"{sim.http_url(venue)}{rest}depth?symbol=BTCUSDT&limit=5000")
                assert book.snapshot(await answer.json())
            await sim.play(0.5)
    tickers.sort()
    judged = [(u, touch) for u, touch in states if tickers[0][0] <= u < tickers[-1][0]]
    assert len(judged) > 100
    assert book.gaps == 0
    for u, touch in judged:
        assert touch == tickers[bisect_right(tickers, u, key=lambda t: t[0]) - 1][1]


def test_what_is_no_recording_says_so(tmp_path):
    for source in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError):
            Playback("binance", source)
    wrong = tmp_path / "x.txt"
    wrong.write_text('{"no": "time"}\n')
    with pytest.raises(UsageError, match=r"x\.txt:1"):
        Playback("binance", wrong)
    with pytest.raises(UsageError, match="has no simulator"):
        Playback("nasdaq", wrong)
