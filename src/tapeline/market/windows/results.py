"""What comes out of windows: `Window`, again with each revision, and `Late` records."""

from typing import Any

import msgspec

from tapeline.events import Event


class Window(msgspec.Struct, frozen=True):
    """What one window of one key holds. Its aggregates are attributes by name, and in `values`; None is not known.

    `start`, `end`: event time, ns, right-open. `ts_recv`: our clock when it was closed or revised. `records`: how many it
    counts. `instrument`: empty where a key has several. `complete`: nothing of it is missing. `revision`: 0 first, one more
    each time it is given out again. `retracted`: (sessions) there is no such window any more, its records are in another one.
    `dropped`: records that no room was left for in buffers (`Limits.rows`). `flags`: as of events: SIMULATED, RECOVERED, … of
    any of its records, and LATE of a revision by a late record.
    """

    key: Any
    instrument: str
    start: int
    end: int
    ts_recv: int
    records: int
    values: dict[str, Any]
    complete: bool
    revision: int
    flags: int
    retracted: bool = False
    dropped: int = 0

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(f"the window has no {name!r}; it has {', '.join(self.values)}") from None

    def to_dict(self) -> dict[str, Any]:
        """Flat: the window's own fields, then its aggregates."""
        return {name: getattr(self, name) for name in OWN} | self.values


OWN = tuple(name for name in Window.__struct_fields__ if name != "values")


class Late(msgspec.Struct, frozen=True):
    """A record that came too late. `windows`: those (start, end) that it would have belonged to and that take it no more.
    `why`: "lateness" (the key's `mark` was that far past their ends), "forgotten" (there was no room to keep them open for it).
    `counted`: in how many other windows it still was counted.
    """

    key: Any
    event: Event
    windows: tuple[tuple[int, int], ...]
    why: str
    mark: int
    counted: int = 0

    @property
    def instrument(self) -> str:
        return self.event.instrument


class Limits(msgspec.Struct, frozen=True):
    """Bounds, and what happens past them; `Windows.counts` says how often it did.

    keys      at once; of more, the tenth that has been silent longest ends: its open windows are given out, incomplete
    windows   kept a key, open ones and those that may still be revised; of fixed sizes more are refused when it is made; of
              sessions the oldest are forgotten
    rows      kept a window for a user's function, for quantiles and for distinct values; further ones are not kept:
              `Window.dropped`
    holes     kept an instrument; of more, the two oldest are taken for one
    late      late records that wait to be read; of more, the oldest go
    """

    keys: int = 10_000
    windows: int = 10_000
    rows: int = 1_000_000
    holes: int = 256
    late: int = 10_000


Output = Window | Late
