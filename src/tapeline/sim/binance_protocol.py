"""Binance's protocol around the data, the same on spot, USD-M and in playback: addresses, control messages, refusals.

Source: binance-spot-api-docs (web-socket-streams.md, rest-api.md) and the derivatives' change notice of 2026 on split paths.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar
from urllib.parse import unquote

import msgspec

from tapeline.sim import binance_control, spoil
from tapeline.sim.hub import MILLIS, Conn
from tapeline.sim.wire import Place, Wire

_REFUSALS: dict[int, tuple[int, str]] = {
    418: (-1003, "Way too many requests; IP banned. Please use the websocket for live updates to avoid bans."),
    429: (-1003, "Too many requests; please use the websocket for live updates to avoid polling the API."),
    451: (
        0,
        (
            "Service unavailable from a restricted location according to 'b. Eligibility' in"
            " https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in error."
        ),
    ),
}


class BinanceProtocol(Wire):
    """`rest`: the prefix of HTTP addresses; `kinds`: the split paths; `roots`: first parts of paths that are its own."""

    rest: ClassVar[str]
    kinds: ClassVar[frozenset[str]] = frozenset()
    roots: ClassVar[frozenset[str]]
    prefixed = False
    weight_ban = True
    book_streams = "*@depth*"

    def owns(self, path: str) -> bool:
        return path.lstrip("/").partition("/")[0] in self.roots

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        parts = [unquote(p) for p in path.strip("/").split("/")]
        kind = parts.pop(0) if parts[0] in self.kinds else ""
        if parts[:1] == ["ws"]:
            return Place(kind, False, [p for p in parts[1:] if p])
        if parts == ["stream"]:
            return Place(kind, True, [s for s in query.get("streams", "").split("/") if s])
        return None

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> bytes:
        return binance_control.answer(self.hub, self, conn, data, wrapped=wrapped)

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        request_id = None
        with suppress(msgspec.DecodeError, AttributeError):
            request_id = msgspec.json.decode(data).get("id")
        return binance_control.ControlError(code, msg, request_id).answer(wrapped=wrapped)

    def shutdown_notice(self, conn: Conn, now: int) -> bytes:
        event = b'{"e":"serverShutdown","E":%d}' % (now // MILLIS)
        return b'{"stream":"!serverShutdown","data":%b}' % event if conn.combined else event

    def refusal(self, status: int) -> bytes | None:
        if status not in _REFUSALS:
            return None
        code, msg = _REFUSALS[status]
        return msgspec.json.encode({"code": code, "msg": msg})

    def endpoint(self, path: str) -> str | None:
        return path.removeprefix(self.rest) if path.startswith(self.rest) else None

    def headers(self, used: int) -> dict[str, str]:
        return {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}

    def split(self, payload: bytes) -> list[bytes]:
        return spoil.split_binance(payload)
