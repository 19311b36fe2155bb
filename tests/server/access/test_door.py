"""Connections that do nothing, or everything slowly: they are cut, they are bounded, and whoever asks properly is answered."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server import app
from tapeline.server.access import door
from tapeline.server.app import Server
from tests.server.fakes import BTC, T0, FakeSource, trade
from tests.waiting import until

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def impatient(source: FakeSource, tmp_path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(door, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(door, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(door, "SPARE", 2)
    monkeypatch.setattr(app, "most_connections", lambda: 4)
    server = Server(source, ServerSettings(port=0, history_trades=6000), ReplayClock(T0), page=tmp_path)
    await server.start()
    yield server
    await server.stop()


async def dial(server: Server) -> Connection:
    return await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the connection ended; it must end."""
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""


async def answered(server: Server) -> bytes:
    reader, writer = await dial(server)
    writer.write(HEAD + b"Connection: close\r\n\r\n")
    answer = await ended(reader)
    writer.close()
    return answer


@pytest.mark.parametrize("begin", [b"", b"G", HEAD, HEAD + b"Content-Length: 1000\r\n\r\n", b"\r\n\r\n"])
async def test_a_request_that_does_not_end(impatient: Server, begin: bytes) -> None:
    reader, writer = await dial(impatient)
    writer.write(begin)
    await ended(reader)
    writer.close()


async def test_a_request_byte_by_byte(impatient: Server) -> None:
    reader, writer = await dial(impatient)
    end = asyncio.ensure_future(ended(reader))
    try:
        while not end.done():
            writer.write(b"G")
            await asyncio.sleep(0.05)
    except ConnectionError:
        pass
    assert await end == b""
    writer.close()


async def test_an_answer_that_is_not_read(impatient: Server, source: FakeSource) -> None:
    source.push(*(trade(n) for n in range(6000)))
    reader, writer = await dial(impatient)
    writer.transport.pause_reading()
    ask = f"GET /api/v1/trades?instrument={BTC}&limit=5000 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    writer.write(ask * 20)
    connections = impatient._uvicorn.server_state.connections
    async with asyncio.timeout(30):
        while not connections:
            await asyncio.sleep(0.01)
        while connections:
            await asyncio.sleep(0.05)
    writer.close()
    assert reader is not None


async def test_connections_are_bounded_and_nobody_is_shut_out_for_long(impatient: Server) -> None:
    held = [await dial(impatient) for _ in range(30)]
    connections = impatient._uvicorn.server_state.connections
    async with asyncio.timeout(30):
        while b"200 OK" not in await answered(impatient):
            assert len(connections) <= 7
            await asyncio.sleep(0.02)
    for _, writer in held:
        writer.close()


async def test_a_connection_that_is_kept_alive_lives(impatient: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between requests it may rest longer than a request, or the reading of an answer, may take."""
    monkeypatch.setattr(door, "REQUEST_SECONDS", 1.5)  # longer than a busy machine stands still within a request
    monkeypatch.setattr(door, "ANSWER_SECONDS", 1.6)
    reader, writer = await dial(impatient)
    for rest in (1.8, 0.0):
        writer.write(HEAD + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        await asyncio.sleep(rest)
    writer.close()


async def test_half_of_the_files_stay_for_the_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for soft, most in ((64, 8), (256, 78), (1024, 462), (65536, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert door.most_connections() == most


async def test_what_a_client_does_is_not_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await dial(server)
    writer.write(b"\x16\x03\x01 no HTTP\r\n\r\n")
    assert b"400" in await ended(reader)
    writer.close()
    assert not caplog.records
    for path in (b"/api/v1/query", b"/api/v1/alerts/check", b"/login"):
        _, writer = await dial(server)
        head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{" % path
        gate = server.hub.gate
        requests = gate.requests
        writer.write(head)
        await until(lambda gate=gate, requests=requests: gate.requests > requests)
        writer.close()
        await until(lambda gate=gate: not gate.open)
    assert not caplog.records
    logging.getLogger("uvicorn.error").error("a fault of ours")
    assert [r.message for r in caplog.records] == ["a fault of ours"]
