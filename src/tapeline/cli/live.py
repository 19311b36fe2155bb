"""A live session put together: collector, sinks, repair of what earlier sessions left, and the page where it is wanted.

Order of the end, bounded to about two seconds: connections are closed, sinks commit what they have, the tape is sealed. What a sink
does not manage in time is on the tape, and the next start brings it in.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from tapeline.cli.collecting import settled
from tapeline.cli.simulated import SimulatedMarket
from tapeline.cli.tape_keeping import keep_small
from tapeline.clock import Clock
from tapeline.config import Settings, SinkSettings
from tapeline.engine import checking, subscriptions
from tapeline.engine.collector import Collector
from tapeline.engine.connections import label_of
from tapeline.engine.engine import Engine
from tapeline.engine.replay import batches
from tapeline.errors import ConfigError, UsageError, VenueError
from tapeline.sinks.base import Sink, SinkStats
from tapeline.sinks.recovery import repair
from tapeline.sinks.registry import make
from tapeline.sinks.runner import SinkRunner
from tapeline.sinks.worker import Worker
from tapeline.tape import reader

if TYPE_CHECKING:
    from tapeline.alerts.room import Room
    from tapeline.cli.chosen import Chosen
    from tapeline.lake.upkeep import Upkeep

log = structlog.get_logger("tapeline.live")
Market = Literal["auto", "live", "simulated"]
SINK_CLOSE_SECONDS = 0.8
"""For the sinks to commit what they have, once somebody wants to go."""
PATIENT_SECONDS = 20.0
"""How long sinks may go on before that where the time that was asked for is over; Ctrl-C cuts it short."""


def say(text: str) -> None:
    """For a person: standard error, never mixed with data."""
    print(f"tapeline: {text}", file=sys.stderr, flush=True)  # noqa: T201  to whoever started it


class LiveSession:
    """`async with LiveSession(settings) as session:` then `await session.connect(...)`; `session.collector` is the engine.

    `chosen`: what to stream, where it is not just what the settings name. Without `keep` nothing is written: no tape, no sinks.
    """

    def __init__(
        self, settings: Settings, chosen: "Chosen | None" = None, *, seed: int = 1, rate: float = 1.0, keep: bool = True
    ) -> None:
        self.settings, self.seed, self.rate = settings, seed, rate
        self._wanted = subscriptions.wanted(settings.instruments, settings.channels) if chosen is None else chosen.wanted
        self._configured = (settings.instruments, settings.channels) if chosen is None else chosen.configured
        self._lenient = chosen is not None and chosen.kept
        self._left_out: subscriptions.Wanted = {}  # that the simulated market lacks: the next session may have it again
        self.data, self._keeps = Path(settings.data), keep
        self.sinks: list[Sink] = []
        self.runners: list[SinkRunner] = []
        self.collector: LiveCollector
        self.alerts: Room | None = None
        self.address = ""  # of the page, where there is one, for who reads of an alert somewhere else
        self._market: SimulatedMarket | None = None
        self._stack = AsyncExitStack()
        self._repair: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._upkeep: Upkeep | None = None
        self._stopping = False
        self._hurry: asyncio.Event | None = None  # set to what stops the program, once it ends by itself

    async def __aenter__(self) -> "LiveSession":
        await self._begin()
        for text in checking.absent(self.settings.pipeline, self._wanted):
            say(text)
        return self

    async def _begin(self) -> None:
        if self._keeps:
            await self._begin_keeping()
        else:
            if self.settings.alerts.on and self.settings.alerts.rules:
                say("nothing is kept, so no alerts are raised: leave out --no-keep")
            self.collector = LiveCollector(self.settings, data=None)
            self.collector.control.tell, self.collector.control.prepare = say, self._prepare
            await self.collector.start()

    async def _begin_keeping(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise ConfigError("data", str(self.data), f"cannot be made: {e.strerror}; name another directory") from None
        recovered = reader.recover(self.data, on_unreadable=lambda _: None)  # said by the next
        kept = reader.sessions(self.data, on_unreadable=lambda e: say(f"{e}; its session is left aside"))
        earlier = {info.id: info.last_seq for info in kept if not info.live and info.frames}
        for torn in recovered:
            if torn.torn_bytes:
                say(f"tape {torn.segment}: {torn.torn_bytes} torn bytes of a crash dropped, {torn.last_seq + 1} frames kept")
        from tapeline.sinks import rebuild

        for name in rebuild.settle(self.data):
            say(f"{name}: an interrupted `tapeline repair` is finished")
        self.sinks = make(self.data, self.settings)
        for sink in self.sinks:  # before the tape: what may not be written is said once, by the first that needs it
            sink.open()
        self.collector = LiveCollector(self.settings, data=self.data)
        if self.settings.alerts.on:
            from tapeline.alerts.opening import open_room

            room = await open_room(self.collector, self.data, self.settings.alerts, lambda: self.address)
            self.alerts = self.collector.alerts = room
        control = self.collector.control
        control.tell, control.keep, control.prepare = say, self._keep, self._prepare
        await self.collector.start()
        if self.collector.tape is not None:
            self.collector.tape.seal_earlier()
            tape, chosen = self.collector.tape, self.settings.sinks
            self.runners = feed_sinks(self.collector, self.sinks, self.data, chosen, tape.synced, tape.lost_within)
        self._upkeep = self.collector.upkeep = upkeep_of(self.sinks, self.settings, self.collector.clock)
        for runner in self.runners:
            if runner.name == "lake":
                from tapeline.lake.tail import TailServer

                await self._stack.enter_async_context(TailServer(self.data, runner.tail))
        if self.alerts is not None:
            await self.alerts.begin(earlier)
        if earlier and self.sinks:
            self._repair = asyncio.create_task(self._mend(earlier), name="repair")
        small = keep_small(self.data, self.settings, self.sinks, self.collector.session, self.collector.clock)
        self._keeping = asyncio.create_task(small, name="retention")

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        if self._upkeep is not None:
            self._upkeep.ask_to_stop()
        if self.alerts is not None:
            await self.alerts.rest()
        await self.collector.end()
        closing = asyncio.create_task(self._close_sinks())
        await asyncio.gather(closing, *([] if self.alerts is None else [self.alerts.close()]))
        await self.collector.stop()
        self._tell_late(closing.result())
        for task in (self._repair, self._keeping):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._upkeep is not None:
            await asyncio.to_thread(self._upkeep.join)
        if self._market is not None:
            await self._market.close()
        await self._stack.aclose()

    async def _close_sinks(self) -> list[str]:
        """The names of those that did not manage all of it in time."""
        tape = self.collector.tape
        failing = tape is not None and tape.stats().state == "failing"  # without further frames it is not tried again
        patience = 0.0 if self._hurry is None or failing else PATIENT_SECONDS
        closing = (runner.close(SINK_CLOSE_SECONDS, patience=patience, hurry=self._hurry) for runner in self.runners)
        whole = await asyncio.gather(*closing)
        return [runner.name for runner, done in zip(self.runners, whole, strict=True) if not done]

    def _tell_late(self, late: Sequence[str]) -> None:
        """Once the tape is closed: a full disk may not have taken that either."""
        if late and not self.collector.came_to_nothing:
            what = (
                "are on the tape only" if not self.collector.unrecorded else "are missing, and not all of them are on the tape"
            )
            say(f"{', '.join(late)}: the last events {what}; the next start, or `tapeline repair`, brings in what is there")

    async def _mend(self, earlier: dict[str, int]) -> None:
        """Bring into the sinks what earlier sessions left on the tape, beside the live feed.

        In a daemon thread: a long replay must not keep Ctrl-C waiting, and the next start takes it up again.
        """
        worker = Worker("repair")
        catch_up = partial(batches, self.data, single=True)
        try:
            reports = await worker.call(
                lambda: repair(self.data, self.sinks, earlier, catch_up, stop=lambda: self._stopping),
            )
        except Exception as e:  # noqa: BLE001 - a fault of ours: nobody else waits for this task, and the feed goes on without
            say(f"earlier sessions could not be brought in ({type(e).__name__}: {e}); `tapeline verify` shows what is missing")
            return
        finally:
            worker.stop()
        for report in reports:
            if report.error:
                say(report.error)
            elif report.events:
                say(f"{report.sink}: {report.events} events of session {report.session} brought in from the tape")

    async def connect(self, market: Market) -> None:
        """Connect to the venues, or to the simulated market where none answers (`auto`) or it was asked for.

        Raises VenueError in `live` where no venue answers.
        """
        control, wanted = self.collector.control, self._wanted
        if market != "simulated":
            if self._lenient:
                wanted = self._without_keyless()
            try:
                await control.connect(wanted, lenient=self._lenient)
            except VenueError as e:
                if market == "live":
                    raise
                wanted = await self._simulate(f"no venue answered ({e})", "going on with the SIMULATED market")
            else:
                return
        else:
            wanted = await self._simulate("as asked for", "the SIMULATED market")
        try:
            await control.connect(wanted, lenient=self._lenient)
        except UsageError as e:
            raise UsageError(f"in the simulated market {e}") from None
        self._left_out = {name: channels for name, channels in self._left_out.items() if name not in control.wanted}

    def _without_keyless(self) -> subscriptions.Wanted:
        """A kept set may name venues whose key is gone, or that had none because the market was simulated: the others stream, and
        the set keeps them. Raises ConfigError where nothing would be left.
        """
        lacking: dict[str, ConfigError] = {}
        for venue in dict.fromkeys(map(venue_of, self._wanted)):
            try:
                self.collector.control.venue(venue)
            except ConfigError as e:
                lacking[venue] = e
        left = {name: channels for name, channels in self._wanted.items() if venue_of(name) not in lacking}
        for error in lacking.values():
            if not left:
                raise error
            say(f"{str(error).rstrip('.')}; until then its instruments are left out")
        self._left_out = {name: channels for name, channels in self._wanted.items() if name not in left}
        return left

    async def stream(self, stop: asyncio.Event, market: Market, seconds: float | None) -> bool:
        """Connect, then go on for `seconds` (None: for ever) or until `stop`; True where `stop` came first. Raises as `connect`,
        and what stopped the feed where a fault of our own did.
        """
        stopped = await until(stop, self.connect(market), seconds, self.collector.failed)
        if self.collector.failure is not None:
            raise self.collector.failure
        if not stopped:
            self._hurry = stop
        return stopped

    async def _simulate(self, why: str, what: str) -> subscriptions.Wanted:
        """From now on venues are simulated ones. What of the wanted they can have."""
        self._market = SimulatedMarket(self.collector, self.seed, self.rate)
        lacking = self._market.lacking(venue_of(name) for name in self._wanted)
        if self._lenient:
            self._left_out = dict(self._wanted)
        left = {name: channels for name, channels in self._wanted.items() if venue_of(name) not in lacking}
        if not left:
            raise UsageError(f"there is no simulator of {', '.join(lacking)}: name instruments of another venue")
        self._left_out |= {name: channels for name, channels in self._wanted.items() if name not in left}
        self.collector.mode = "simulated"
        await self._market.serve({venue_of(name) for name in left})
        self.collector.reason = why
        labels = ", ".join(sorted({f"{label_of(venue, simulated=True)}:…" for venue in self._market.venues}, key=len))
        without = f" There is no simulator of {', '.join(lacking)}: left out." if lacking else ""
        say(f"{why}: {what}. Every instrument is labelled {labels}; no price here is real.{without}")
        return left

    async def _prepare(self, venue: str) -> None:
        if self._market is not None:
            await self._market.serve([venue])

    async def _keep(self, wanted: subscriptions.Wanted) -> None:
        """Write down what is subscribed, for the next start. What the simulated market did not have stays in it."""
        left_out = {name: channels for name, channels in self._left_out.items() if name not in wanted}
        try:
            await asyncio.to_thread(subscriptions.save, self.data, self._configured, {**wanted, **left_out})
        except OSError as e:
            say(
                f"{self.data / subscriptions.FILE} cannot be written ({e.strerror}): the next start will not know of this change"
            )


def venue_of(name: str) -> str:
    return name.partition(":")[0]


class TellsOfSinks(Engine):
    """An engine whose status also tells of the sinks, which live a floor above it."""

    sink_stats: Callable[[], list[SinkStats]] = staticmethod(list)

    def status(self) -> dict[str, Any]:
        return super().status() | {"sinks": msgspec.to_builtins(self.sink_stats())}


class LiveCollector(TellsOfSinks, Collector):
    upkeep: "Upkeep | None" = None
    alerts: "Room | None" = None

    def status(self) -> dict[str, Any]:
        return super().status() | {
            "upkeep": None if self.upkeep is None else msgspec.to_builtins(self.upkeep.stats),
            "alerts": None if self.alerts is None else self.alerts.status(),
        }


def feed_sinks(
    engine: TellsOfSinks,
    sinks: Sequence[Sink],
    data: Path,
    settings: SinkSettings,
    synced: Callable[[int], Awaitable[None]],
    lost_within: Callable[[int, int], bool] = lambda _, __: False,
) -> list[SinkRunner]:
    """Start a runner from the engine's bus to each open sink; `data` is where the tape is that they catch up from."""

    def recorded(first: int, last: int) -> bool:
        return not lost_within(first, last)

    runners = []
    for sink in sinks:
        queue = engine.bus.subscribe(sink.name, settings.queue_events, "drop")
        catch_up = partial(batches, data, single=True)
        runner = SinkRunner(
            sink, queue, settings=settings, clock=engine.clock, synced=synced, catch_up=catch_up, recorded=recorded
        )
        runner.start()
        runners.append(runner)
    engine.sink_stats = lambda: [runner.stats for runner in runners]
    return runners


