"""Server-sent events read from the bare socket, as curl does: the WebSocket's own messages, a slow reader, the end."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server.access import door
from tapeline.server.app import Server
from tapeline.server.live import stream
from tapeline.server.live.hub import Limits
from tests.server.fakes import BTC, ETH, T0, FakeSource, bar, metrics, trade
from tests.server.live.test_hub import STUCK, flood, serving, viewing
from tests.waiting import until


class Events:
    """A reader of chunked HTTP and of the lines in it, written from the two specifications."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""
        self.comments: list[str] = []
        self.retry = ""
        self._rest = b""

    async def _more(self) -> None:
        if b"transfer-encoding: chunked" in self.head.lower():
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            body = await self.reader.readexactly(size + 2)
            assert body.endswith(b"\r\n")
            if size == 0:
                raise EOFError
            self._rest += body[:-2]
        else:
            got = await self.reader.read(65536)
            if not got:
                raise EOFError
            self._rest += got

    async def block(self) -> list[str]:
        while b"\n\n" not in self._rest:
            await self._more()
        block, _, self._rest = self._rest.partition(b"\n\n")
        return block.decode().split("\n")

    async def message(self) -> dict[str, Any]:
        while True:
            for line in await self.block():
                name, _, value = line.partition(":")
                if name == "data":
                    answer: dict[str, Any] = json.loads(value)
                    return answer
                if name == "retry":
                    self.retry = value.strip()
                else:
                    assert name == "", line  # neither `id` nor `event`: nothing is promised
                    self.comments.append(value)

    async def update(self, channel: str) -> dict[str, Any]:
        while True:
            message = await self.message()
            if message["channel"] == channel and message["type"] == "update":
                return message


@asynccontextmanager
async def streaming(server: Server, query: str, *, http: str = "1.1", small: bool = False) -> AsyncIterator[Events]:
    client = socket.socket()
    if small:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
    reader, writer = await asyncio.open_connection(sock=client, limit=2**20)
    writer.write(f"GET /api/v1/stream?{query} HTTP/{http}\r\nHost: localhost\r\n\r\n".encode())
    events = Events(reader, writer)
    events.head = await reader.readuntil(b"\r\n\r\n")
    try:
        yield events
    finally:
        writer.transport.abort()


async def test_the_very_messages_of_the_socket(server: Server, source: FakeSource) -> None:
    source.push(trade(0), trade(1), metrics(1))
    query = f"channel=trades&channel=metrics&instrument={BTC}"
    async with streaming(server, query) as events, viewing(server) as viewer:
        head = events.head.lower()
        assert head.startswith(b"http/1.1 200")
        assert b"content-type: text/event-stream" in head
        assert b"x-tapeline-mode: simulated" in head
        assert b"content-security-policy" in head
        assert await events.message() == await viewer.subscribe("trades", BTC)
        assert await events.message() == await viewer.subscribe("metrics", BTC)
        assert events.retry == "2000"
        await until(lambda: not any(v.behind for v in server.hub.viewers))
        source.push(trade(2), metrics(2))
        assert await events.update("trades") == await viewer.update("trades")
        assert await events.update("metrics") == await viewer.update("metrics")
        assert len(server.hub._feeds) == 2  # shared with the socket's


async def test_every_trade_once(server: Server, source: FakeSource) -> None:
    async with streaming(server, f"channel=trades&instrument={BTC}&instrument={ETH}") as events:
        await events.message()
        for n in range(0, 300, 3):
            source.push(trade(n), trade(n + 1, ETH), trade(n + 2))
        got: list[int] = []
        while len(got) < 300:
            message = await events.update("trades")
            assert message["missed"] == 0
            got += [int(t["id"]) for t in message["data"]]
        assert got == list(range(300))


async def test_options_of_the_channels(server: Server, source: FakeSource) -> None:
    source.push(bar(0, interval="5m"))
    async with streaming(server, f"channel=bars&channel=book&instrument={BTC}&interval=5m&depth=3") as events:
        bars, book = await events.message(), await events.message()
        assert bars["interval"] == "5m"
        assert len(bars["data"]) == 1
        assert len(book["data"][0]["bids"]) == 3
    async with streaming(server, "channel=status&channel=trades&instrument=*") as events:
        assert {(await events.message())["channel"], (await events.message())["channel"]} == {"status", "trades"}


