"""A whole session against a venue that says our key back wherever it can: it must stand nowhere afterwards.

Searched are the tape (its bytes and every frame in it), SQLite, the lake, everything the API answers, standard error with the
logs, and the texts of what was raised. In any spelling in which the venue said it.
"""

import asyncio
import json
import re
import sqlite3
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pyarrow.parquet as pq
import pytest
from aiohttp import WSMsgType, web

from tapeline import masking
from tapeline.cli import logs
from tapeline.cli.live import LiveSession
from tapeline.config import Settings, TapeSettings, VenueSettings
from tapeline.errors import TapelineError
from tapeline.events import Bar, Ticker, Trade, to_json
from tapeline.server.app import Server
from tapeline.tape import reader
from tests.live.rig import QUICK
from tests.waiting import until

KEY = 'c0ff/ee"5ecret&key'
CORE = "5ecret"
AS_JSON = json.dumps(KEY)[1:-1]
SPELT = (
    AS_JSON,
    AS_JSON.replace("/", "\\/"),
    "".join(f"\\u{ord(c):04X}" for c in KEY),
    "c0ff%2Fee%225ecret%26key",
    "c0ff/ee&quot;5ecret&amp;key",
)
NOW = 1_795_270_000_000


class Hostile:
    """The first three sockets talk, each ends in its own way; the fourth and all after are refused."""

    def __init__(self) -> None:
        self.sockets = self.quotes = 0
        self.keys: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            self.keys.add(request.query["token"])
            self.sockets += 1
            if self.sockets > 3:
                return web.Response(
                    status=403, text=f"{'-' * 180} {KEY} may not", headers={"Retry-After": "0.2", "X-Key": KEY.replace('"', "")}
                )
            return await self.socket(request)
        self.keys.add(request.headers["X-Finnhub-Token"])
        return self.answer(request)

    def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/quote"):
            self.quotes += 1
            if self.quotes % 3 == 0:
                return web.Response(status=500, text=KEY, headers={"Retry-After": KEY})
            return web.Response(text=f'{{"c":1.5,"h":2,"l":1,"o":1,"t":{NOW // 1000},"for":"{AS_JSON}"}}')
        if request.path.endswith("/crypto/symbol"):
            return web.Response(status=302, headers={"Location": f"/elsewhere?token={SPELT[3]}"}, text=KEY)
        if request.path.endswith("/forex/symbol"):
            return web.Response(text=f"{KEY}: no JSON")
        listed = [f'{{"symbol":"{s}","description":"{AS_JSON}","currency":"USD"}}' for s in ("AAPL", *SPELT[:3])]
        return web.Response(text=f"[{','.join(listed)}]")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        number, ws = self.sockets, web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        for said in SPELT:
            await ws.send_str(f'{{"type":"error","msg":"{said} is not welcome"}}')
            await ws.send_str(f'{{"type":"{said}"}}')
            await ws.send_str(f'{{"data":[{{"p":1,"s":"{said}","t":{NOW},"v":1,"c":["{said}"]}}],"type":"trade"}}')
        await ws.send_str(f'{{"data":[{{"p":2,"s":"AAPL","t":{NOW},"v":1}}],"type":"trade"}}')
        await ws.send_str(f"{'.' * 100}{KEY}: broken and cut")
        await ws.send_bytes(KEY.encode())
        await ws.ping(KEY.encode())
        await asyncio.sleep(0.05)
        if number == 1:
            await ws.close(code=4001, message=KEY.encode())
        elif number == 2:
            assert request.transport is not None
            request.transport.abort()
        else:
            await ws.close(code=1008, message=f"token={KEY}".encode())
        async for message in ws:
            if message.type is WSMsgType.CLOSE:
                break
        return ws


