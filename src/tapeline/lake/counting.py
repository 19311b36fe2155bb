"""Bars that go by what was traded (`tick:500`, `volume:10`, `renko:10` …) folded from the lake's trades.

By the very rules that make them live (market/barkinds), over whole columns, in the order in which the trades came: of one session
after the other, by their numbers. They begin anew with each session, and where the trades were unsubscribed within one. A trade that
two sessions have counts in the first of them.

A session of which such bars are stored had them switched on. They stand as they are; what came before they were switched on is
folded, and what came after the last one is the bar that still fills. That one is never complete.

`complete` follows from the session's stored seconds, as of bars of time (lake/bars.py): every hole touches the second of the last
trade before it and that of the first after it. A bar whose last second is not stored yet, or is the session's last one, is not known
to be complete.

Memory is bounded by a session's seconds and by the row groups whose numbers overlap, mostly two.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tapeline.clock import SECOND
from tapeline.events import Bar, Event
from tapeline.lake import scan
from tapeline.lake.folding import AGGREGATED, NAMES, OFF_BOOK, Source
from tapeline.lake.interest import Interest
from tapeline.lake.sessions import MOST, Session, Stretch, sessions
from tapeline.market.barkinds.chunks import BAD_TIME, SIDES, Columns
from tapeline.market.barkinds.kinds import Kinds
from tapeline.market.barkinds.specs import BarSpec, parse

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
CHUNK = 250_000
ENDLESS = parse("tick:999999999999999")
"""What sums up everything into one bar."""


def _columns(made: Iterable[npt.NDArray[Any]]) -> Columns:
    return Columns(*made)


class Instrument(NamedTuple):
    """`contract`: what one is worth in the quote asset, where it is inverse. `sides`: whether the venue tells who bought."""

    trades: Source
    contract: Fraction | None
    sides: bool


class Numbered(NamedTuple):
    """Trades in the order in which they came, and their numbers in the session."""

    n: Ints
    columns: Columns

    def only(self, chosen: Mask | Ints | slice) -> "Numbered":
        return Numbered(self.n[chosen], _columns(column[chosen] for column in self.columns))


def fold(of: Instrument, spec: BarSpec, start: int, end: int | None, *, stored: bool) -> list[Bar]:
    """The bars of the sessions that have trades in [`start`, `end`), without those of later ones and, where `stored`, without those
    that the lake has. Raises FileNotFoundError.
    """
    interest = Interest(of.trades.catalogue, of.trades.instrument)
    found: list[Bar] = []
    until = MOST if end is None else end
    for session in sessions(of.trades, start, until):
        found += _Folding(of, spec, session, interest).bars(until, session.stored(spec.text) if stored else [])
    return sorted(found, key=lambda bar: bar.ts_open)


class Known:
    """What is known of a stretch as far as it is folded: whether its bars lack no trade, and when it ended.

    `done`: all of it is. The second of its latest trade may lack some then, whether the session was ended or killed.
    """

    def __init__(self, session: Session) -> None:
        self._session, self.done = session, False
        self._came = self._latest = -1
        self._lag = MOST

    def take(self, columns: Columns) -> None:
        true = (columns.flags & BAD_TIME) == 0
        if len(true):
            self._came = int(columns.ts_recv[-1])
            self._latest = max(self._latest, int(columns.ts_event[true].max(initial=-1)))
            self._lag = min(self._lag, int((columns.ts_recv - columns.ts_event)[true].min(initial=MOST)))

    def whole(self, start: int, end: int) -> bool:
        return self._session.whole(start, end) and not (self.done and end > self._latest)

    def settled(self, bars: Iterable[Bar]) -> bool:
        """Whether the stretch surely goes on past the seconds of these bars."""
        last = max((bar.ts_event for bar in bars), default=-1)
        return last - last % SECOND + SECOND <= self._latest

    def ended(self, stretch: Stretch) -> int:
        """When what was open was given out: where nothing tells, when the last trade came."""
        if stretch.ended is None or (stretch.before is not None and stretch.ended >= stretch.before + self._lag):
            return self._came
        return stretch.ended


class _Folding:
    """One session."""

    def __init__(self, of: Instrument, spec: BarSpec, session: Session, interest: Interest) -> None:
        self.of, self.spec, self.session = of, spec, session
        self._numbers, self._said = interest.of_session(session.name)

    def bars(self, until: int, stored: Sequence[tuple[int, int]]) -> list[Bar]:
        """`stored`: (number, trades) of the bars that the lake has, in their order."""
        found: list[Bar] = []
        for stretch in self.session.stretches():
            mine = [bar for bar in stored if stretch.first <= bar[0] < stretch.last]
            trades = _of_one_kind(_counted(self.session, stretch))
            if mine:
                found += self._beside(trades, mine, stretch)
            else:
                found += self._folded(self.spec, trades, stretch, until)
            if found and found[-1].ts_open >= until:
                break
        return found

    def _beside(self, trades: Iterator[Numbered], stored: Sequence[tuple[int, int]], stretch: Stretch) -> list[Bar]:
        """What is not in the bars that are stored."""
        (first, its), last = stored[0], stored[-1][0]
        early: list[Numbered] = []
        late: list[Numbered] = []
        for part in trades:
            early.append(part.only(part.n < first))
            late.append(part.only(part.n > last))
        before = _in_order(early) if early else None
        switched_on = stretch._replace(last=first, ended=None)
        found: list[Bar] = []
        if before is not None and len(before.n) > its:
            found = self._folded(self.spec, iter([before.only(slice(0, len(before.n) - its))]), switched_on, None)
        rest = self._folded(ENDLESS, iter(late), stretch, None)
        return found + [msgspec.structs.replace(bar, interval=self.spec.text) for bar in rest]

    def _folded(self, spec: BarSpec, trades: Iterator[Numbered], stretch: Stretch, until: int | None) -> list[Bar]:
        """Without what begins after `until`."""
        contract = None if self.of.contract is None else float(self.of.contract)
        known = Known(self.session)
        kinds = Kinds(self.of.trades.instrument, contract_value=contract, sides=self.of.sides, whole=known.whole)
        kinds.also(spec)
        found: list[Bar] = []
        in_none: list[Ints] = []  # numbers of the trades that are in no closed bar yet
        for part in trades:
            made: list[Event] = []
            kinds.add_columns(part.columns, made)
            known.take(part.columns)
            in_none.append(part.n)
            if made:
                closed = [bar for bar in made if isinstance(bar, Bar)]
                numbers, ends = np.concatenate(in_none), np.cumsum([bar.trades for bar in closed])
                found += self._with_interest(closed, numbers[ends - 1])
                in_none = [numbers[int(ends[-1]) :]]
                if until is not None and found[-1].ts_open >= until and known.settled(b for b in found if b.ts_open < until):
                    return found
        known.done = True
        rest: list[Event] = []
        kinds.finish(known.ended(stretch), rest)
        last = self._with_interest(rest, np.full(len(rest), stretch.last))
        return list({bar.ts_open: bar for bar in (*found, *last)}.values())

    def _with_interest(self, made: Sequence[Event], closed_at: Ints) -> list[Bar]:
        """The bars with what was known when they closed, by the numbers of the trades that closed them."""
        at = self._numbers.searchsorted(closed_at) - 1
        values = (None if i < 0 else float(self._said[i]) for i in at.tolist())
        bars = (bar for bar in made if isinstance(bar, Bar))
        return [msgspec.structs.replace(bar, open_interest=value) for bar, value in zip(bars, values, strict=True)]


def _of_one_kind(parts: Iterator[Numbered]) -> Iterator[Numbered]:
    """Of single and aggregated trades those that came first: they are the same ones twice."""
    kind: int | None = None
    for part in parts:
        flags = part.columns.flags
        if kind is None and len(flags):
            kind = int(flags[0]) & AGGREGATED
        mine = (flags & AGGREGATED) == kind
        yield part if mine.all() else part.only(mine)


def _counted(session: Session, stretch: Stretch) -> Iterator[Numbered]:
    """The trades that may count, in their order, some hundred thousand at a time."""
    held: list[Numbered] = []
    waiting = session.groups(stretch)
    for number, (_, path, group) in enumerate(waiting, 1):
        held.append(_read(session, stretch, path, group))
        bound = waiting[number][0] if number < len(waiting) else None
        if bound is None or sum(len(part.n) for part in held) >= CHUNK:
            together = _in_order(held)
            count = len(together.n) if bound is None else int(together.n.searchsorted(bound))
            yield together.only(slice(0, count))
            held = [together.only(slice(count, None))]


def _read(session: Session, stretch: Stretch, path: str, group: scan.Group) -> Numbered:
    tables = scan.rows([(path, (group,))], NAMES, column="n", start=None, end=None)
    flags = scan.numbers(tables, "flags")
    side = np.zeros(len(flags), np.int64)
    for name, value in SIDES.items():
        if value:
            side[scan.equals(tables, "side", name)] = value
    n = scan.numbers(tables, "n")
    ts_event, ts_recv = (scan.numbers(tables, name) for name in ("ts_event", "ts_recv"))
    price, size = (scan.numbers(tables, name, np.float64) for name in ("price", "size"))
    columns = Columns(ts_event, ts_recv, flags, price, size, side)
    keep = (
        scan.equals(tables, "session_id", session.name) & ((flags & OFF_BOOK) == 0) & (n >= stretch.first) & (n < stretch.last)
    )
    if len(session.twins):
        keep &= ~np.isin(n, session.twins)
    return Numbered(n, columns).only(keep)


def _in_order(parts: Sequence[Numbered]) -> Numbered:
    n = np.concatenate([p.n for p in parts])
    columns = _columns(np.concatenate(column) for column in zip(*(p.columns for p in parts), strict=True))
    found = Numbered(n, columns)
    return found if (n[1:] > n[:-1]).all() else found.only(np.argsort(n))
