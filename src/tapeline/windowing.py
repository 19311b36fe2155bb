"""Windows for users: over what happens now, what was recorded, or any events of one's own.

    async for w in tl.windows(tl.stream("yahoo:AMZN"), tl.tumbling("1m"), "volume", first="first(price)"):
        print(w.instrument, w.start, w.first, w.volume)
    for w in tl.windows(tl.replay("data"), tl.session("30s"), "vwap", lateness="5s"): ...
    tl.windows(events, tl.sliding("5m", "1m"), wide=lambda times, prices, sizes: prices.max() - prices.min()).to_arrow()

What a window is, when it closes and what comes out late is told in tapeline.market.windows. Over a live stream the machine's
clock closes what is silent: a moment (`PATIENCE`) after it is due, so that what was received before then has been handed over.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, overload

from tapeline.api import Stream
from tapeline.clock import MILLI, SECOND, Clock, LiveClock
from tapeline.events import Event
from tapeline.market.windows.aggregates import Made
from tapeline.market.windows.holes import NEVER
from tapeline.market.windows.kinds import Kind, Time
from tapeline.market.windows.operator import GRACE, KeyOf
from tapeline.market.windows.over import Door, LateTo, Of, Opened, Over, made
from tapeline.market.windows.results import Limits, Output, Window

PATIENCE = 200 * MILLI


@overload
def windows(
    source: AsyncIterable[Event], kind: Kind, /, *aggregates: Made, of: Of = ..., key: KeyOf | None = ...,
    where: Callable[[Any], bool] | None = ..., columns: Iterable[str] = ..., lateness: Time = ..., grace: Time = ...,
    late: LateTo | None = ..., limits: Limits | None = ..., clock: Clock | None = ..., **named: Made,
) -> "LiveWindows": ...  # fmt: skip
@overload
def windows(
    source: Iterable[Event], kind: Kind, /, *aggregates: Made, of: Of = ..., key: KeyOf | None = ...,
    where: Callable[[Any], bool] | None = ..., columns: Iterable[str] = ..., lateness: Time = ..., grace: Time = ...,
    late: LateTo | None = ..., limits: Limits | None = ..., clock: Clock | None = ..., **named: Made,
) -> Over: ...  # fmt: skip
def windows(
    source: AsyncIterable[Event] | Iterable[Event],
    kind: Kind,
    /,
    *aggregates: Made,
    of: Of = "trades",
    key: KeyOf | None = None,
    where: Callable[[Any], bool] | None = None,
    columns: Iterable[str] = (),
    lateness: Time = 0,
    grace: Time = GRACE,
    late: LateTo | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
    **named: Made,
) -> "LiveWindows | Over":
    """The windows of these events: `async for` over a stream, `for` over a replay or any events in their order.

    `kind`: `tl.tumbling("1m")`, `tl.sliding("5m", "1m")`, `tl.session("30s")`. Aggregates are texts (`"vwap"`,
    `first="first(price)"`) or functions `f(times, *columns)` of NumPy arrays that return a value or a dict of features; they
    become attributes of each `Window`.

    `of`: which events, by default trades. `key`: a function of an event, by default its instrument; None leaves the event out.
    `where`: which of them count. `columns`: what functions get, of trades `price` and `size`. `lateness`: how long after its
    end a window still takes records and is given out again. `grace`: how long the clock waits. `late`: is called with each late
    record; without it they gather in `.late`. `clock`: closes what is silent; of `tl.stream` the machine's. See
    docs/windows.md. Raises UsageError.
    """
    given = {"of": of, "key": key, "where": where, "columns": columns, "lateness": lateness, "grace": grace, "limits": limits}
    door = Door(made(kind, aggregates, given | named), late)
    if isinstance(source, AsyncIterable):
        return LiveWindows(source, door, clock or (LiveClock() if isinstance(source, Stream) else None))
    return Over(source, door)


class LiveWindows(Opened, AsyncIterator[Window]):
    """An async iterator of windows; `tl.windows` makes one. It owns its source: closing it, or leaving the loop, closes
    that.
    """

    def __init__(self, source: AsyncIterable[Event], door: Door, clock: Clock | None) -> None:
        super().__init__(door)
        # The generator does not know this object, so that it is closed as soon as nobody holds this object any more.
        self._windows = _untimed(source, door) if clock is None else _timed(source, door, clock)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Window:
        return await anext(self._windows)

    async def aclose(self) -> None:
        await self._windows.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _untimed(source: AsyncIterable[Event], door: Door) -> AsyncGenerator[Window, None]:
    operator, out = door.operator, list[Output]()
    events = aiter(source)
    try:
        async for event in events:
            operator.add(event, out)
            if out:
                for window in door.taken(out):
                    yield window
        operator.finish(out)
        for window in door.taken(out):
            yield window
    finally:
        await _close(events)


async def _timed(source: AsyncIterable[Event], door: Door, clock: Clock) -> AsyncGenerator[Window, None]:
    operator, out = door.operator, list[Output]()
    events, waiting = aiter(source), Waiting(quick=isinstance(source, Stream))
    try:
        while True:
            try:
                if not waiting.begin(events) and not await waiting.until(_pause(operator.due, clock)):
                    operator.advance(clock.now() - PATIENCE, out)
                else:
                    operator.add(waiting.take(), out)
            except StopAsyncIteration:
                break
            if out:
                for window in door.taken(out):
                    yield window
        operator.finish(out)
        for window in door.taken(out):
            yield window
    finally:
        await waiting.end()
        await _close(events)


def _pause(due: int, clock: Clock) -> float | None:
    """Seconds from now until what is due may be closed; None: nothing is."""
    return None if due >= NEVER else max(0.0, (due + PATIENCE - clock.now()) / SECOND)


async def _close(events: AsyncIterator[Event]) -> None:
    if (close := getattr(events, "aclose", None)) is not None:
        await close()


class Waiting:
    """The next event of a source, which may be waited for with a time-out and again, without losing it.

    That takes a task, which costs more than a window's arithmetic; nearly always a stream has its next event at hand. So
    (`quick`) its step is tried at once, and only where it has to wait the rest of it goes on in a task. Not the first:
    connecting sets time-outs that belong to one task.
    """

    def __init__(self, *, quick: bool) -> None:
        self._quick, self._first = quick, True
        self._task: asyncio.Task[Any] | None = None
        self._event: Any = None

    def begin(self, events: AsyncIterator[Event]) -> bool:
        """Ask for the next event, unless one is waited for; whether it is there. Raises StopAsyncIteration at the end."""
        if self._task is not None:
            return False
        steps = events.__anext__()
        if self._first or not self._quick:
            self._first = False
            self._task = asyncio.ensure_future(_whole(steps))
            return False
        rest = steps.__await__()
        try:
            pending = next(rest)
        except StopIteration as done:
            self._event = done.value
            return True
        self._task = asyncio.ensure_future(_whole(Rest(rest, pending)))
        return False

    async def until(self, seconds: float | None) -> bool:
        """Whether the event is there; False after so many seconds."""
        if self._task is None or not (await asyncio.wait({self._task}, timeout=seconds))[0]:
            return False
        task, self._task = self._task, None
        self._event = task.result()
        return True

    def take(self) -> Any:
        return self._event

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await self._task


async def _whole(steps: Awaitable[Any]) -> Any:
    return await steps


class Rest:
    """An awaitable that was begun and waits for `pending`: what is left of it."""

    def __init__(self, steps: Generator[Any, Any, Any], pending: Any) -> None:
        self._steps, self._pending = steps, pending

    def __await__(self) -> Generator[Any, Any, Any]:
        pending = self._pending
        while True:
            try:
                yield pending
            except BaseException as e:  # noqa: BLE001 - a cancellation goes where it belongs: into the steps
                resume = partial(self._steps.throw, e)
            else:
                resume = partial(next, self._steps)
            try:
                pending = resume()
            except StopIteration as done:
                return done.value
