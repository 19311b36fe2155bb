"""The WebSocket under `tapeline top`: kept open, asked for what is shown, come again after each loss.

What is asked for is the status, the touch and the minutes of everything, and book and trades of one instrument. A connection
that is lost is tried again after 0.5 s, then twice as long each time, to 5 s at most; what is wanted is asked for anew, and
snapshots fill it.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from tapeline.terminal.state import Link

FIRST_SECONDS, MOST_SECONDS = 0.5, 5.0
DEPTH = 40
MAX_MESSAGE = 16 * 1024 * 1024
ALL = ("status", "quotes", "bars")
Say = Callable[[Link, str], None]


class Feed:
    """`run` until cancelled. `take` gets each message, `say` what became of the connection; `headers` open it."""

    def __init__(
        self, address: str, take: Callable[[dict[str, Any]], None], say: Say, headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = address.replace("http", "ws", 1) + "/api/v1/ws"
        self._take, self._say, self._headers = take, say, dict(headers or {})
        self._chosen = ""
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        wait = FIRST_SECONDS
        while True:
            self._say("connecting", "")
            try:
                async with connect(
                    self.url, proxy=None, max_size=MAX_MESSAGE, open_timeout=5, additional_headers=self._headers
                ) as socket:
                    self._say("open", "")
                    wait = FIRST_SECONDS
                    await self._stay(socket)
                why = "the server closed the connection"
            except (OSError, TimeoutError, WebSocketException) as e:
                why = _words(e)
            finally:
                self._socket = None
            self._say("closed", why)
            await asyncio.sleep(wait)
            wait = min(2 * wait, MOST_SECONDS)

    async def _stay(self, socket: ClientConnection) -> None:
        self._socket = socket
        await self._ask(socket)
        async for raw in socket:
            self._take(msgspec.json.decode(raw))

    async def _ask(self, socket: ClientConnection) -> None:
        for channel in ALL:
            await _call(socket, "subscribe", channel, () if channel == "status" else ("*",))
        if self._chosen:
            await self._watch("subscribe", self._chosen)

    async def refresh(self) -> None:
        """New snapshots of all that is watched."""
        if self._socket is not None:
            with suppress(WebSocketException):
                await self._ask(self._socket)

    async def choose(self, instrument: str) -> None:
        """Book and trades of this one, and of no other."""
        before, self._chosen = self._chosen, instrument
        if before == instrument or self._socket is None:
            return
        with suppress(WebSocketException):  # it is being lost: `run` asks again
            if before:
                await self._watch("unsubscribe", before)
            await self._watch("subscribe", instrument)

    async def _watch(self, method: str, instrument: str) -> None:
        if self._socket is not None:
            for channel in ("book", "trades"):
                await _call(self._socket, method, channel, (instrument,))


async def _call(socket: ClientConnection, method: str, channel: str, instruments: tuple[str, ...]) -> None:
    params: dict[str, Any] = {"channel": channel}
    if instruments:
        params["instruments"] = instruments
    if channel == "book":
        params["depth"] = DEPTH
    await socket.send(msgspec.json.encode({"method": method, "params": params}), text=True)


def _words(error: Exception) -> str:
    if isinstance(error, InvalidStatus) and error.response.status_code == 401:
        return "it wants a token: set TAPELINE_SERVER_TOKEN here, in the environment, in .env or in the keyring"
    if isinstance(error, InvalidHandshake):
        return f"what answers there is no Tapeline ({error})"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
