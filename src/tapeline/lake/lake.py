"""The reader's door to everything that is kept: `tl.open(data)` gives a `Lake`.

What it answers is Arrow tables, so that pandas, polars and DuckDB take them without a copy. Each question reads a new catalogue
and asks the session that records for what it has not committed yet, so an open `Lake` is always up to date; no lock is held in
between.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from operator import index
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tapeline.clock import SECOND, parse_iso
from tapeline.errors import IntegrityError, UsageError
from tapeline.events import TYPES
from tapeline.instruments import split_id
from tapeline.lake import known, views
from tapeline.lake.bars import Source, bars
from tapeline.lake.books import BookAt, By, book, books
from tapeline.lake.catalogue import Catalogue, read
from tapeline.lake.current import current
from tapeline.lake.sql import Answer, Limits, Question
from tapeline.lake.windows import Asked, windows
from tapeline.market.intervals import step_of
from tapeline.market.profile import AGGREGATED, OFF_BOOK, Profile, profile
from tapeline.market.windows.aggregates import Made
from tapeline.market.windows.kinds import Kind
from tapeline.market.windows.over import LateTo, Over, made

T = TypeVar("T")
Time = str | int | datetime
"""ISO 8601 text or datetime (also pandas' Timestamp), UTC where no zone is given, or ns."""
BAR_KINDS = ("bar", "trade", "status", "ticker")
BOOK_KINDS = ("book", "status")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Lake:
    """The lake under `data`, read only. Usable from several threads; nothing has to be closed, but `with` works."""

    def __init__(self, data: str | Path) -> None:
        """Raises UsageError where there is no lake."""
        self.data = Path(data).absolute()
        self.reach: int | None = None
        """How far the latest answer went: None: up to now; else the last committed time (ns), see `Answer.reach`."""
        read(self.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def catalogue(self) -> Catalogue:
        """What is in it now, file by file."""
        return read(self.data)

    def sql(self, query: str, /, **params: Any) -> pa.Table:
        """The answer to one reading SQL statement over the views of docs/lake.md; `$name` in it is the parameter `name`.

        Raises QueryError (UsageError) with DuckDB's words where the query is wrong.
        """
        return self.ask(Question(query, params)).table

    def ask(self, question: Question) -> Answer:
        """`question` says what it may cost, and can be stopped from another thread. Raises as `Question.ask`."""
        answer = question.ask(self.data)
        self.reach = answer.reach
        return answer

    def _current(self, instrument: str, kinds: Collection[str], function: Callable[[Catalogue], T]) -> T:
        try:
            found, reach = current(self.data, instrument, kinds, function)
        except FileNotFoundError as e:
            raise IntegrityError(f"the lake in {self.data} is not whole ({e}); `tapeline repair` makes it anew") from e
        self.reach = reach
        return found

    def bars(
        self,
        instrument: str,
        interval: str = "1m",
        *,
        start: Time | None = None,
        end: Time | None = None,
        source: Source = "auto",
        fill: bool = False,
    ) -> pa.Table:
        """The bars of any kind (`7s`, `1d@America/New_York`, `1h@XNYS`, `tick:500`, `renko:10`, `heikin-ashi:1m`, …) that begin in
        [`start`, `end`), with the columns of the event `bar`.

        They equal those that were live to the last digit. `source` "trades" makes them from the trades even where they are
        stored, "stored" gives what is stored and nothing else. `fill`: also where nothing was traded, flagged FILLED. Raises
        UsageError. See docs/bars-and-books.md.
        """
        first, last = nanoseconds("start", start), nanoseconds("end", end)
        split_id(instrument)
        made = partial(bars, instrument=instrument, interval=interval, start=first, end=last, source=source, fill=fill)
        table = self._current(instrument, BAR_KINDS, made)
        if not len(table):
            known.check(self.data, [instrument])
        return table

    def book(self, instrument: str, at: Time, *, depth: int | None = None, by: By = "received") -> BookAt:
        """The book at an instant, level for level what was shown then; see `books.BookAt`.

        `by`: whether the instant is of our clock, what was known then ("received"), or of the venue's ("event"). `depth`: the
        best levels of each side, default all. Raises UsageError. See docs/bars-and-books.md.
        """
        moment = needed("at", at)
        split_id(instrument)
        return self._current(instrument, BOOK_KINDS, lambda lake: book(lake, instrument, moment, depth=depth, by=by))

    def books(
        self, instrument: str, start: Time, end: Time, every: str = "1s", *, depth: int = 10, by: By = "received"
    ) -> pa.Table:
        """The book at `start` and every `every` (`100ms`, `1s`, `5m`) from there on, before `end`, a row each.

        Columns: `instrument`, `at`, `ts_event`, `ts_recv`, `seq`, `state`, `reason`, and lists of at most `depth`, best first:
        `bid_prices`, `bid_sizes`, `ask_prices`, `ask_sizes`. Raises UsageError.
        """
        first, last, step = needed("start", start), needed("end", end), step_of(every)
        split_id(instrument)
        return self._current(
            instrument, BOOK_KINDS, lambda lake: books(lake, instrument, first, last, step, depth=depth, by=by)
        )

    def windows(
        self,
        instruments: str | Collection[str],
        kind: Kind,
        /,
        *aggregates: Made,
        start: Time | None = None,
        end: Time | None = None,
        late: LateTo | None = None,
        **given: Any,
    ) -> Over:
        """The windows of stored events with `start` <= ts_event < `end`: an iterator, with `.to_arrow()`. Arguments as of
        `tl.windows`.

        They are read in the order in which they were made, so what comes out equals what came out live: of what is committed. A
        window that `start` or `end` cuts is not complete. Raises UsageError. See docs/windows.md.
        """
        names = (instruments,) if isinstance(instruments, str) else tuple(instruments)
        asked = Asked(names, nanoseconds("start", start), nanoseconds("end", end))
        return windows(self.data, asked, made(kind, aggregates, given), late)

    def trades(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        """The trades of one or several instruments (default all) with `start` <= ts_event < `end`, by time."""
        return self._events("trades", instruments, start, end)

    def profile(
        self,
        instrument: str,
        *,
        start: Time | None = None,
        end: Time | None = None,
        bps: float = 1.0,
        step: float | None = None,
    ) -> Profile:
        """How much was traded at which price, with the point of control and the value area; see `market.profile`. Bins are `step`
        wide, or `bps` basis points of the mean price, rounded down. Where a venue streams single and aggregated trades, those of
        the latest's kind count. Raises UsageError.
        """
        trades = self.trades(instrument, start=start, end=end)
        flags = trades["flags"].to_numpy()
        kind = int(flags[-1]) & AGGREGATED if len(flags) else 0
        kept = trades.filter(pa.array(flags & (OFF_BOOK | AGGREGATED) == kind))
        return profile(*(kept[name].to_pylist() for name in ("price", "size", "side")), bps=bps, step=step)

    def quotes(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        """Best bids and offers, the venues' own and those of our books (`origin`), as `trades`."""
        return self._events("quotes", instruments, start, end)

    def book_updates(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        return self._events("book_updates", instruments, start, end)

    def metrics(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        return self._events("metrics", instruments, start, end)

    def tickers(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        return self._events("tickers", instruments, start, end)

    def liquidations(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        return self._events("liquidations", instruments, start, end)

    def status(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        """What went wrong and right again; by default also what is said of whole connections (`instrument` empty)."""
        return self._events("status", instruments, start, end)

    def alerts(
        self, instruments: str | Collection[str] = (), *, start: Time | None = None, end: Time | None = None
    ) -> pa.Table:
        return self._events("alerts", instruments, start, end)

    def _events(self, view: str, instruments: str | Collection[str], start: Time | None, end: Time | None) -> pa.Table:
        names = [instruments] if isinstance(instruments, str) else list(instruments)
        for name in names:
            split_id(name)
        tests = [f"instrument IN ({', '.join(map(views.quoted, names))})"] if names else []
        if (first := nanoseconds("start", start)) is not None:
            tests.append(f"ts_event >= {first}")
        if (last := nanoseconds("end", end)) is not None:
            tests.append(f"ts_event < {last}")
        where = " AND ".join(tests) or "true"
        found = self.sql(f"SELECT * FROM {view} WHERE {where}")  # noqa: S608 - quoted
        if len(names) > 1 or (names and not len(found)):
            known.check(self.data, names)
        return _in_order(found)

    def tables(self) -> list[tuple[str, int, list[str]]]:
        """Each view, how many rows it has now, and its columns."""
        counts = ", ".join(f"(SELECT count(*) FROM {view})" for view in views.NAMES)  # noqa: S608 - our own names
        (row,) = self.sql(f"SELECT {counts}").to_pylist()
        return [
            (view, count, [c.name for c in views.columns(view)]) for view, count in zip(views.NAMES, row.values(), strict=True)
        ]

    def instruments(self) -> list[str]:
        """The instruments that the lake has something of, by name; of what is committed."""
        return known.instruments(read(self.data))

    def span(self, instrument: str = "", kind: str = "") -> tuple[int, int] | None:
        """First and last time (ns) of what is committed of an instrument and a kind of event (`trade`, `book`, …; default all);
        None where there is nothing. Raises UsageError for no kind of event.
        """
        if kind and kind not in TYPES:
            raise UsageError(f"{kind!r} is no kind of event: there are {', '.join(TYPES)}")
        found = [f for f in read(self.data).files if instrument in ("", f"{f.venue}:{f.symbol}") and kind in ("", f.kind)]
        return (min(f.first_ts for f in found), max(f.last_ts for f in found)) if found else None


def _in_order(table: pa.Table) -> pa.Table:
    """By time, equal times in the order in which the events were made. Files nearly always stand like that already, and sorting
    wide rows takes many times longer than looking.
    """
    one, two = table.slice(0, max(0, len(table) - 1)), table.slice(1)
    later = pc.greater(two["ts_event"], one["ts_event"])
    same = pc.and_(pc.equal(two["ts_event"], one["ts_event"]), pc.equal(two["session_id"], one["session_id"]))
    if pc.all(pc.or_(later, pc.and_(same, pc.greater(two["n"], one["n"])))).as_py() is not False:
        return table
    return table.sort_by([("ts_event", "ascending"), ("session_id", "ascending"), ("n", "ascending")])


def nanoseconds(name: str, time: Time | None) -> int | None:
    """Raises UsageError, with the argument's `name`, on what is no time."""
    try:
        return _ns(time) if isinstance(time, datetime) else parse_iso(time) if isinstance(time, str) else _whole(time)
    except (TypeError, ValueError):
        raise UsageError(f"{name} {time!r} is no ISO 8601 time, as in 2026-11-20T09:00:00Z, no datetime and no ns") from None


def _ns(time: datetime) -> int:
    """No digit goes through a float; pandas' Timestamp has nanoseconds beside."""
    past = (time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH
    return (past.days * 86_400 + past.seconds) * SECOND + past.microseconds * 1000 + int(getattr(time, "nanosecond", 0))


def _whole(time: int | None) -> int | None:
    """Also numpy's whole numbers."""
    return None if time is None else index(time)


def needed(name: str, time: Time) -> int:
    """As `nanoseconds`, where a time must be given."""
    found = nanoseconds(name, time)
    if found is None:
        raise UsageError(f"{name} is needed: an ISO 8601 time, as in 2026-11-20T09:00:00Z, or ns")
    return found


__all__ = ["Answer", "Lake", "Limits", "Question", "nanoseconds"]
