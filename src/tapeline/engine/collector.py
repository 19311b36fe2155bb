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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from tapeline import __version__
from tapeline.clock import SECOND, Clock, LiveClock
from tapeline.config import SHAPING, Settings, VenueSettings
from tapeline.engine.engine import Engine
from tapeline.engine.loads import Loads
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError, Refused, Unreachable, UsageError, VenueError
from tapeline.frames import Frame, FrameKind, HttpAnswer, Session, pack_answer
from tapeline.instruments import Instrument, split_id
from tapeline.keys import key_of
from tapeline.market.sessions import prepare
from tapeline.masking import mask
from tapeline.plans import Again, Channel, ConnectionPlan, Request
from tapeline.tape.writer import TapeWriter, new_session_id
from tapeline.venues.base import Venue
from tapeline.venues.registry import venue_class
from tapeline.wire.budget import ConnectBudget
from tapeline.wire.funnel import Funnel
from tapeline.wire.http import Http
from tapeline.wire.supervisor import Supervisor

log = structlog.get_logger("tapeline.collector")
LIST_SHARE = 0.6  # of the time a venue has to answer, for its list of instruments; the rest is for the sockets
PAST_AFTER = 2 * SECOND
TICK_SECONDS = 0.05  # how late at most a timer fires where no frame comes