async def test_http_1_0_has_no_chunks(server: Server, source: FakeSource) -> None:
    source.push(trade(7))
    async with streaming(server, f"channel=trades&instrument={BTC}", http="1.0") as events:
        assert b"chunked" not in events.head.lower()
        assert [t["id"] for t in (await events.message())["data"]] == ["7"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_parameter"),
        ("channel=news", 400, "bad_parameter"),
        ("channel=trades", 400, "missing_parameter"),
        ("channel=trades&instrument=x", 404, "unknown_instrument"),
        (f"channel=book&instrument={BTC}&depth=x", 400, "bad_parameter"),
        (f"channel=book&instrument={BTC}&depth=9999", 400, "bad_parameter"),
        ("channel=book&instrument=*", 400, "bad_parameter"),
        (f"channel=trades&instrument={BTC}&dept=3", 400, "unknown_parameter"),
    ],
)
async def test_a_wrong_question(http: Any, query: str, status: int, code: str) -> None:
    answer = await http.get(f"/api/v1/stream?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_no_more_viewers_than_there_is_room(source: FakeSource, tmp_path: Any) -> None:
    async with serving(source, tmp_path, Limits(viewers=1)) as server, streaming(server, "channel=status") as first:
        async with streaming(server, "channel=status") as second:
            assert second.head.startswith(b"HTTP/1.1 503")
        assert (await first.message())["channel"] == "status"


async def test_it_outlives_the_patience_for_an_answer_and_beats(
    source: FakeSource, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.15)
    server = Server(source, ServerSettings(port=0, push_hz=50), ReplayClock(T0), page=tmp_path)
    await server.start()
    async with streaming(server, f"channel=trades&instrument={BTC}") as events:
        await events.message()
        while len(events.comments) < 2:
            events.comments += [line for line in await events.block() if line.startswith(":")]
        source.push(trade(1))
        assert [t["id"] for t in (await events.update("trades"))["data"]] == ["1"]
    await server.stop()


async def test_who_goes_is_forgotten(server: Server) -> None:
    async with streaming(server, f"channel=trades&instrument={BTC}") as events:
        await events.message()
        assert len(server.hub.viewers) == 1
    await until(lambda: not server.hub.viewers)
    assert server.hub._timer is None
    assert server.hub._feeds == {}


async def test_a_slow_reader_is_told_what_it_missed(source: FakeSource, tmp_path: Any) -> None:
    async with (
        serving(source, tmp_path, Limits(stuck_seconds=60)) as server,
        streaming(server, f"channel=trades&instrument={BTC}", small=True) as slow,
    ):
        await slow.message()
        slow.writer.transport.pause_reading()
        total = await flood(source, lambda: server.hub.missed_trades > 2000)
        (state,) = server.hub.viewers
        assert state.pipe.backlog() < 1_000_000
        slow.writer.transport.resume_reading()
        got = missed = 0
        while got + missed < total:
            message = await slow.update("trades")
            got += len(message["data"])
            missed += message["missed"]
        assert got + missed == total
        assert missed >= 2000


async def test_a_stuck_reader_is_dropped_without_harm_to_another(source: FakeSource, tmp_path: Any) -> None:
    limits = Limits(stuck_seconds=STUCK)
    query = f"channel=trades&instrument={BTC}"
    async with serving(source, tmp_path, limits) as server, streaming(server, query) as good:
        await good.message()
        seen: list[int] = []

        async def read() -> None:
            while True:
                message = await good.update("trades")
                assert message["missed"] == 0
                seen.extend(int(t["id"]) for t in message["data"])

        reader = asyncio.create_task(read())
        async with streaming(server, query, small=True) as stuck:
            stuck.writer.transport.pause_reading()
            total = await flood(source, lambda: server.hub.dropped and len(server.hub.viewers) == 1)
        await until(lambda: len(seen) >= total)
        reader.cancel()
        assert seen == list(range(total))
        assert server.hub.status()["dropped_viewers"] == 1


async def test_the_server_goes(source: FakeSource, tmp_path: Any) -> None:
    """The answer ends as an answer ends: with its last chunk."""
    async with serving(source, tmp_path, Limits()) as server, streaming(server, "channel=status") as events:
        await events.message()
        await server.stop()

        async def rest() -> None:
            while True:
                await events.message()

        with pytest.raises(EOFError):
            await rest()


async def test_head_says_what_it_would_be(http: Any) -> None:
    answer = await http.head(f"/api/v1/stream?channel=trades&instrument={BTC}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
