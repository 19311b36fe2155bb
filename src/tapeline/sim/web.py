"""The doors: HTTP requests and WebSocket handshakes to the simulated venues.

Every answer carries `X-Tapeline-Simulated: 1`; it is the only thing by which a client can tell. All venues share one port. A
path begins with the venue's name (`/kraken/v2`, `/okx/ws/v5/public`), except for the two whose own paths differ: `/ws`, `/stream`
and `/api/v3/` are Binance spot, `/public/`, `/market/` and `/fapi/v1/` futures. Those too may have the name in front
(`/binance-usdm/ws`), which reaches the retired undivided futures addresses.

`/_sim/` is the control address: `GET` and `POST /_sim/faults` (one fault or a list, `DELETE` disarms), `POST /_sim/pause`,
`POST /_sim/resume`, `GET /_sim/book?venue=&symbol=`, `GET /_sim/status`.
"""

import asyncio
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web

from tapeline.errors import UsageError
from tapeline.sim import faults, wsframes
from tapeline.sim.hub import MICROS, MILLIS, Conn
from tapeline.sim.limits import too_many
from tapeline.sim.wire import Data, Reply, Wire

if TYPE_CHECKING:
    from tapeline.sim.server import SimServer

HEADER = "X-Tapeline-Simulated"


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json;charset=UTF-8", **(headers or {})})