@asynccontextmanager
async def hostile() -> AsyncIterator[tuple[Hostile, str]]:
    venue, app = Hostile(), web.Application()
    app.router.add_route("*", "/{path:.*}", venue.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield venue, f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def found(where: str, text: str) -> list[str]:
    """The places where the key stands, in a form in which it could be read."""
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    return [f"{where}: …{text[max(0, m.start() - 60) : m.end() + 60]!r}…" for m in re.finditer(CORE, plain)]


def tape(data: Path) -> list[str]:
    frames = [f.data.decode("utf-8", "replace") for s in reader.sessions(data) for _, f in reader.read(data, s.id)]
    assert sum("***" in f for f in frames) > 20, "that it was said can be seen"
    return [place for f in frames for place in found("tape", f)]


def database(data: Path) -> list[str]:
    places: list[str] = []
    for path in data.rglob("*.sqlite"):
        with sqlite3.connect(path) as db:
            for (table,) in db.execute("select name from sqlite_master where type = 'table'"):
                places += [
                    p for row in db.execute(f'select * from "{table}"') for p in found(f"{path.name} {table}", repr(row))
                ]
        db.close()
    return places


def lake(data: Path) -> list[str]:
    return [p for path in data.rglob("*.parquet") for p in found(path.name, repr(pq.ParquetFile(path).read().to_pylist()))]


def files(data: Path) -> list[str]:
    names = [p for path in data.rglob("*") for p in found("name", str(path))]
    return names + [
        p for path in data.rglob("*") if path.is_file() for p in found(path.name, path.read_bytes().decode("latin-1"))
    ]


async def api(address: str) -> list[str]:
    asked = ("status", "instruments", "trades?instrument=finnhub:AAPL", "alerts")
    places: list[str] = []
    async with aiohttp.ClientSession() as http:
        for path in (*(f"/api/v1/{a}" for a in asked), "/metrics", "/readyz"):
            async with http.get(address + path) as answer:
                text = await answer.text()
            assert text
            places += found(path, text)
    return places


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setenv("FINNHUB_API_KEY", KEY)
    logs.configure(as_json=True, verbose=True)
    return tmp_path / "data"


async def test_the_key_stands_nowhere(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[Any] = []
    async with hostile() as (venue, host):
        at = VenueSettings(ws_url=f"ws://{host}", http_url=f"http://{host}", requests_per_minute=6000)
        settings = Settings(
            instruments=("finnhub:AAPL",), channels=("trades",), data=str(settled), wire=QUICK, tape=TapeSettings(flush_ms=20),
            venues={"finnhub": at},
        )  # fmt: skip
        async with LiveSession(settings) as session:
            collector = session.collector
            collector.bus.tap(lambda batch: said.extend(batch.events))
            server = Server(collector, msgspec.structs.replace(settings.server, port=0), collector.clock)
            address = await server.start()
            await session.connect("live")
            await until(lambda: venue.sockets > 4 and venue.quotes > 6)
            await until(lambda: {Trade, Ticker, Bar} <= {type(e) for e in said})
            places = await api(address)
            fault = collector.supervisors[0].last_fault
            await server.stop()
    assert venue.keys == {KEY}, "the venue gets it, and no other form of it"
    assert fault is not None
    text = b"\n".join(to_json(e) for e in said).decode()
    for reason in (
        "finnhub refused something: *** is not welcome",
        "malformed frame",
        "code 4001: ***",
        "was refused: HTTP 500",
    ):
        assert reason in text, reason
    heard = capsys.readouterr()
    places += found("events", text) + found("standard error", heard.err) + found("standard output", heard.out)
    places += found("error", "".join(traceback.format_exception(fault)))
    places += tape(settled) + database(settled) + lake(settled) + files(settled)
    assert places == []


async def test_it_stands_in_no_error_that_ends_the_start(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=401, text=f"{KEY} is unknown")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    at = VenueSettings(ws_url=f"ws://{host}", http_url=f"http://{host}")
    settings = Settings(instruments=("finnhub:AAPL",), data=str(settled), wire=QUICK, venues={"finnhub": at})
    with pytest.raises(TapelineError) as caught:
        async with LiveSession(settings) as session:
            await session.connect("auto")
    await runner.cleanup()
    assert "HTTP 401" in str(caught.value)
    trace = "".join(traceback.format_exception(caught.value))
    heard = capsys.readouterr()
    assert "SIMULATED" not in heard.err, "a wrong key is no reason to show another market"
    assert found("error", trace) + found("standard error", heard.err) + files(settled) == []
