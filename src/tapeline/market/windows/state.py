"""The state of windows as bytes: put away here, gone on with elsewhere, by another process or another engine.

    state = put_away(windows)                                # JSON, with a version
    windows = taken_up(Windows(…the same…), state)           # UsageError where it was made by other windows
    state, results = step(lambda: Windows(…), state, batch)  # the pure form: (state, batch) → (state, results)

JSON, because exact sums are whole numbers of any length. Functions (the user's, `key`, `where`) are not in it: whoever takes a
state up gives the same ones. A key must be a text, a number, a bool or a tuple of these.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tapeline.errors import UsageError
from tapeline.events import Event
from tapeline.market.windows.grid import GridState
from tapeline.market.windows.holes import Source
from tapeline.market.windows.operator import Keyed, Windows
from tapeline.market.windows.results import Output
from tapeline.market.windows.sessions import SessionState

VERSION = 1


class SavedKey(msgspec.Struct):
    key: Any
    number: int
    mark: int
    watermark: int
    lag: int | None
    false: int
    sources: list[str]
    windows: GridState | SessionState
    pane: int | None


class Saved(msgspec.Struct):
    version: int
    of: str
    keys: list[SavedKey]
    sources: list[Source]
    connections: dict[str, int]
    made: int
    clock: int
    counts: dict[str, int]


def made_of(windows: Windows) -> str:
    """What a state fits: kind, type of event, times, aggregates."""
    told = msgspec.json.encode(windows.kind).decode()
    tag = windows.of.__struct_config__.tag
    return f"{told} of {tag}, lateness {windows.lateness}, grace {windows.grace}: {windows.plan.fingerprint}"


def put_away(windows: Windows) -> bytes:
    return msgspec.json.encode(
        Saved(
            VERSION,
            made_of(windows),
            [_saved(windows, keyed) for keyed in windows.keys.values()],
            list(windows.sources.values()),
            windows.connections,
            windows.made,
            windows.clock,
            windows.counts,
        )
    )


def _saved(windows: Windows, keyed: Keyed) -> SavedKey:
    for pane in keyed.windows.folds:
        pane.fold(windows.plan)
    return SavedKey(
        keyed.key, keyed.number, keyed.mark, keyed.watermark, keyed.lag, keyed.false, list(keyed.sources),
        keyed.windows.state, None if keyed.pane is None else keyed.pane.start,
    )  # fmt: skip


def taken_up(windows: Windows, state: bytes) -> Windows:
    """`windows`, new and made like those that the state is of, goes on from there. Raises UsageError."""
    try:
        saved = msgspec.json.decode(state, type=Saved)
    except msgspec.MsgspecError as e:
        raise UsageError(f"this is no state of windows: {e}") from None
    if saved.version != VERSION or saved.of != made_of(windows):
        raise UsageError(f"this state (version {saved.version}) is of other windows: {saved.of}; not of {made_of(windows)}")
    windows.sources = {found.instrument: found for found in saved.sources}
    windows.connections, windows.made, windows.clock, windows.counts = saved.connections, saved.made, saved.clock, saved.counts
    for kept in saved.keys:
        keyed = windows.enter(Keyed(_hashable(kept.key), kept.number, windows.windows_of(kept.windows)))
        keyed.mark, keyed.watermark, keyed.lag, keyed.false = kept.mark, kept.watermark, kept.lag, kept.false
        keyed.sources = {name: windows.sources[name] for name in kept.sources if name in windows.sources}
        keyed.pane = next((p for p in keyed.windows.folds if p.start == kept.pane), None)
        windows.queue(keyed)
    return windows


def _hashable(key: Any) -> Any:
    return tuple(map(_hashable, key)) if isinstance(key, list) else key


def step(make: Callable[[], Windows], state: bytes, batch: Iterable[Event]) -> tuple[bytes, list[Output]]:
    """One step of the pure operator. The first state is b""."""
    windows, out = make(), list[Output]()
    if state:
        taken_up(windows, state)
    windows.add_many(batch, out)
    return put_away(windows), out


__all__ = ["VERSION", "put_away", "step", "taken_up"]
