"""The rows that sinks are measured with: trades, the venue's quotes and book updates of a session, repeated to any length."""

from functools import cache
from typing import Any

import msgspec
from sessions import events, load

from tapeline.events import BookUpdate, Event, Quote, Trade

MILLI = 1_000_000


@cache
def of(venue: str, most: int | None = None) -> tuple[dict[str, list[Any]], str]:
    """({kind: the events of one instrument}, where they are from), `most` of the frames."""
    frames, origin = load(venue, most)
    found = events(frames)
    kinds: dict[str, list[Any]] = {
        "trades": [e for e in found if isinstance(e, Trade)],
        "quotes": [e for e in found if isinstance(e, Quote) and e.origin == "venue"],
        "books": [e for e in found if isinstance(e, BookUpdate)],
    }
    return kinds, origin


def repeated(rows: list[Any], count: int) -> list[Event]:
    """`count` of them, going on where the session ends: later times, new ids and sequence numbers."""
    span = max(e.ts_event for e in rows) - min(e.ts_event for e in rows) + MILLI
    step = len(rows) if isinstance(rows[0], Trade) else max(e.seq or 0 for e in rows) + 1
    rounds = count // len(rows) + 1
    return [_later(e, n, span, step) for n in range(rounds) for e in rows][:count]


def _later(e: Any, n: int, span: int, step: int) -> Event:
    changed: dict[str, Any] = {"ts_event": e.ts_event + n * span, "ts_recv": e.ts_recv + n * span}
    if isinstance(e, Trade):
        changed["id"] = str(int(e.id) + n * step)
    elif e.seq is not None:
        changed["seq"] = e.seq + n * step
    return msgspec.structs.replace(e, **changed)
