"""Windows over events that are there: `Over` is an iterator of `Window`; late records go aside. The ways in (`tl.windows`,
`lake.windows`) share the arguments that `made` reads.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from tapeline.errors import UsageError
from tapeline.events import TYPES, Bar, Event, Liquidation, Quote, Trade
from tapeline.market.windows.aggregates import Made, function, parse
from tapeline.market.windows.kinds import Grid, Kind, Session, Time, nanoseconds
from tapeline.market.windows.operator import GRACE, KeyOf, Windows
from tapeline.market.windows.results import Late, Limits, Output, Window
from tapeline.market.windows.state import put_away, taken_up
from tapeline.market.windows.tables import table

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = {
    "trades": "trade", "quotes": "quote", "books": "book", "bars": "bar", "metrics": "metrics", "tickers": "ticker",
    "liquidations": "liquidation",
}  # fmt: skip
COLUMNS: dict[type[Event], tuple[str, ...]] = {
    Trade: ("price", "size"),
    Liquidation: ("price", "size"),
    Quote: ("bid", "bid_size", "ask", "ask_size"),
    Bar: ("open", "high", "low", "close", "volume"),
}
OPTIONS = ("of", "key", "where", "columns", "lateness", "grace", "limits")
Of = str | type[Event]
LateTo = Callable[[Late], object]


def made(kind: Kind, aggregates: Sequence[Made], given: Mapping[str, Any]) -> Windows:
    """The operator that the arguments of `tl.windows` describe: options by their names, all others are aggregates. Raises
    UsageError.
    """
    options = {name: value for name, value in given.items() if name in OPTIONS}
    return _made(kind, aggregates, {name: a for name, a in given.items() if name not in OPTIONS}, **options)


def _made(
    kind: Kind,
    aggregates: Sequence[Made],
    named: Mapping[str, Made],
    *,
    of: Of = "trades",
    key: KeyOf | None = None,
    where: Callable[[Any], bool] | None = None,
    columns: Iterable[str] = (),
    lateness: Time = 0,
    grace: Time = GRACE,
    limits: Limits | None = None,
) -> Windows:
    if not isinstance(kind, (Grid, Session)):
        raise UsageError(f"{kind!r} is no kind of window: give tl.tumbling('1m'), tl.sliding('5m', '1m') or tl.session('30s')")
    event_type = event_type_of(of)
    given = {**{_name(a): a for a in aggregates}, **named}
    taken = tuple(columns) or COLUMNS.get(event_type, ())
    found = [
        parse(name, a, event_type) if isinstance(a, str) else function(name, a, taken, event_type) for name, a in given.items()
    ]
    return Windows(
        kind, found, of=event_type, key=key, where=where, lateness=nanoseconds("lateness", lateness, least=0),
        grace=nanoseconds("grace", grace, least=0), limits=limits,
    )  # fmt: skip


def event_type_of(of: Of) -> type[Event]:
    if isinstance(of, str):
        found = TYPES.get(KINDS.get(of, of))
        if found is None:
            raise UsageError(f"of={of!r} is no kind of event: there are {', '.join(KINDS)}")
        return found
    return of


def _name(made: Made) -> str:
    return made.strip() if isinstance(made, str) else getattr(made, "__name__", "function")


class Door:
    """What all iterators of windows share: the operator, and where late records go. `late` holds those nobody took;
    `late_dropped` counts those there was no more room for (the oldest go).
    """

    def __init__(self, operator: Windows, late: LateTo | None = None) -> None:
        self.operator = operator
        self.late: deque[Late] = deque()
        self.late_dropped = 0
        self._to = late

    def taken(self, out: list[Output]) -> Iterator[Window]:
        """The windows, taken out of `out`; late records go where they belong."""
        ready = out.copy()
        out.clear()
        for found in ready:
            if isinstance(found, Window):
                yield found
            else:
                self._put(found)

    def _put(self, found: Late) -> None:
        if self._to is not None:
            self._to(found)
            return
        if len(self.late) >= self.operator.limits.late:
            self.late.popleft()
            self.late_dropped += 1
        self.late.append(found)


class Opened:
    """What users see of windows, besides the windows."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @property
    def late(self) -> "deque[Late]":
        """Late records, oldest first, where no `late=` takes them; take them out as you like."""
        return self._door.late

    @property
    def counts(self) -> dict[str, int]:
        """How many: records, late, revised, keys_dropped, windows_dropped, rows_dropped, late_dropped; and keys now."""
        operator = self._door.operator
        return operator.counts | {"late_dropped": self._door.late_dropped, "keys": len(operator.keys)}

    def state(self) -> bytes:
        """All that is open and may be revised; `restore` of windows made alike goes on from it."""
        return put_away(self._door.operator)

    def restore(self, state: bytes) -> Self:
        """Before the first event. Raises UsageError where the state is of other windows."""
        taken_up(self._door.operator, state)
        return self


def _unknown() -> int | None:
    return None


class Over(Opened, Iterator[Window]):
    """The windows of these events. What is open at their end is given out, incomplete.

    `end`: where the events were cut off (event time, ns). `until`: our clock (ns) at the end of the events, where more is known
    than their own times tell.
    """

    def __init__(
        self, events: Iterable[Event], door: Door, end: int | None = None, until: Callable[[], int | None] = _unknown
    ) -> None:
        super().__init__(door)
        self._windows = _over(events, door, end, until)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Window:
        return next(self._windows)

    def to_arrow(self, *, latest: bool = True) -> "pa.Table":
        """All that are left as an Arrow table, see `table`."""
        return table(self, latest=latest)


def _over(events: Iterable[Event], door: Door, end: int | None, until: Callable[[], int | None]) -> Iterator[Window]:
    operator, out = door.operator, list[Output]()
    for event in events:
        operator.add(event, out)
        if out:
            yield from door.taken(out)
    if end is not None:
        operator.cut(end)
    operator.finish(out, until())
    yield from door.taken(out)