class Collector(Engine):
    """`data` None records nothing. Use: `start()`, `connect(...)`, and `stop()` in every case."""

    def __init__(self, settings: Settings, *, data: Path | None, clock: Clock | None = None) -> None:
        clock = clock or LiveClock()
        session = Session(
            id=new_session_id(clock),
            version=__version__,
            pipeline=msgspec.to_builtins(settings.pipeline),
            venues={name: {key: getattr(v, key) for key in SHAPING} for name, v in settings.venues.items()},
        )
        self.settings = settings
        self.venues: dict[str, VenueSettings] = dict(settings.venues)
        self.keys: dict[str, str] = {}  # of venues that need one; what is missing is looked for when it is needed
        super().__init__(Pipeline(settings.pipeline, self.venues), session.id, clock, "live")
        self.tape = TapeWriter(data, session, settings.tape, clock, on_trouble=self._trouble) if data else None
        self.https: dict[str, Http] = {}
        self.supervisors: list[Supervisor] = []
        self.door = Funnel(self.deliver)  # one for all, so that frames keep their order where one connection is behind
        self._by_connection: dict[int, Supervisor] = {}
        self.loads = Loads(lambda conn: self._by_connection[conn].plan.venue if conn in self._by_connection else "")
        self._budgets: dict[str, ConnectBudget] = {}
        self._next_connection = 0
        self._next_seq = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._ticker: asyncio.Task[None] | None = None
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
        if self.mode == "live" and any(simulated for _, simulated in self.pipeline.feeds):
            self.mode = "simulated"  # from the first answer of a simulated market on, and for good
        return self.events - before

    def _act(self) -> None:
        for request in self.pipeline.requests:
            if isinstance(request, Again):
                self._begin_anew_stream(request)
            elif (http := self.https.get(request.venue)) is not None:
                http.submit(request)
        self.pipeline.requests.clear()
        for connection, reason in self.pipeline.notices:
            if (supervisor := self._by_connection.get(connection)) is not None:
                supervisor.replace(reason, connection)
        self.pipeline.notices.clear()

    def _begin_anew_stream(self, again: Again) -> None:
        for supervisor in self.supervisors:
            for stream in supervisor.plan.streams:
                if stream.instrument == again.instrument and stream.channel == "book":
                    supervisor.begin_anew(stream, again.not_before)
                    return

    def _admit_lost(self) -> None:
        while self.tape is not None and (lost := self.tape.take_lost()) is not None:
            self.handle(lost[0], [lost[1]])
            log.warning("the tape is written again, with a hole", frames_lost=self.tape.stats().lost_frames)
            if self.supervisors:
                self._tasks.append(asyncio.create_task(self._begin_anew(), name="begin-anew"))

    async def _begin_anew(self) -> None:
        """Behind a hole everything is asked for again: first the lists, so that instruments have their names, then the streams."""
        await asyncio.gather(*(self._list(name, http) for name, http in self.https.items()))
        for supervisor in self.supervisors:
            supervisor.replace("the tape has a hole")

    def _trouble(self, reason: str) -> None:
        log.error("the tape cannot be written; the feed goes on unrecorded", reason=reason)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self.clock.now()
            if now >= self.pipeline.due:
                self.door([Frame(now, FrameKind.TICK, 0, b"")])

    # Life

    async def start(self) -> None:
        if self.tape is not None:
            self.handle(0, [self.tape.head])
            await self.tape.start()
        self._ticker = asyncio.create_task(self._tick(), name="tick")

    async def connect(self, instruments: Sequence[str], channels: Sequence[Channel]) -> None:
        """Open what these instruments need. Returns when the first connection is up.

        Raises ConfigError where a key is missing or refused, UsageError for an instrument that its venue does not list, VenueError
        where no venue answers within `settings.answer_seconds`; then nothing is left open and `connect` may be called again, with
        other addresses.
        """
        deadline = asyncio.get_running_loop().time() + self.settings.answer_seconds
        try:
            plans, refusals = await self._plan(instruments, channels)
            for plan in plans:
                self._supervise(plan)
            await self._first_open(refusals, max(1.0, deadline - asyncio.get_running_loop().time()))
        except (VenueError, UsageError, ConfigError):
            await self.disconnect("no answer")
            raise
        for refusal in refusals:
            log.warning("a venue did not list its instruments; names are derived, and it is tried on", reason=str(refusal))
        if self.settings.history:
            self._ask_for_the_past(plans)

    async def _plan(
        self, instruments: Sequence[str], channels: Sequence[Channel]
    ) -> tuple[list[ConnectionPlan], list[VenueError]]:
        by_venue: dict[str, list[str]] = {}
        for name in instruments:
            venue, symbol = split_id(name)
            by_venue.setdefault(venue_class(venue).name, []).append(symbol)
        answers = await asyncio.gather(*(self._list(name, self._http(name)) for name in by_venue))
        refusals = [_refusal(answer) for answer in answers if answer.status != 200]
        if all(self._hopeless(answer) for answer in answers):
            raise refusals[0]
        plans: list[ConnectionPlan] = []
        for answer, (name, symbols) in zip(answers, by_venue.items(), strict=True):
            chosen = [self._resolve(name, answer.simulated, s) for s in symbols]
            if sessions := {i.session for i in chosen if i.session}:
                await asyncio.to_thread(prepare, sessions, self.clock.now())  # a calendar takes a second to read
            plans += self._venue(name).plan(chosen, channels)
        return plans, refusals

    def _ask_for_the_past(self, plans: Sequence[ConnectionPlan]) -> None:
        """Candles of before the start, one request after the other; a little later, because the books' snapshots go first."""
        not_before = self.clock.now() + PAST_AFTER
        names = {stream.instrument for plan in plans for stream in plan.streams}
        for feed in self.pipeline.feeds.values():
            natives = sorted(i.native for i in feed.registry.by_id.values() if i.id in names)
            venue = self._venue(feed.venue.name)
            requests = [r for native in natives for r in venue.past_requests(native, not_before)]
            http = self.https.get(feed.venue.name)
            if http is not None and requests:
                self._tasks.append(asyncio.create_task(_ask_each(http, requests), name=f"past-{feed.label}"))

    def _hopeless(self, answer: HttpAnswer) -> bool:
        """No point in trying the socket: the venue refuses us, or its own address (not a mirror's) does not answer."""
        mirror = self.venues.get(answer.venue, VenueSettings()).ws_url
        return answer.status in _MEANINGS or (answer.status == 0 and not mirror)

    def _http(self, name: str) -> Http:
        limits = venue_class(name).limits
        http = self.https[name] = Http(name, limits, settings=self.settings.wire, clock=self.clock, deliver=self.door)
        return http

    async def _list(self, name: str, http: Http) -> HttpAnswer:
        """Ask for a venue's instruments. The answers' frames fill the registry on their way through the pipeline; that there was no
        answer is a frame, too, so that a replay knows what we knew. Returns the first answer.
        """
        venue = self._venue(name)
        requests, seconds = venue.instruments_requests(), self.settings.answer_seconds * LIST_SHARE
        answers = await asyncio.gather(*(self._answer(http, request, seconds) for request in requests))
        return answers[0]

    async def _answer(self, http: Http, request: Request, seconds: float) -> HttpAnswer:
        try:
            async with asyncio.timeout(seconds):
                answer, _ = await http.ask(request)
        except TimeoutError:
            url, error = mask(request.url), f"no answer within {seconds:g} s"
            answer = HttpAnswer(venue=request.venue, purpose=request.purpose, url=url, status=0, error=error)
            self.door([Frame(self.clock.now(), FrameKind.HTTP, 0, pack_answer(answer, b""))])
        return answer

    def _venue(self, name: str) -> Venue:
        """As the pipeline's, which has no key: what goes out to a venue is planned by this one. ConfigError without a key."""
        kind = venue_class(name)
        if kind.secret and name not in self.keys:
            self.keys[name] = key_of(kind.secret, kind.key_page)
        return kind(self.venues.get(name), self.keys.get(name, ""))

    def _resolve(self, venue: str, simulated: bool, symbol: str) -> Instrument:
        feed = self.pipeline.feed_of(venue, simulated)
        registry = feed.registry
        known = registry.by_id.get(f"{registry.label}:{symbol.upper()}") or registry.by_native.get(symbol.upper())
        if known is not None:
            return known
        if registry.listed:
            near = ", ".join(registry.nearest(symbol)) or "see `tapeline instruments`"
            raise UsageError(f"{venue} lists no {symbol}: did you mean {near}?")
        return feed.venue.derive(feed.venue.native_of(symbol), feed.label)

    def _supervise(self, plan: ConnectionPlan) -> None:
        budget = self._budgets.setdefault(plan.venue, ConnectBudget(plan.limits.connects_per_5_minutes))
        supervisor: Supervisor = Supervisor(
            plan,
            settings=self.settings.wire,
            clock=self.clock,
            deliver=self.door,
            next_conn=lambda: self._number(supervisor),
            dialect=self._venue(plan.venue),
            budget=budget,
            label=plan.venue,
        )
        self.supervisors.append(supervisor)
        task = asyncio.create_task(supervisor.run(), name=f"supervisor-{plan.venue}")
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The network never ends a supervisor, so this is a fault of ours, and nothing more would come: say so, end the stream."""
        if task.cancelled() or (error := task.exception()) is None or self.failed.is_set():
            return
        log.critical("the feed has stopped: a fault of Tapeline's own", exc_info=error)
        self.failure = error
        self.failed.set()
        self.bus.close()

    def _number(self, supervisor: Supervisor) -> int:
        self._next_connection += 1
        self._by_connection[self._next_connection] = supervisor
        return self._next_connection

    async def _first_open(self, refusals: Sequence[VenueError], seconds: float) -> None:
        """Until one connection is up; raises what kept them from it where none is."""
        waits = [asyncio.ensure_future(s.wait_open(seconds)) for s in self.supervisors]
        error = refusals[0] if refusals else Unreachable("there is nothing to connect to")
        try:
            for done in asyncio.as_completed(waits):
                try:
                    await done
                except VenueError as e:
                    error = e
                else:
                    return
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        raise error

    async def disconnect(self, reason: str = "stopped") -> None:
        await asyncio.gather(*(s.stop(reason) for s in self.supervisors), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(h.close() for h in self.https.values()), return_exceptions=True)
        self._tasks.clear()
        self.supervisors.clear()
        self.https.clear()

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
        """End the session, where that is not done yet, and close the tape."""
        await self.end()
        if self.tape is not None:
            await self.tape.close()
            self._admit_lost()
        self.bus.close()

    # What faces see

    def status(self) -> dict[str, Any]:
        status = super().status()
        connections = self.pipeline.connections
        status["connections"] = [
            {
                "id": s.id,
                "venue": connections[s.id].feed.label if s.id in connections else s.label,
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
                "latency_ms": connections[s.id].latency_ms if s.id in connections else None,
            }
            for s in (supervisor.state for supervisor in self.supervisors)
        ]
        status["venues"] = [self._venue_status(name, status["connections"]) for name in sorted(self.loads.of) if name]
        if self.tape is not None:
            tape = self.tape.stats()
            status["tape"] = msgspec.to_builtins(tape)
        return status

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


async def _ask_each(http: Http, requests: Sequence[Request]) -> None:
    for request in requests:
        await http.ask(request)


_MEANINGS = {
    403: "refused (HTTP 403): a firewall, or a ban",
    418: "this address is banned for a while (HTTP 418)",
    429: "too many requests (HTTP 429)",
    451: "not served in this country (HTTP 451)",
}


def _refusal(answer: HttpAnswer) -> VenueError:
    if answer.status:
        meaning = _MEANINGS.get(answer.status, f"HTTP {answer.status}")
        return Refused(f"{answer.venue}: {meaning}", answer.status)
    return Unreachable(f"{answer.venue}: {answer.error}")
