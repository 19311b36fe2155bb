"""The Python face: `stream` what happens now, `replay` what was recorded; both give the same events. `open` asks what is kept.

async for event in tl.stream("binance:BTC-USDT", channels=["trades", "book"]):
    ...
for event in tl.replay("data", instruments=["binance:BTC-USDT"], start="2026-11-20T09:00"):
    ...
tl.open("data").sql("select venue, count(*) from trades group by 1")
"""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Collection, Coroutine, Iterator, Mapping
from pathlib import Path
from types import AsyncGeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from tapeline.clock import parse_iso
from tapeline.config import Settings
from tapeline.engine.bus import Missed
from tapeline.engine.collector import Collector
from tapeline.engine.replay import replay as _replay
from tapeline.engine.subscriptions import Wanted, joined, less, wanted
from tapeline.errors import UsageError
from tapeline.events import Event, Flag, Status
from tapeline.instruments import split_id
from tapeline.plans import Channel
from tapeline.settings import load
from tapeline.venues.registry import venue_class

if TYPE_CHECKING:
    from tapeline.lake.lake import Lake

QUEUE_EVENTS = 100_000


def stream(
    *instruments: str,
    channels: Collection[Channel] = ("trades", "book"),
    data: str | Path | None = None,
    settings: Settings | None = None,
) -> "Stream":
    """Events of these instruments as they happen, until the consumer stops asking. Status events come with them.

    `data`: a directory to record the tape into (default: nothing is kept). A consumer that falls more than 100,000 events
    behind loses some, and is told how many by a `gap` status of the channel "consumer". The first event asked for raises VenueError
    where no venue answers, UsageError for what does not exist. Close it (`aclosing`, `async with`, or leaving the loop) to close the
    connections. While it runs, `add` and `remove` change what it streams.
    """
    if not instruments:
        raise UsageError("stream() needs at least one instrument, as in stream('binance:BTC-USDT')")
    settings = settings or load().settings
    return Stream(_Session(settings, None if data is None else Path(data), instruments, tuple(channels)))


class Stream:
    """An async iterator of events; `stream()` makes one. Usable in one event loop, by one consumer; `add` and `remove` by anybody.

    Nothing is connected before the first event is asked for.
    """

    def __init__(self, session: "_Session") -> None:
        # The generator knows the session and not this object, so that it is closed as soon as nobody holds this object any more.
        self._session = session
        self._events = cast("AsyncGeneratorType[Event, None]", _events(session))

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        return _over() if self._session.ended.is_set() else self._events.__anext__()

    async def add(self, *instruments: str, channels: Collection[Channel] | None = None) -> tuple[str, ...]:
        """Stream these beside the rest, or further channels of some; by default the channels that `stream` was given. Their names.

        Raises UsageError with the nearest names for what a venue does not list, VenueError where a new venue does not answer,
        ConfigError where it needs a key. Of several, those that can be had are streamed all the same.
        """
        return await self._session.add(instruments, self._session.channels if channels is None else tuple(channels))

    async def remove(self, *instruments: str, channels: Collection[Channel] | None = None) -> tuple[str, ...]:
        """Stream these, or only these channels of them, no more. Raises UsageError for what is not streamed."""
        return await self._session.remove(instruments, None if channels is None else tuple(channels))

    @property
    def subscriptions(self) -> Mapping[str, tuple[Channel, ...]]:
        """What is streamed, as it was asked for: `binance:BTC-USDT` → its channels."""
        return self._session.wanted

    async def aclose(self) -> None:
        """Close the connections and end the loop that reads this, whoever runs it. A second time it does nothing."""
        session, first = self._session, not self._session.closing
        session.closing = True
        if self._events.ag_running:  # somebody waits for the next event
            if session.collector is not None:
                session.collector.bus.close()
            await session.ended.wait()
        elif first:
            await self._events.aclose()
            session.ended.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _over() -> Event:
    raise StopAsyncIteration


