"""When a market trades, by the name of its session (`Instrument.session`) and a time.

    ""                 always: crypto assets
    FX                 the week of currencies, Sunday 17:00 to Friday 17:00 in New York; its few holidays are not known here
    XNYS, XLON, …      an exchange, by its market identifier code: holidays, half days and lunch breaks from `exchange-calendars`

A market is *open* in its regular session only: that is when its instruments must speak. American stocks are traded beside it,
thinly, and some say so and some do not:

    overnight   20:00–04:00, in the nights before trading days       regular   09:30–16:00, on half days to 13:00
    pre         04:00–09:30                                          post      four hours from the close

The hours are counted from the exchange's own opening and close, so summer time, which changes on Sundays, never falls into them.
What a calendar does not reach (years before 1990, far future ones) counts as always open: better to call a market silent than
closed.

`exchange-calendars` brings pandas, half a second to import and a fifth to make a year of an exchange. So it is imported when the
first instrument with such a session turns up, and a year is made once; `prepare` does both ahead of time, on a thread where
nobody may wait.
"""

import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from tapeline.clock import SECOND

Part = Literal["pre", "regular", "post", "overnight", ""]
"""Of a trading day; empty: nothing is traded."""
ALWAYS, FX = "", "FX"
HOUR = 3600 * SECOND
FX_HOUR = 17
_NEW_YORK = "America/New_York"


class Span(NamedTuple):
    """[`start`, `end`) in ns UTC."""

    start: int
    end: int
    part: Part


_FOREVER = Span(0, 1 << 63, "regular")
_SHUT = Span(0, 0, "")


def part_of(session: str, ts: int) -> Part:
    return _span(session, ts).part


def open_since(session: str, ts: int) -> int | None:
    """When the trading of `ts` began (ns UTC; 0: it never rests); None where the market is not open."""
    span = _span(session, ts)
    return span.start if span.part == "regular" else None


