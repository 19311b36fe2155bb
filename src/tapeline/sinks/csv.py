"""CSV files: `csv/trade/binance/BTC-USDT/2026-11-21.csv`, for spreadsheets, pandas, DuckDB and a look by hand. Keeps every event.

Columns: `time`, `instrument`, the event's own fields, `flags`, `ts_event`, `ts_recv`. `time` is text, ISO 8601 in UTC with all nine
digits: of a bar its open, of everything else `ts_event`. A spreadsheet rounds integers past 15 digits but leaves this text alone;
programs take the integer nanoseconds. Flags are names joined by `|`, numbers the shortest decimals that give the same float64 again,
what is not known is empty. RFC 4180, but for lines that end with a line feed alone, as tools expect.

A book update has a row a level, as people expect, bids first: `side`, `price`, `size` (0 removes), and `more`, how many rows of the
same update follow: where it is 0 the update is whole. One without any level (a snapshot that clears the book) has a single
row without side, price and size.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Literal, get_origin

from tapeline.clock import SECOND, iso
from tapeline.events import Bar, BookUpdate, Event, Flag, bare_type, fields
from tapeline.sinks.appending import AppendingSink
from tapeline.sinks.storable import INT64_MAX, INT64_MIN, values_text

HEAD = ("instrument", "ts_event", "ts_recv", "flags")
LEVEL = ("side", "price", "size", "more")
TAIL = ("flags", "ts_event", "ts_recv")
_QUOTED = frozenset('",\r\n')
Row = Callable[[Any], str]


@cache
def columns(kind: type[Event]) -> tuple[str, ...]:
    own = [name for name in fields(kind) if name not in HEAD]
    if kind is BookUpdate:
        own = [*LEVEL, *(name for name in own if name not in ("bids", "asks"))]
    return ("time", "instrument", *own, *TAIL)


def text(value: str) -> str:
    """A field, quoted where RFC 4180 wants it, or where a reader would trim it."""
    if _QUOTED.isdisjoint(value) and value == value.strip():
        return value
    return '"' + value.replace('"', '""') + '"'


def integer(value: int) -> str:
    if not INT64_MIN <= value <= INT64_MAX:
        raise OverflowError(value)
    return str(value)


def time(ns: int) -> str:
    """As `clock.iso`, quicker: most events share their second with the one before."""
    integer(ns)
    return f"{_second(ns // SECOND)}{ns % SECOND:09d}Z"


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return iso(second * SECOND)[:-10]


@lru_cache(maxsize=1024)
def flag_names(flags: int) -> str:
    return "|".join(str(f.name) for f in Flag if f & flags)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _object(values: dict[str, float]) -> str:
    return text(values_text(values))


_BY_TYPE: dict[type, Callable[[Any], str]] = {float: repr, bool: _boolean, int: integer, str: text, dict: _object}


def _formatter(hint: Any) -> Callable[[Any], str]:
    bare, optional = bare_type(hint)
    make = _BY_TYPE[{Literal: str, dict: dict}.get(get_origin(bare), bare)]
    return (lambda value: "" if value is None else make(value)) if optional else make


@cache
def row_of(kind: type[Event]) -> Row:
    """What writes an event as a line without its end; of a book update, as all its lines."""
    if kind is BookUpdate:
        return _levels
    names = [name for name in fields(kind) if name not in HEAD]
    makers = [_formatter(fields(kind)[name]) for name in names]
    values = attrgetter(*names)
    label = attrgetter("ts_open" if kind is Bar else "ts_event")

    def row(e: Any) -> str:
        own = ",".join([make(value) for make, value in zip(makers, values(e), strict=True)])
        return f"{time(label(e))},{text(e.instrument)},{own},{_tail(e)}"

    return row


def _tail(e: Event) -> str:
    return f"{flag_names(e.flags)},{integer(e.ts_event)},{integer(e.ts_recv)}"


def _levels(e: BookUpdate) -> str:
    head = f"{time(e.ts_event)},{text(e.instrument)}"
    seq, prev_seq, depth = ("" if n is None else integer(n) for n in (e.seq, e.prev_seq, e.depth))
    floor, ceiling = ("" if price is None else repr(price) for price in (e.bid_floor, e.ask_ceiling))
    tail = f"{_boolean(e.snapshot)},{seq},{prev_seq},{floor},{ceiling},{depth},{_tail(e)}"
    left = len(e.bids) + len(e.asks)
    if not left:
        return f"{head},,,,0,{tail}"
    rows = []
    for side, levels in (("bid", e.bids), ("ask", e.asks)):
        for price, size in levels:
            left -= 1
            rows.append(f"{head},{side},{price!r},{size!r},{left},{tail}")
    return "\n".join(rows)


def table(kind: type[Event], events: Iterable[Event]) -> bytes:
    """Lines of CSV, without the header. Raises OverflowError or UnicodeEncodeError where an event holds what no table does."""
    row = row_of(kind)
    return "".join([f"{row(e)}\n" for e in events]).encode()


class CsvSink(AppendingSink):
    name = "csv"

    def header(self, kind: type[Event]) -> str:
        return ",".join(columns(kind))

    def lines(self, kind: type[Event], events: Sequence[Event]) -> bytes:
        return table(kind, events)
