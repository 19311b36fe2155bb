"""Keeps one `ConnectionPlan` connected until told to stop.

    ┌────────────▶ connecting ──opened──▶ up ──lost, closed, silent──▶ down ──backoff──┐
    │                  ▲  └──refused, unreachable──▶ down                              │
    │                  └──────────────────────────────────────────────────────────────┘
    │   up, and due (the venue's maximal age is near, or `replace()`):
    └── a successor connects while the old one goes on ─▶ successor ready: the old is closed (`planned`), the successor is up
                                                       ├▶ successor fails: backoff, again; the old goes on
                                                       └▶ the old dies first: the successor goes on alone

Where the venue allows one connection (`alone`) the old one is closed first, and what is said in between is missed.

A successor is ready once the venue acknowledged its streams and a grace of a second passed, so that both connections gave the
same messages for a while: whoever reads the frames joins them there, nothing lost. Each attempt costs one place in the venue's
connect budget.

`change()` begins and ends streams on the connections that are up, by messages, and every connection that comes later carries the
changed set; a connection that is being opened learns of it before its first message. Where it would take more than `MOST_UNSENT`
messages, a successor with the changed set is opened instead. Whoever reads the frames sees what was sent; of
streams that ended without a message (the connection was down, or was lost before the message went out) a GONE frame tells.

The network never makes `run()` raise; a fault of ours (in the frame handler, in this room) does.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import picows

from tapeline.clock import Clock
from tapeline.config import WireSettings
from tapeline.errors import Refused, Unreachable, VenueError
from tapeline.frames import Frame, FrameKind, Gone, pack
from tapeline.masking import mask
from tapeline.plans import ConnectionPlan, Dialect, Stream, carrying
from tapeline.wire.anew import Anew
from tapeline.wire.backoff import Backoff
from tapeline.wire.budget import ConnectBudget
from tapeline.wire.connection import Connection
from tapeline.wire.funnel import Deliver, Funnel
from tapeline.wire.handshake import connect
from tapeline.wire.state import ConnectionState, State

__all__ = ["ConnectionState", "Deliver", "Supervisor"]

GRACE_SECONDS = 1.0
HEAR_OUT_SECONDS = 3.0  # of one that was replaced: what it said before the goodbye may be a while on its way
MOST_UNSENT = 500
HOPELESS = frozenset({401, 403, 451})
AGE_MARGIN = 0.05
AGE_MARGIN_SECONDS = 600.0


class Supervisor:
    def __init__(
        self,
        plan: ConnectionPlan,
        *,
        settings: WireSettings,
        clock: Clock,
        deliver: Deliver,
        next_conn: Callable[[], int],
        dialect: Dialect,
        budget: ConnectBudget,
        rng: random.Random | None = None,
        label: str = "",
        grace: float = GRACE_SECONDS,
        alone: bool = False,
    ) -> None:
        """`alone`: the venue allows one connection, so a successor is opened when the old one has gone."""
        self.plan, self.label = plan, label or plan.venue
        self.last_fault: VenueError | None = None
        self.first_open = asyncio.Event()
        self._hopeless = asyncio.Event()
        self._settings, self._clock, self._budget, self._grace = settings, clock, budget, grace
        self._next_conn, self._dialect, self._alone = next_conn, dialect, alone
        self._rng = rng or random.Random()
        self._backoff = Backoff(settings.backoff_first, settings.backoff_most, settings.stable_seconds, self._rng)
        self._funnel = Funnel.around(deliver)
        self._stopping, self._stop_reason, self._stop_planned = asyncio.Event(), "stopped", False
        self._funnel.when_failed(self._stopping.set)
        self._done = asyncio.Event()
        self._running = False
        self._live: list[Connection] = []
        self._opening: Connection | None = None
        self._told: set[str] = (
            set()
        )  # streams that whoever reads the frames takes to be wanted, though nothing that is up has them
        self._anew = Anew(self._spoken_to, dialect, clock)
        self._reapers: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._past = (0, 0, 0, 0)  # frames, bytes, last frame, connections of those that ended
        self._state: State = "down"
        self._since = clock.now()

    # From outside

    async def run(self) -> None:
        """Connect, and stay connected, until `stop()`."""
        self._running = True
        life = asyncio.ensure_future(self._life())
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            life.cancel()
            await asyncio.wait({life})
            self._anew.stop()
            await self._leave()
            self._enter("down")
            self._done.set()
        fault = self._funnel.failed or self._fault or (None if life.cancelled() else life.exception())
        if fault is not None:
            raise fault

    async def stop(self, reason: str = "stopped", *, planned: bool = False) -> None:
        """Close with 1000 and return when CLOSED is out: within half a second or so, whatever the peer does.

        `planned`: nothing is left to carry.
        """
        self._stop_reason, self._stop_planned = reason, planned
        self._stopping.set()
        if self._running:
            await self._done.wait()

    def replace(self, reason: str, connection: int = 0) -> None:  # noqa: ARG002  the reason stands in the venue's message, on the tape
        """Open a successor and close the connection once it took over. Nothing happens while no connection is up.

        `connection`: only if this one is up still.
        """
        for live in self._live:
            if connection in (0, live.id):
                live.due.set()

    def change(self, add: Sequence[Stream] = (), remove: Sequence[Stream] = ()) -> None:
        """Begin and end streams without touching the others; those that are carried already, or not, are passed over."""
        unwanted, had = {s.name for s in remove}, {s.name for s in self.plan.streams}
        begun = [s for s in add if s.name not in had]
        ended = [s for s in self.plan.streams if s.name in unwanted]
        if not begun and not ended:
            return
        kept = [s for s in self.plan.streams if s.name not in unwanted]
        self.plan = carrying(self.plan, [*kept, *begun], self._dialect)
        if self._opening is not None:
            self._opening.replan(self.plan)
        for connection in self._live:
            connection.plan = self.plan
            connection.when_free(partial(self._tell, connection))
        self._admit_gone()

    def begin_anew(self, stream: Stream, not_before: int) -> None:
        """End a stream and begin it again on the connection that speaks now, not before then (ns UTC): see `anew`."""
        self._anew.want(stream, not_before)

    async def wait_open(self, seconds: float) -> None:
        """Return once a connection has opened. Raises, after `seconds`, what stood in the way last: Refused or Unreachable.

        A refusal that will not change in seconds (401, 403, 451) is raised at once; `run()` goes on trying all the same.
        """
        await _first(self.first_open.wait(), self._hopeless.wait(), seconds=seconds)
        if not self.first_open.is_set():
            where = f"{self.plan.venue} at {mask(self.plan.url)}"
            raise self.last_fault or Unreachable(f"{where}: no answer within {seconds:g} s")

    @property
    def up(self) -> bool:
        return bool(self._live)

    @property
    def state(self) -> ConnectionState:
        frames, size, last, ended = self._past
        for connection in self._live:
            frames, size, last = frames + connection.frames, size + connection.bytes, max(last, connection.last_frame)
        return ConnectionState(
            id=self._live[-1].id if self._live else 0,
            label=self.label,
            venue=self.plan.venue,
            url=mask(self.plan.url),
            state=self._state,
            since=self._since,
            streams=len(self.plan.streams),
            frames=frames,
            bytes=size,
            last_frame=last,
            attempts=self._backoff.failures,
            reconnects=max(0, ended + len(self._live) - 1),
            last_error=mask(str(self.last_fault or "")),
        )

    # Life

    async def _life(self) -> None:
        while True:
            connection: Connection | None = await self._establish(None)
            while connection is not None:
                connection = await self._keep(connection)

    async def _establish(self, old: Connection | None) -> Connection:
        """A connection that is open, however long it takes. `old` goes on meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._live:
                self._enter("connecting")
            await asyncio.sleep(self._budget.reserve(loop.time()))
            try:
                return await self._attempt(old)
            except VenueError as error:
                self.last_fault = error
                status, after = (error.status, error.retry_after) if isinstance(error, Refused) else (0, None)
                delay = self._backoff.delay(status, after)
                if status in HOPELESS:
                    self._hopeless.set()
            if not self._live:
                self._enter("down")
            await asyncio.sleep(delay)

    async def _attempt(self, old: Connection | None) -> Connection:
        connection = Connection(
            self.plan,
            settings=self._settings,
            clock=self._clock,
            funnel=self._funnel,
            next_conn=lambda: self._opened(connection),
            is_ack=self._dialect.is_ack,
            replaces=lambda: old.id if old is not None and not old.closed.done() else 0,
            attempt=self._backoff.failures,
        )
        self._opening = connection
        try:
            transport = await connect(connection, self._clock)
        finally:
            self._opening = None
        reaper = asyncio.ensure_future(self._reap(transport))
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)
        return connection

    def _opened(self, connection: Connection) -> int:
        """Called before the OPENED frame: by the time that a frame is handled, the connection is known here."""
        self._opening = None
        self._told -= connection.told
        self._live.append(connection)
        connection.closed.add_done_callback(lambda _: self._ended(connection))
        self._enter("up")
        self.first_open.set()
        return self._next_conn()

    async def _keep(self, connection: Connection) -> Connection | None:
        """Until it ends (None) or a successor took over (the successor)."""
        await _first(connection.due.wait(), connection.closed, seconds=self._age_left(connection))
        if connection.closed.done():
            await self._after(connection)
            return None
        uptime = self._uptime(connection)
        self._backoff.held(uptime)
        if uptime < self._settings.stable_seconds:
            await asyncio.sleep(self._backoff.delay())
        if self._alone:
            connection.close(1000, "opened anew, and the venue allows one connection", planned=True)
            await connection.closed
            return None
        return await self._succeed(connection)

    async def _succeed(self, old: Connection) -> Connection | None:
        while True:
            new = await self._establish(old)
            if await self._took_over(new, old):
                old.close(1000, f"replaced by connection {new.id}", planned=True, hear_out=HEAR_OUT_SECONDS)
                return new
            await self._after(new)
            if old.closed.done():
                return None

    async def _took_over(self, new: Connection, old: Connection) -> bool:
        """Whether `new` is fit to go on. It is when acknowledged, and also when there is nothing left to go back to."""
        hello = len(self.plan.hello) / max(1.0, self.plan.limits.messages_per_second - 1)
        patience = self._settings.connect_seconds + hello
        if not await _first(new.ready.wait(), new.closed, old.closed, seconds=patience):
            new.close(1000, f"its streams were not acknowledged within {patience:g} s")
            await new.closed
            return False
        await _first(new.closed, old.closed, seconds=self._grace)
        return not new.closed.done()

    async def _after(self, connection: Connection) -> None:
        """A connection ended unplanned: note why, wait before the next."""
        closed = connection.closed.result()
        text = f"{self.plan.venue} at {mask(self.plan.url)}: closed with {closed.code} {closed.reason}".rstrip()
        self.last_fault = Refused(text, closed.code)
        self._backoff.held(connection.ended_at - connection.opened_at)
        if not self._live:
            self._enter("down")
        await asyncio.sleep(self._backoff.delay())

    def _age_left(self, connection: Connection) -> float | None:
        """Seconds until a planned reconnect: before the venue's limit by 5 % or 10 minutes, and up to twice that by chance,
        so that connections opened together are not replaced together."""
        age = self.plan.limits.max_age_seconds
        if age is None:
            return None
        margin = min(age * AGE_MARGIN, AGE_MARGIN_SECONDS)
        return max(0.0, age - margin * (1.0 + self._rng.random()) - self._uptime(connection))

    @staticmethod
    def _uptime(connection: Connection) -> float:
        return asyncio.get_running_loop().time() - connection.opened_at

    # Ends

    def _ended(self, connection: Connection) -> None:
        frames, size, last, ended = self._past
        frames, size = frames + connection.frames, size + connection.bytes
        self._past = (frames, size, max(last, connection.last_frame), ended + 1)
        self._live.remove(connection)
        self._told |= connection.told.difference(*(live.told for live in self._live))
        self._admit_gone()

    # Streams begun and ended

    def _tell(self, connection: Connection) -> None:
        """Say to the venue what the plan has changed since it was last asked."""
        wanted, dialect = {s.name: s for s in self.plan.streams}, self._dialect
        ended = [s for name, s in connection.asked.items() if name not in wanted]
        begun = [s for name, s in wanted.items() if name not in connection.asked]
        number = connection.next_number
        leave = dialect.unsubscribe(ended, number) if ended else ()
        join = dialect.subscribe(begun, number + len(leave)) if begun else ()
        if len(leave) + len(join) > MOST_UNSENT:
            connection.due.set()
            return
        connection.asked, names = wanted, {s.name for s in ended}
        connection.told.update(s.name for s in begun)
        self._told -= connection.told
        if leave:
            connection.say(leave, dialect.acks(leave), lambda: connection.told.difference_update(names))
        if join:
            connection.say(join, dialect.acks(join))

    def _admit_gone(self) -> None:
        """Say which streams, told of by connections that have ended, no connection will carry again."""
        names = {s.name for s in self.plan.streams}
        gone = sorted(self._told - names)
        self._told &= names
        if gone:
            data = pack(Gone(venue=self.plan.venue, streams=gone))
            self._funnel([Frame(self._clock.now(), int(FrameKind.GONE), 0, data)])

    def _spoken_to(self, wanted: Sequence[Stream]) -> tuple[Connection, list[Stream]] | None:
        """The connection whose word counts, the elder of two, and which of `wanted` it is to carry."""
        names = {s.name for s in self.plan.streams}
        return (self._live[0], [s for s in wanted if s.name in names]) if self._live else None

    async def _reap(self, transport: picows.WSTransport) -> None:
        """Wait for the socket's end. picows hands over here what our own callbacks raised; protocol faults are known by then."""
        try:
            await transport.wait_disconnected()
        except picows.WSError:
            pass
        except Exception as error:  # noqa: BLE001  a fault of ours: run() raises it
            self._fault = error
            self._stopping.set()

    async def _leave(self) -> None:
        for connection in list(self._live):
            connection.close(1000, self._stop_reason, planned=self._stop_planned)
        if self._live:
            await asyncio.wait([c.closed for c in self._live])
        if self._reapers:
            await asyncio.wait(list(self._reapers), timeout=1.0)
        await asyncio.sleep(0)  # a connect that was cancelled closes its transport one turn later
        self._funnel.flush()

    def _enter(self, state: State) -> None:
        if state != self._state:
            self._state, self._since = state, self._clock.now()


async def _first(*waits: Awaitable[object], seconds: float | None) -> bool:
    """Wait for the first of `waits`, at most `seconds`. False: none came. Futures given are not cancelled."""
    tasks = [w if isinstance(w, asyncio.Future) else asyncio.ensure_future(w) for w in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for given, task in zip(waits, tasks, strict=True):
            if task is not given:
                task.cancel()
    return bool(done)