def trading(session: str, ts: int, *, whole_day: bool = False) -> tuple[int, int] | None:
    """[open, close) of the regular trading of `ts`, ns UTC; with `whole_day` across a lunch break. None where there is none, or
    where no calendar reaches.
    """
    if session in (ALWAYS, FX) or (spans := _year(session, datetime.fromtimestamp(ts // SECOND, UTC).year)) is None:
        span = _span(session, ts)
        return (span.start, span.end) if span.part == "regular" and span != _FOREVER else None
    at = bisect_right(spans, ts, key=lambda s: s.start) - 1
    if at < 0 or ts >= spans[at].end:
        return None
    first = last = at
    if whole_day:
        first -= _is_break(spans, at) + 2 * _is_break(spans, at - 1)
        last += _is_break(spans, at) + 2 * _is_break(spans, at + 1)
    span = Span(spans[first].start, spans[last].end, spans[first].part)
    return (span.start, span.end) if span.part == "regular" else None


def next_open(session: str, ts: int) -> int | None:
    """When trading begins the next time after `ts`; None where it never rests, or no calendar reaches."""
    if session == FX:
        start = _fx_span(ts).start
        return start if start > ts else _fx_span(ts + 7 * 24 * HOUR).start
    year = datetime.fromtimestamp(ts // SECOND, UTC).year
    for spans in (_year(session, year), _year(session, year + 1)) if session else ():
        later = (span.start for span in spans or () if span.start > ts and span.part == "regular")
        if (found := next(later, None)) is not None:
            return found
    return None


def hours(session: str, ts: int) -> tuple[str, str]:
    """An exchange's time zone and its usual hours there at `ts`, as charts write them: `("America/New_York", "0930-1600")`.

    With a lunch break: `0900-1130,1230-1500`. `("Etc/UTC", "24x7")` where it never rests or no calendar is known. Takes as long as
    `prepare` does: on a thread where nobody may wait.
    """
    if session == FX:
        return _NEW_YORK, f"{FX_HOUR:02}00-{FX_HOUR:02}00:23456"
    if session == "XNYS":  # most stocks: not worth half a second
        return _NEW_YORK, "0930-1600"
    calendar = None if session == ALWAYS else _calendar(session, datetime.fromtimestamp(ts // SECOND, UTC).year)
    if calendar is None:
        return "Etc/UTC", "24x7"
    opens, closes = calendar.open_times[-1][1], calendar.close_times[-1][1]
    pause = [] if calendar.break_start_times is None else [(calendar.break_start_times[-1][1], calendar.break_end_times[-1][1])]
    ends = [opens, *(t for pair in pause for t in pair), closes]
    return str(calendar.tz), ",".join(f"{a:%H%M}-{b:%H%M}" for a, b in zip(ends[::2], ends[1::2], strict=True))


def _is_break(spans: tuple[Span, ...], at: int) -> bool:
    return 0 < at < len(spans) - 1 and spans[at].part == ""


def prepare(sessions: Iterable[str], ts: int) -> None:
    """Read what will be needed at `ts`. Takes a second or so where an exchange is among them; may run on a thread."""
    for session in sorted(set(sessions)):
        _span(session, ts)


def _span(session: str, ts: int) -> Span:
    if session == ALWAYS:
        return _FOREVER
    if session == FX:
        return _fx_week(ts)
    spans = _year(session, datetime.fromtimestamp(ts // SECOND, UTC).year)
    if spans is None:
        return _FOREVER
    at = bisect_right(spans, ts, key=lambda s: s.start) - 1
    return spans[at] if at >= 0 and ts < spans[at].end else _SHUT


def _fx_week(ts: int) -> Span:
    span = _fx_span(ts)
    return span if span.start <= ts < span.end else _SHUT


def _fx_span(ts: int) -> Span:
    """The trading of the week, from Sunday on, that a time is of."""
    local = datetime.fromtimestamp(ts // SECOND, ZoneInfo(_NEW_YORK))
    sunday = local.date() - timedelta(days=local.isoweekday() % 7)
    start, end = (
        int(datetime(d.year, d.month, d.day, FX_HOUR, tzinfo=local.tzinfo).timestamp()) * SECOND
        for d in (sunday, sunday + timedelta(days=5))
    )
    return Span(start, end, "regular")


@contextmanager
def _calm() -> Iterator[None]:
    """What pandas deprecates is the calendars' affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _calendar(session: str, year: int) -> Any:
    """None where there is none."""
    with _calm():
        import exchange_calendars

        try:
            return exchange_calendars.get_calendar(session, start=f"{year - 1}-12-20", end=f"{year + 1}-01-10")
        except (ValueError, exchange_calendars.errors.CalendarError):
            return None


@cache
def _year(session: str, year: int) -> tuple[Span, ...] | None:
    """The spans of an exchange from some days before a year to some days after it, in order; None where there is no calendar."""
    calendar = _calendar(session, year)
    if calendar is None:
        return None
    with _calm():
        columns = ("opens", "break_starts", "break_ends", "closes")
        days = zip(*(getattr(calendar, f"{name}_nanos").tolist() for name in columns), strict=True)
    found: list[Span] = []
    for opens, break_start, break_end, closes in days:
        found += _day(session, opens, break_start, break_end, closes)
    return tuple(found)


def _day(session: str, opens: int, break_start: int, break_end: int, closes: int) -> list[Span]:
    """The spans of one trading day. A break that there is not has a negative time."""
    if opens < break_start < break_end:
        return [Span(opens, break_start, "regular"), Span(break_start, break_end, ""), Span(break_end, closes, "regular")]
    regular = Span(opens, closes, "regular")
    if session != "XNYS":
        return [regular]
    early = opens - 11 * HOUR // 2
    return [
        Span(early - 8 * HOUR, early, "overnight"),
        Span(early, opens, "pre"),
        regular,
        Span(closes, closes + 4 * HOUR, "post"),
    ]