def upkeep_of(sinks: Sequence[Sink], settings: Settings, clock: Clock) -> "Upkeep | None":
    """Compaction and retention, started, where a sink is on that needs them."""
    if not {sink.name for sink in sinks} & {"lake", "sqlite"}:
        return None
    from tapeline.lake.upkeep import beside

    upkeep = beside(sinks, settings, clock, say)
    if upkeep is not None:
        upkeep.start()
    return upkeep


@asynccontextmanager
async def interruptible() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets; `event.signal` is not kept: ask `was_interrupted`. It is for commands that run for long,
    so what there is when they begin is kept from the garbage collector.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        with settled():
            yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def until(
    stop: asyncio.Event,
    work: Coroutine[Any, Any, None],
    seconds: float | None = None,
    failed: asyncio.Event | None = None,
) -> bool:
    """Do `work`, then wait `seconds` (None: for ever) or until `stop` or `failed`. True where `stop` came first."""
    stopping = asyncio.ensure_future(stop.wait())
    failing = asyncio.ensure_future((failed or asyncio.Event()).wait())
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await working
            await asyncio.wait({stopping, failing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return stopping.done()
    finally:
        for task in (stopping, failing, working):
            if not task.done():
                task.cancel()
        await asyncio.gather(stopping, failing, working, return_exceptions=True)
