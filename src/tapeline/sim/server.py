"""The simulated venues on a loopback port.

    async with SimServer(seed=1) as sim:
        ...connect to sim.ws_url("binance") + "/stream", sim.http_url("binance") + "/api/v3/depth?symbol=BTCUSDT"
        sim.fault(Drop(stream="btcusdt@depth*"))
        sim.pause()                               # everything published, nothing more happens
        sim.book("binance", "BTCUSDT")            # the truth, to compare with

`SimServer.in_thread(...)` runs the same in a thread of its own, for callers that have no loop. Live, market time follows the
clock, in steps of 25 ms; with `live=False` it stands until `play(seconds)` moves it, as fast as the machine can, which makes
tests quick and repeatable.

Bounds: a client may have `max_buffer` bytes unsent, then it is closed (1008) and counted; a market that cannot keep pace (a
sleeping machine, a rate too high) skips what is more than five seconds behind, and counts it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tapeline.clock import SECOND, Clock, LiveClock
from tapeline.errors import UsageError
from tapeline.sim import wsframes
from tapeline.sim.actions import Actions
from tapeline.sim.faultbox import Armed, FaultBox
from tapeline.sim.faults import ActionFault, AnyFault, StaleSnapshot
from tapeline.sim.hub import Conn, Hub
from tapeline.sim.latent import STEP
from tapeline.sim.limits import Weights
from tapeline.sim.market import Market
from tapeline.sim.registry import choose, wire_class
from tapeline.sim.web import Doors
from tapeline.sim.wire import Hangup, SimBook, Wire

if TYPE_CHECKING:
    from tapeline.sim.playback import Playback
    from tapeline.sim.threaded import ThreadedSim

_BEHIND = 5 * SECOND
_CHUNK = 8  # steps between two looks at the sockets


class SimServer:
    def __init__(
        self,
        *,
        venues: Sequence[str | type[Wire]] = ("binance", "binance-usdm"),
        playback: Sequence["Playback"] = (),
        instruments: Sequence[str] | None = None,
        seed: int = 1,
        rate: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        live: bool = True,
        faults: Sequence[AnyFault] = (),
        rest_lag: float = 0.0,
        ping_seconds: float | None = None,
        pong_seconds: float | None = None,
        patience: float = 1.0,
        max_age: float = 86_400.0,
        max_buffer: int = 16 << 20,
        weight_budget: int | None = None,
        deflate: bool = False,
        wrapped_errors: bool = False,
    ) -> None:
        """`venues`: names, or the class of a wire of your own.

        `playback`: recordings that stand in for their venues; the market then has the other `venues` only.

        `instruments`: native names (BTCUSDT, or okx:BTC-USDT where one venue is meant); default: a handful a venue, and those
        venues of which none is named keep it. `rate` multiplies how much happens.

        Seconds throughout: `rest_lag` between taking and answering a book snapshot, `ping_seconds` and `pong_seconds` (None: the
        venue's own), `max_age` of a connection. `patience` multiplies the other periods that venues have (how soon to subscribe,
        how long to be idle). `deflate` offers permessage-deflate. UsageError on unknown names.
        """
        self.host, self.port, self.live, self.rest_lag = host, port, live, rest_lag
        self.clock = clock or LiveClock()
        kinds = [wire_class(v) if isinstance(v, str) else v for v in venues]
        kinds = [kind for kind in kinds if kind.venue not in {p.venue for p in playback}]
        rules = {kind.venue: kind.rules for kind in kinds}
        self.market = Market(choose(kinds, instruments or ()), rules, seed=seed, start=self.clock.now(), rate=rate)
        self.faults = FaultBox()
        self.hub = Hub(self.faults)
        self.wires: dict[str, Wire] = {kind.venue: kind(self.market, self.hub) for kind in kinds}
        for recording in playback:
            recording.attach(self.hub)
            self.wires[recording.venue] = recording
        for wire in self.wires.values():
            wire.patience = patience
        self.faults.wires = self.wires
        self.weights = {
            v: Weights(weight_budget or wire.weight_budget, wire.weight_seconds, bans=wire.weight_ban)
            for v, wire in self.wires.items()
        }
        self.ping_seconds, self.pong_seconds, self.max_age = ping_seconds, pong_seconds, max_age
        self.max_buffer, self.deflate, self.wrapped_errors = max_buffer, deflate, wrapped_errors
        self.paused = False
        self.skipped = self.closed_for_rate = self.closed_for_pong = self.closed_by_rule = 0
        self._initial = tuple(faults)
        self._runner: web.AppRunner | None = None
        self._pumping: asyncio.Task[None] | None = None
        self.actions = Actions(self)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """OSError where the port is taken."""
        self._runner = web.AppRunner(Doors(self).app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        for fault in self._initial:
            self.fault(fault)
        self._pumping = asyncio.create_task(self._pump(), name="sim-pump")

    async def stop(self) -> None:
        self.actions.cancel()
        if self._pumping is not None:
            self._pumping.cancel()
            with suppress(asyncio.CancelledError):
                await self._pumping
        for conn in list(self.hub.conns):
            conn.close(1001, "Going away")
        if self._runner is not None:
            await self._runner.cleanup()

    def ws_url(self, venue: str) -> str:
        """Without the path, as `venues.<venue>.ws_url` in the settings wants it."""
        return f"ws://{self._address(venue)}"

    def http_url(self, venue: str) -> str:
        return f"http://{self._address(venue)}"

    def _address(self, venue: str) -> str:
        if venue not in self.wires:
            raise UsageError(f"venue {venue!r} is not simulated here: running are {', '.join(self.wires)}")
        return f"{self.host}:{self.port}{f'/{venue}' if self.wires[venue].prefixed else ''}"

    def now(self) -> int:
        return self.clock.now() if self.live else self.market.now

    def book(self, venue: str, native: str) -> SimBook:
        if venue not in self.wires:
            raise UsageError(f"venue {venue!r} is not simulated here: running are {', '.join(self.wires)}")
        return self.wires[venue].truth(native)

    def status(self) -> dict[str, Any]:
        return {
            "connections": len(self.hub.conns),
            "streams": sum(len(conn.streams) for conn in self.hub.conns),
            "messages": self.hub.messages,
            "slow_closed": self.hub.slow_closed,
            "closed_for_rate": self.closed_for_rate,
            "closed_for_pong": self.closed_for_pong,
            "closed_by_rule": self.closed_by_rule,
            "skipped_seconds": self.skipped / SECOND,
            "paused": self.paused,
        }

    def _advance(self, to: int) -> None:
        for now in self.market.advance(to):
            for wire in self.wires.values():
                wire.publish(now)

    def pause(self) -> None:
        """Run on to the next whole second, so that every diff is out, and stop: books now equal `book()`."""
        if not self.paused:
            self._advance(-(-self.market.now // SECOND) * SECOND)
            self.paused = True
            self.hub.flush(self._loop_time())

    def resume(self) -> None:
        """Go on from here; the time in between did not happen."""
        self.paused = False
        if self.live:
            self.market.skip(self.clock.now())

    async def play(self, seconds: float) -> None:
        """With `live=False`: let so much market time pass, as fast as the sockets take it."""
        end = self.market.now + round(seconds * SECOND)
        while self.market.now + STEP <= end:
            self._advance(min(end, self.market.now + _CHUNK * STEP))
            self.hub.flush(self._loop_time())
            await asyncio.sleep(0)

    async def _pump(self) -> None:
        while True:
            behind = 0
            if self.live and not self.paused:
                behind = self._catch_up()
            self.hub.flush(self._loop_time())
            self._tend()
            await asyncio.sleep(0 if behind > STEP else (STEP - behind % STEP) / SECOND)

    def _catch_up(self) -> int:
        """Steps that are due, a few at a time; how far behind the market still is."""
        now = self.clock.now()
        if now - self.market.now > _BEHIND:
            self.skipped += now - STEP - self.market.now
            self.market.skip(now - STEP)
        self._advance(min(now, self.market.now + _CHUNK * STEP))
        return max(0, now - self.market.now)

    @staticmethod
    def _loop_time() -> float:
        return asyncio.get_running_loop().time()

    def admit(self, conn: Conn, wire: Wire) -> None:
        now = self._loop_time()
        conn.opened = conn.last_in = conn.last_out = now
        conn.next_ping = now + self._ping_period(wire)
        conn.max_buffer = self.max_buffer
        conn.stamp = wire.stamp if wire.stamps else None
        self.hub.conns.add(conn)
        for body in wire.opened(conn, self.now()):
            conn.text(body)
        conn.flush(now)

    def _ping_period(self, wire: Wire) -> float:
        return self.ping_seconds or wire.ping_seconds or float("inf")

    def _tend(self) -> None:
        """Pings that are due, pongs that did not come, connections past their age, and what the venue does by itself."""
        now = self._loop_time()
        for conn in list(self.hub.conns):
            wire = self.wires[conn.venue]
            if conn.closing:
                continue
            if conn.pinged and now - conn.pinged[1] > (self.pong_seconds or wire.pong_seconds):
                self.closed_for_pong += 1
                conn.close(1008, "Pong timeout")
            elif now - conn.opened > self.max_age:
                conn.close(1001, "Connection max age")
            elif now >= conn.next_ping:
                conn.next_ping = now + self._ping_period(wire)
                if conn.pings or conn.muted_until <= now:
                    self._ping(conn, now)
            elif conn.muted_until <= now:
                self._by_rule(conn, wire.tend(conn, now))

    def _by_rule(self, conn: Conn, verdict: Hangup | Sequence[bytes] | None) -> None:
        if isinstance(verdict, Hangup):
            self.closed_by_rule += 1
            conn.close(verdict.code, verdict.reason)
        else:
            for body in verdict or ():
                conn.text(body)

    def _ping(self, conn: Conn, now: float) -> None:
        payload = str(self.now() // 1_000_000).encode()
        if conn.pinged is None:
            conn.pinged = (payload, now)
        conn.transport.write(wsframes.encode(payload, wsframes.PING))

    def fault(self, fault: AnyFault) -> Armed:
        """Arm a fault; the answer counts its hits. Call it in the server's loop."""
        armed = self.faults.arm(fault)
        if isinstance(fault, StaleSnapshot):
            armed.frozen = {
                f"{venue}:{native}": wire.freeze(native)
                for venue, wire in self.wires.items()
                if fault.venue in {"", venue}
                for native in wire.natives()
            }
        if isinstance(fault, ActionFault):
            self.actions.arm(armed, fault)
        return armed

    @classmethod
    def in_thread(cls, **settings: Any) -> "ThreadedSim":
        """The same server in a thread of its own: `with SimServer.in_thread(seed=1) as sim:`."""
        from tapeline.sim.threaded import ThreadedSim  # it imports this module

        return ThreadedSim(settings)
