"""The live engine: venues' sockets to the tape, the tape's frames to the pipeline, its events to the bus.

    supervisors, HTTP ──frames──▶ deliver ─▶ tape ─▶ pipeline ─▶ bus ─▶ sinks, server, strategies
                    ◀──requests, notices──────────────┘

Everything runs on one event loop and `deliver` is the only door, so the order of frames on the tape is the order in which they
are handled. Time that passes without frames enters through the same door: when a timer of the pipeline is due, a TICK frame
is delivered, and the replay fires that timer at the same place.

A hole in the tape (a full disk) ends what a replay could follow: the LOST frame makes live and replay begin anew together, and
every connection is opened again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from tapeline import __version__
from tapeline.clock import SECOND, Clock, LiveClock
from tapeline.config import SHAPING, Settings, VenueSettings
from tapeline.engine.checking import check, exchanges
from tapeline.engine.checkpoints import Checkpoints
from tapeline.engine.control import Control
from tapeline.engine.engine import Engine
from tapeline.engine.links import Link, Surroundings
from tapeline.engine.loads import Loads
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.room import Disk
from tapeline.engine.subscriptions import wanted
from tapeline.frames import Frame, FrameKind, Session, Switched, pack
from tapeline.market.sessions import prepare
from tapeline.plans import Again, Channel
from tapeline.tape.writer import TapeWriter, new_session_id
from tapeline.wire.funnel import Funnel
from tapeline.wire.poller import Poller
from tapeline.wire.supervisor import ConnectionState, Supervisor

log = structlog.get_logger("tapeline.collector")
MOST_NUMBERS = 256  # of connections, the open ones apart, whose supervisor is remembered
TICK_SECONDS = 0.05  # how late at most a timer fires where no frame comes


class Collector(Engine):
    """`data` None records nothing. Use: `start()`, `connect(...)`, and `stop()` in every case."""

    def __init__(self, settings: Settings, *, data: Path | None, clock: Clock | None = None) -> None:
        check(settings.pipeline)
        clock = clock or LiveClock()
        session = Session(
            id=new_session_id(clock),
            version=__version__,
            pipeline=msgspec.to_builtins(settings.pipeline),
            venues={name: {key: getattr(v, key) for key in SHAPING} for name, v in settings.venues.items()},
        )
        self.settings = settings
        self.venues: dict[str, VenueSettings] = dict(settings.venues)
        super().__init__(Pipeline(settings.pipeline, self.venues), session.id, clock, "live")
        self._disk = Disk(data) if data else None
        self.tape: TapeWriter | None = None
        if data:
            self.tape = TapeWriter(data, session, settings.tape, clock, on_trouble=self._trouble, on_recovery=self._recovered)
        self.door = Funnel(self.deliver)  # one for all, so that frames keep their order where one connection is behind
        around = Surroundings(settings, clock, self.door, self.pipeline.feed_of, self._run, self._number)
        self.control = Control(around, self.venues)
        self.control.refused = self._refused
        self._by_connection: dict[int, Supervisor] = {}
        self.loads = Loads(lambda conn: self._by_connection[conn].plan.venue if conn in self._by_connection else "")
        self._next_connection = 0
        self._next_seq = 0
        self.due_also: list[Callable[[], int]] = []  # when others want time to pass, our clock
        self._switched: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self.checkpoints: Checkpoints | None = None
        self.failure: BaseException | None = None  # a fault of ours that stopped the feed; the bus is closed then
        self.failed = asyncio.Event()

    # Frames

    def deliver(self, frames: list[Frame]) -> None:
        """Record, handle, act. Called on the loop by whatever receives."""
        self.loads.measure(frames, lambda: self._deliver(frames))

    def _deliver(self, frames: list[Frame]) -> int:
        """The number of events that were made."""
        before = self.events
        if self.tape is None:
            first, self._next_seq = self._next_seq, self._next_seq + len(frames)
        else:
            first = self.tape.append_many(frames) - len(frames) + 1
            self._admit_lost()
        self.handle(first, frames)
        if self.pipeline.requests or self.pipeline.notices:
            self._act()
        if self.checkpoints is not None:
            self.checkpoints.look()
        if self.mode == "live" and any(simulated for _, simulated in self.pipeline.feeds):
            self.mode = "simulated"  # from the first answer of a simulated market on, and for good
        return self.events - before

    def _act(self) -> None:
        for request in self.pipeline.requests:
            if isinstance(request, Again):
                self.control.begin_anew(request)
            elif (link := self.control.links.get(request.venue)) is not None:
                link.http.submit(request)
        self.pipeline.requests.clear()
        for connection, reason in self.pipeline.notices:
            if (supervisor := self._by_connection.get(connection)) is not None:
                supervisor.replace(reason, connection)
        self.pipeline.notices.clear()

    def _admit_lost(self) -> None:
        while self.tape is not None and (lost := self.tape.take_lost()) is not None:
            self.handle(lost[0], [lost[1]])
            log.warning(
                "there is a hole in the tape: more came than memory was to hold", frames_lost=self.tape.stats().lost_frames
            )
            if self.supervisors:
                self._track(asyncio.create_task(self.control.begin_all_anew(), name="begin-anew"))

    def _trouble(self, reason: str) -> None:
        held = f"up to {self.settings.tape.hold_mb} MB of it wait in memory"
        log.error("the tape cannot be written; the feed goes on", reason=reason, held=held)

    def _recovered(self) -> None:
        log.warning("the tape is written again")

    def switch(self, metrics: Iterable[str]) -> None:
        """Sample these metrics, too, from now to the end of the session. Names have been checked."""
        new = [name for name in metrics if name not in self._switched and name not in self.pipeline.metrics]
        if new:
            self._switched.update(new)
            self.door([Frame(self.clock.now(), FrameKind.SWITCHED, 0, pack(Switched(metrics=new)))])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self.clock.now()
            if now >= self.pipeline.due or any(now >= due() for due in self.due_also):
                self.door([Frame(now, FrameKind.TICK, 0, b"")])

    # Life

    async def start(self) -> None:
        if names := exchanges(self.settings.pipeline):
            await asyncio.to_thread(prepare, names, self.clock.now())
        if self.tape is not None:
            self.handle(0, [self.tape.head])
            await self.tape.start()
            self.checkpoints = Checkpoints(self.pipeline, self.tape, self.clock, self._track)
        self._ticker = asyncio.create_task(self._tick(), name="tick")

    async def connect(self, instruments: Sequence[str], channels: Sequence[Channel]) -> None:
        """Stream these channels of these instruments; see `Control.connect`."""
        await self.control.connect(wanted(instruments, channels))

    def _run(self, life: Supervisor | Poller) -> asyncio.Task[None]:
        task = asyncio.create_task(life.run(), name=f"{type(life).__name__.lower()}-{life.label}")
        task.add_done_callback(self._ended)
        return self._track(task)

    def _track(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The network never makes one fail, so this is a fault of ours, and nothing more would come: say so, end the stream."""
        if task.cancelled() or (error := task.exception()) is None or self.failed.is_set():
            return
        log.critical("the feed has stopped: a fault of Tapeline's own", exc_info=error)
        self.failure = error
        self.failed.set()
        self.bus.close()

    def _number(self, supervisor: Supervisor) -> int:
        self._next_connection += 1
        self._by_connection[self._next_connection] = supervisor
        if len(self._by_connection) > MOST_NUMBERS:
            self._forget_closed()
        return self._next_connection

    def _forget_closed(self) -> None:
        """But the newest: their first frame may still wait at the door."""
        newest = self._next_connection - MOST_NUMBERS // 2
        open_ = self.pipeline.connections
        self._by_connection = {n: s for n, s in self._by_connection.items() if n > newest or n in open_}

    @property
    def came_to_nothing(self) -> bool:
        """No connection was ever opened, and nothing was told either."""
        return not self._next_connection and not self.events

    @property
    def unrecorded(self) -> int:
        """Frames that were handled and are not on the tape, as a full disk did not take them; final once the tape is closed."""
        return 0 if self.tape is None else self.tape.stats().lost_frames

    @property
    def supervisors(self) -> list[Supervisor]:
        return [supervisor for link in self.control.links.values() for supervisor in link.supervisors]

    async def disconnect(self, reason: str = "stopped") -> None:
        await self.control.disconnect(reason)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def end(self) -> None:
        """Close every connection and end the session: the last frame is END. Sinks are to be closed between this and `stop`."""
        await self.disconnect()
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
            self.door([Frame(self.clock.now(), FrameKind.END, 0, b"")])
            self.door.flush()

    async def stop(self) -> None:
        """End the session, where that is not done yet, and close the tape. A start that came to nothing leaves none behind."""
        await self.end()
        if self.checkpoints is not None:
            self.checkpoints.close()
        if self.tape is not None and self.came_to_nothing:
            await self.tape.discard()
        elif self.tape is not None:
            await self.tape.close()
            self._admit_lost()
        self.bus.close()

    # What faces see

    def status(self) -> dict[str, Any]:
        status = super().status()
        status["connections"] = [self._connection_row(s.state) for s in self.supervisors] + [
            self._waiting_row(link) for link in self.control.links.values() if link.trouble is not None
        ]
        status["venues"] = [self._venue_status(name, status["connections"]) for name in sorted(self.loads.of) if name]
        if self.tape is not None:
            tape = self.tape.stats()
            status["tape"] = msgspec.to_builtins(tape)
        if self._disk is not None:
            status["disk"] = self._disk.row(status["now"])
        return status

    def _refused(self) -> dict[str, str]:
        return {
            connection.streams[name][1]: f"{name}: {error}"
            for connection in self.pipeline.connections.values()
            for name, error in connection.refused.items()
        }

    def _connection_row(self, s: ConnectionState) -> dict[str, Any]:
        connection = self.pipeline.connections.get(s.id)
        return {
            "id": s.id,
            "venue": s.label if connection is None else connection.feed.label,
            "protocol": s.venue,
            "url": s.url,
            "state": s.state,
            "since": s.since,
            "streams": s.streams,
            "frames": s.frames,
            "last_frame": s.last_frame,
            "attempts": s.attempts,
            "reconnects": s.reconnects,
            "last_error": s.last_error,
            "latency_ms": None if connection is None else connection.latency_ms,
        }

    def _waiting_row(self, link: Link) -> dict[str, Any]:
        """A venue that has not given its list yet is a connection that is down."""
        nothing = {"id": 0, "streams": 0, "frames": 0, "last_frame": 0, "attempts": 0, "reconnects": 0, "latency_ms": None}
        where = {"venue": link.name, "protocol": link.name, "url": "", "state": "down", "since": link.since}
        return {**nothing, **where, "last_error": str(link.trouble)}

    def _venue_status(self, protocol: str, connections: list[dict[str, Any]]) -> dict[str, Any]:
        load = self.loads.of[protocol]
        own = [c for c in connections if c["protocol"] == protocol]
        labels = [feed.label for feed in self.pipeline.feeds.values() if feed.venue.name == protocol]
        return {
            "protocol": protocol,
            "label": labels[-1] if labels else protocol,
            "connections": len(own),
            "streams": sum(c["streams"] for c in own),
            "frames": load.frames,
            "events": round(load.events),
            "cpu_seconds": load.cpu / SECOND,
        }
