"""Faults that act on connections and on the market itself, at a time of their own (`faults.ActionFault`)."""

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tapeline.sim.faultbox import Armed
from tapeline.sim.faults import ActionFault, Burst, Close, Halt, Reset, Resnapshot, Shutdown, Silence
from tapeline.sim.hub import Conn

if TYPE_CHECKING:
    from tapeline.sim.server import SimServer


class Actions:
    def __init__(self, sim: "SimServer") -> None:
        self.sim = sim
        self._timers: set[asyncio.TimerHandle] = set()

    def cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def arm(self, armed: Armed, fault: ActionFault) -> None:
        self.later(fault.delay, lambda: self._act(armed, fault))

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        if seconds <= 0:
            action()
            return
        loop = asyncio.get_running_loop()
        self._timers = {t for t in self._timers if not t.cancelled() and t.when() > loop.time()}
        self._timers.add(loop.call_later(seconds, action))

    def _act(self, armed: Armed, fault: ActionFault) -> None:
        if armed not in self.sim.faults.armed:
            return
        armed.hits += 1
        conns = [c for c in self.sim.hub.conns if fault.venue in {"", c.venue}]
        match fault:
            case Silence():
                self._silence(conns, fault)
            case Close():
                for conn in conns:
                    conn.close(fault.code, fault.reason)
            case Shutdown():
                self._shut_down(conns, fault.grace)
            case Resnapshot():
                self._resnapshot(conns, fault.stream)
            case Burst():
                self.sim.market.burst(fault.factor, fault.seconds)
            case Halt():
                self._halt(fault)
            case Reset():
                for venue, native in self._instruments(fault.venue, fault.symbol):
                    self.sim.market.instruments[venue, native].reset_ids(fault.last)
        if fault.repeat > 0:
            self.later(fault.repeat, lambda: self._act(armed, fault))

    @staticmethod
    def _silence(conns: list[Conn], fault: Silence) -> None:
        now = asyncio.get_running_loop().time()
        for conn in conns:
            conn.flush()
            conn.muted_until, conn.pings = now + fault.seconds, fault.pings

    def _shut_down(self, conns: list[Conn], grace: float) -> None:
        for conn in conns:
            notice = self.sim.wires[conn.venue].shutdown_notice(conn, self.sim.now())
            if notice is not None:
                conn.text(notice)
                conn.flush()
            self.later(grace, lambda c=conn: c.close(1001, "Server shutdown"))  # type: ignore[misc]

    def _resnapshot(self, conns: list[Conn], pattern: str) -> None:
        for conn in conns:
            wire = self.sim.wires[conn.venue]
            for stream in list(conn.streams):
                if fnmatchcase(stream, pattern or wire.book_streams):
                    for body in wire.snapshot(stream):
                        self.sim.hub.send(conn, stream, body)

    def _instruments(self, venue: str, symbol: str) -> list[tuple[str, str]]:
        return [(v, n) for v, n in self.sim.market.instruments if venue in {"", v} and symbol in {"", n}]

    def _halt(self, fault: Halt) -> None:
        for venue, native in self._instruments(fault.venue, fault.symbol):
            self.sim.market.halt(venue, native)
            self._tell(venue, native, trading=False)
            if fault.seconds > 0:
                self.later(fault.seconds, lambda v=venue, n=native: self._reopen(v, n))  # type: ignore[misc]

    def _reopen(self, venue: str, native: str) -> None:
        self.sim.market.reopen(venue, native)
        self._tell(venue, native, trading=True)

    def _tell(self, venue: str, native: str, *, trading: bool) -> None:
        for stream, body in self.sim.wires[venue].trading_changed(native, trading=trading):
            self.sim.hub.publish(venue, stream, body.decode())
