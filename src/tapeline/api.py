"""The Python face: `stream` what happens now, `replay` what was recorded. Both give the same events.

async for event in tl.stream("binance:BTC-USDT", channels=["trades", "book"]):
    ...
for event in tl.replay("data", instruments=["binance:BTC-USDT"], start="2026-11-20T09:00"):
    ...
"""

from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

from tapeline.clock import parse_iso
from tapeline.config import Settings
from tapeline.engine.bus import Missed
from tapeline.engine.collector import Collector
from tapeline.engine.replay import replay as _replay
from tapeline.errors import UsageError
from tapeline.events import Event, Flag, Status
from tapeline.plans import Channel
from tapeline.settings import load

QUEUE_EVENTS = 100_000


async def stream(
    *instruments: str,
    channels: Collection[Channel] = ("trades", "book"),
    data: str | Path | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[Event]:
    """Events of these instruments as they happen, until the consumer stops asking. Status events come with them.

    `data`: a directory to record the tape into (default: nothing is kept). A consumer that falls more than 100,000 events
    behind loses some, and is told how many by a `gap` status of the channel "consumer". Raises VenueError where no venue
    answers, UsageError for what does not exist. Close it (`aclosing`, or leaving the loop) to close the connections.
    """
    if not instruments:
        raise UsageError("stream() needs at least one instrument, as in stream('binance:BTC-USDT')")
    settings = settings or load().settings
    collector = Collector(settings, data=None if data is None else Path(data))
    events = collector.bus.subscribe("stream", QUEUE_EVENTS, "drop")
    await collector.start()
    try:
        await collector.connect(instruments, tuple(channels))
        async for item in events:
            if isinstance(item, Missed):
                yield _missed(item, collector)
            else:
                for event in item.events:
                    yield event
        if collector.failure is not None:
            raise collector.failure
    finally:
        await collector.stop()


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
    UsageError where there is no recording, TapeError where the tape is damaged.
    """
    return _replay(Path(data), instruments=instruments, start=_ns("start", start), end=_ns("end", end), session=session)


def _ns(name: str, time: str | int | None) -> int | None:
    try:
        return parse_iso(time) if isinstance(time, str) else time
    except ValueError:
        raise UsageError(f"replay(): {name} {time!r} is no ISO 8601 time, as in 2026-11-20T09:00:00Z") from None