def _refusal(wire: Wire, status: int, retry_after: float | None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    body = wire.refusal(status)
    if body is not None:
        return _json(body, status, headers)
    text = f"<html><body><h1>{status}</h1></body></html>"
    return web.Response(text=text, status=status, headers=headers, content_type="text/html")


class Doors:
    def __init__(self, sim: "SimServer") -> None:
        self.sim = sim

    def app(self) -> web.Application:
        app = web.Application()
        app.on_response_prepare.append(self._label)
        app.router.add_route("*", "/_sim/{what}", self._control)
        app.router.add_route("*", "/{path:.*}", self._any)
        return app

    @staticmethod
    async def _label(_: web.Request, response: web.StreamResponse) -> None:
        response.headers[HEADER] = "1"
        response.headers["Server"] = "nginx"

    def _resolve(self, path: str) -> tuple[Wire, str] | None:
        """The venue an address belongs to, and the path there."""
        wires = self.sim.wires
        head, _, rest = path.lstrip("/").partition("/")
        if head in wires:
            return wires[head], "/" + rest
        owner = next((wire for wire in wires.values() if wire.owns(path)), None)
        return (owner, path) if owner else None

    async def _any(self, request: web.Request) -> web.StreamResponse:
        found = self._resolve(request.path)
        if found is None:
            return web.Response(status=404, text="404 Not Found")
        wire, path = found
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request, wire, path)
        return await self._rest(request, wire, path)

    async def _rest(self, request: web.Request, wire: Wire, path: str) -> web.Response:
        sim, venue = self.sim, wire.venue
        failing = sim.faults.http(venue, path)
        if failing:
            return _refusal(wire, failing.status, failing.retry_after)
        refused = wire.admit(path, request.query, request.headers)
        if refused is not None:
            return _refusal(wire, refused, None)
        name, params = wire.endpoint(path), dict(request.query)
        if name is None:
            return web.Response(status=404, text="404 Not Found")
        verdict = sim.weights[venue].charge(wire.weight(name, params), sim.now())
        if verdict.status != 200:
            return _refusal(wire, verdict.status, verdict.retry_after)
        reply = await self._reply(wire, name, params)
        return _json(reply.body, reply.status, wire.headers(verdict.used))

    async def _reply(self, wire: Wire, name: str, params: dict[str, str]) -> Reply:
        sim, venue = self.sim, wire.venue
        if not any(fnmatchcase(name, pattern) for pattern in wire.book_endpoints):
            return wire.http(name, params, sim.now(), wire.freeze)
        stale, late = sim.faults.stale(venue), sim.faults.late(venue)
        seconds, fresh = (late.seconds, late.fresh) if late else (sim.rest_lag, False)

        def book(native: str) -> Any:
            return (stale or {}).get(f"{venue}:{native}") or wire.freeze(native)

        if fresh:
            await asyncio.sleep(seconds)
        reply = wire.http(name, params, sim.now(), book)
        if seconds and not fresh:
            await asyncio.sleep(seconds)
        return reply

    async def _socket(self, request: web.Request, wire: Wire, path: str) -> web.StreamResponse:
        sim = self.sim
        refused = sim.faults.refuse(wire.venue)
        if refused:
            return _refusal(wire, refused.status, refused.retry_after)
        place = wire.place(path, request.query)
        if place is None:
            return web.Response(status=404, text="404 Not Found")
        denied = wire.admit(path, request.query, request.headers)
        if denied is not None:
            return _refusal(wire, denied, None)
        kind, combined, streams = place
        if len(streams) > wire.max_streams:
            return web.Response(status=400, text="400 Bad Request")
        response = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=sim.deflate, max_msg_size=1 << 20, decode_text=False
        )
        with suppress(ConnectionResetError):  # gone already
            await response.prepare(request)
        transport = request.transport
        if transport is None or transport.is_closing():
            return response
        unit = MICROS if request.query.get("timeUnit", "").upper() == "MICROSECOND" else MILLIS
        conn = Conn(transport, wire.venue, path=kind, combined=combined, unit=unit, query=dict(request.query))
        if response.compress:
            conn.deflater = wsframes.Deflater(int(response.compress))
        sim.admit(conn, wire)
        for stream in streams:
            sim.hub.subscribe(conn, stream, served=wire.serves(stream, conn.path))
        try:
            async for message in response:
                if not self._incoming(conn, wire, message.type, message.data):
                    break
        finally:
            sim.hub.leave(conn)
            transport.close()
        return response

    def _incoming(self, conn: Conn, wire: Wire, kind: WSMsgType, data: Any) -> bool:
        """One message of the client; False ends the connection."""
        now = asyncio.get_running_loop().time()
        if kind not in {WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG}:
            if kind is WSMsgType.CLOSE and not conn.closing:
                conn.close(int(data or 1005))
            return False
        if conn.closing:
            return True
        conn.last_in = now
        if too_many(conn.incoming, now, wire.messages_per_second):
            self.sim.closed_for_rate += 1
            conn.close(*wire.rate_close)
            return True
        if kind is WSMsgType.PING:
            conn.put(wsframes.encode(bytes(data), wsframes.PONG))
        elif kind is WSMsgType.PONG:
            if conn.pinged and bytes(data) == conn.pinged[0]:
                conn.pinged = None
        else:
            self._command(conn, wire, bytes(data))
        if conn.muted_until <= now:
            conn.flush(now)
        return True

    def _command(self, conn: Conn, wire: Wire, data: bytes) -> None:
        fault = self.sim.faults.control(wire.venue)
        wrapped = self.sim.wrapped_errors
        if isinstance(fault, faults.AckError):
            if not (fault.one and wire.rejects_one):
                conn.text(wire.command_error(data, fault.code, fault.msg, wrapped=wrapped))
                return
            conn.reject = (fault.code, fault.msg)
        answers = wire.command(conn, data, wrapped=wrapped)
        conn.reject = None
        for answer in [answers] if isinstance(answers, bytes) else answers:
            if isinstance(answer, Data):
                self.sim.hub.send(conn, answer.stream, answer.body)
            else:
                self._acknowledge(conn, answer, fault)

    def _acknowledge(self, conn: Conn, ack: bytes, fault: faults.Fault | None) -> None:
        match fault:
            case faults.NeverAck():
                pass
            case faults.LateAck():
                self.sim.actions.later(max(0.001, fault.seconds), lambda: conn.text(ack))
            case faults.SwapAcks():
                conn.acks.appendleft(ack)
                if len(conn.acks) >= fault.times:
                    self._release(conn)
            case _:
                conn.text(ack)

    @staticmethod
    def _release(conn: Conn) -> None:
        while conn.acks:
            conn.text(conn.acks.popleft())

    async def _control(self, request: web.Request) -> web.Response:
        sim, what, method = self.sim, request.match_info["what"], request.method
        try:
            match what, method:
                case "faults", "POST":
                    records = msgspec.json.decode(await request.read())
                    for record in records if isinstance(records, list) else [records]:
                        sim.fault(faults.convert(record))
                case "faults", "DELETE":
                    sim.faults.clear()
                case "pause", "POST":
                    sim.pause()
                case "resume", "POST":
                    sim.resume()
                case "book", "GET":
                    return _json(msgspec.json.encode(sim.book(request.query["venue"], request.query["symbol"])))
                case "status", "GET":
                    return _json(msgspec.json.encode(sim.status()))
                case "faults", "GET":
                    pass
                case _:
                    return web.Response(status=404, text="404 Not Found")
        except (UsageError, msgspec.DecodeError, KeyError) as error:
            return _json(msgspec.json.encode({"error": str(error)}), 400)
        return _json(msgspec.json.encode([armed.report() for armed in sim.faults.armed]))