class _Session:
    """What is streamed. Until `begin`, changes are only noted."""

    def __init__(
        self, settings: Settings, data: Path | None, instruments: Collection[str], channels: tuple[Channel, ...]
    ) -> None:
        self.channels = channels
        self.collector: Collector | None = None
        self.closing = False
        self.ended = asyncio.Event()
        self._settings, self._data = settings, data
        self._noted: Wanted = wanted(instruments, channels)

    @property
    def wanted(self) -> Wanted:
        return dict(self._noted) if self.collector is None else self.collector.control.wanted

    async def begin(self, collector: Collector) -> None:
        await collector.start()
        self.collector = collector
        await collector.control.connect(self._noted)

    def open(self) -> Collector:
        return Collector(self._settings, data=self._data)

    async def add(self, instruments: Collection[str], channels: tuple[Channel, ...]) -> tuple[str, ...]:
        self._check()
        if self.collector is not None:
            changed = await self.collector.control.subscribe(instruments, channels)
            changed.check()
            return changed.done
        for name in instruments:
            venue_class(split_id(name)[0])
        for name in instruments:
            self._noted[name] = joined(self._noted.get(name, ()), channels)
        return tuple(instruments)

    async def remove(self, instruments: Collection[str], channels: tuple[Channel, ...] | None) -> tuple[str, ...]:
        self._check()
        if self.collector is not None:
            changed = await self.collector.control.unsubscribe(instruments, channels)
            changed.check()
            return changed.done
        for name in instruments:
            if name not in self._noted:
                raise UsageError(f"{name} is not subscribed: {', '.join(self._noted) or 'nothing is'}")
            if left := less(self._noted[name], channels):
                self._noted[name] = left
            else:
                del self._noted[name]
        return tuple(instruments)

    def _check(self) -> None:
        if self.closing or self.ended.is_set():
            raise UsageError("the stream is closed: make another with stream()")


async def _events(session: _Session) -> AsyncGenerator[Event, None]:
    collector = session.open()
    events = collector.bus.subscribe("stream", QUEUE_EVENTS, "drop")
    try:
        await session.begin(collector)
        async for item in events:
            if isinstance(item, Missed):
                yield _missed(item, collector)
            else:
                for event in item.events:
                    yield event
            if session.closing:
                return
        if collector.failure is not None:
            raise collector.failure
    finally:
        await collector.stop()
        session.ended.set()


def _missed(item: Missed, collector: Collector) -> Status:
    now = collector.clock.now()
    flags = int(Flag.SIMULATED) if collector.mode == "simulated" else 0
    reason = f"the consumer is too slow: {item.events} events were not delivered"
    return Status("", now, now, flags, "gap", "", "consumer", reason, item.first_seq, item.seq, item.events)


def replay(
    data: str | Path,
    *,
    instruments: Collection[str] = (),
    start: str | int | None = None,
    end: str | int | None = None,
    session: str = "",
) -> Iterator[Event]:
    """The events of the tape under `data`, in order: of these instruments (default all), received in [`start`, `end`).

    Times are ISO 8601 texts (UTC where no zone is given) or ns. `session`: one of `tapeline tape ls`, default all. Raises
    UsageError where there is no recording, TapeError where the tape is damaged. An instrument that never occurs is warned of at
    the end: those of the simulated market are recorded under their own names (`sim:BTC-USDT`).
    """
    first, last = _ns("start", start), _ns("end", end)
    return _replay(Path(data), instruments=instruments, start=first, end=last, session=session, absent=_warn)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)


def _ns(name: str, time: str | int | None) -> int | None:
    try:
        return parse_iso(time) if isinstance(time, str) else time
    except ValueError:
        raise UsageError(f"replay(): {name} {time!r} is no ISO 8601 time, as in 2026-11-20T09:00:00Z") from None


def open(data: str | Path = "data") -> "Lake":  # noqa: A001  `tl.open`, beside `tl.stream`
    """The lake that was recorded under `data`, to be asked: `.sql(…)`, `.trades(…)`, …; answers are Arrow tables.

    Beside a running session it sees what has happened up to now. Raises UsageError where there is no lake.
    """
    from tapeline.lake.lake import Lake

    return Lake(data)
