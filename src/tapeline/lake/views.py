"""What SQL sees: a view a kind of event, and a few macros.

The files' columns bear the names of `lake/tables.py`, which keep out of the way of the folders'; the views give the events' own
names back. Beside an event's own fields every view has

    time         TIMESTAMPTZ (UTC, µs): of `ts_event`, of a bar its label `ts_open`; to read and to compare with
    venue, symbol   the two halves of `instrument`; of a status `venue` is its own field
    date         DATE: the UTC day under which the event lies in the lake
    session_id, n   which event it is, for good; ordered by both: the order in which events were made

`ts_event`, `ts_recv`, `ts_open` stay int64 nanoseconds: a TIMESTAMPTZ has microseconds, and TIMESTAMP_NS cannot be compared with
`now()` and takes `…T10:00+02:00` for ten o'clock UTC. Everything is computed from the rows themselves and never from a path, so that
rows from memory and rows from files are one thing.

`bars` is `bar_revisions` with the latest revision of each bar. Where two sessions each made a part of one (a restart within its
interval), a complete one wins, then the one with more trades, then the later session, as in `sinks/sqlite_schema.py`.
"""

import re
from collections.abc import Sequence
from functools import cache

import msgspec
import pyarrow as pa

from tapeline.events import (
    Alert,
    Bar,
    BookUpdate,
    Event,
    Flag,
    Liquidation,
    Metrics,
    Quote,
    Status,
    Ticker,
    Trade,
    fields,
)
from tapeline.lake.layout import ABSURD_BEFORE, DAY, time_field
from tapeline.lake.tables import GROWN, RENAMED, file_schema

VIEWS: dict[str, type[Event]] = {
    "trades": Trade,
    "quotes": Quote,
    "bar_revisions": Bar,
    "book_updates": BookUpdate,
    "metrics": Metrics,
    "tickers": Ticker,
    "liquidations": Liquidation,
    "status": Status,
    "alerts": Alert,
}
"""View → event type. `bars` is drawn over `bar_revisions`."""
NAMES = ("trades", "quotes", "bars", "bar_revisions", "book_updates", "metrics", "tickers", "liquidations", "status", "alerts")
BAR_KEY = ("instrument", "interval", "origin", "ts_open")

_FLAGS = ", ".join(f"'{f.name}': {int(f)}" for f in Flag)
_NAMED = ", ".join(f"CASE WHEN f & {int(f)} <> 0 THEN '{f.name}' END" for f in Flag)
MACROS = (
    "CREATE MACRO ts(t) AS epoch_us(CAST(t AS TIMESTAMPTZ)) * 1000 + epoch_ns(CAST(t AS TIMESTAMP_NS)) % 1000",
    "CREATE MACRO span(w) AS epoch_ns(CAST(w AS INTERVAL))",
    "CREATE MACRO ago(w) AS epoch_us(now()) * 1000 - epoch_ns(CAST(w AS INTERVAL))",
    "CREATE MACRO utc(t) AS make_timestamptz(CAST(t // 1000 AS BIGINT))",
    "CREATE MACRO bucket(t BIGINT, w) AS t // span(w) * span(w), (t TIMESTAMPTZ, w) AS utc(epoch_ns(t) // span(w) * span(w))",
    f"CREATE MACRO flag_names(f) AS list_filter([{_NAMED}], lambda x: x IS NOT NULL)",
    f"CREATE MACRO has(f, name) AS f & coalesce((MAP {{{_FLAGS}}})[upper(name)], error('there is no flag ' || name)) <> 0",
)
"""`ts('2026-11-21T10:00')` → ns; `span('5m')` → ns; `ago('5m')` → ns; `bucket(ts_event or time, '1m')`; `utc(ts_recv)` →
TIMESTAMPTZ; `flag_names(flags)`; `has(flags, 'LATE')`.
"""


_SPELT = {pa.float64(): "DOUBLE", pa.string(): "VARCHAR", pa.map_(pa.string(), pa.float64()): "MAP(VARCHAR, DOUBLE)"}


class Column(msgspec.Struct, frozen=True):
    """A column of a view, and the expression over the files' columns that it is."""

    name: str
    sql: str
    text: str


@cache
def columns(view: str) -> tuple[Column, ...]:
    """The columns of a view, in order. `bars` has those of `bar_revisions`."""
    event_type = VIEWS[_base(view)]
    label = time_field(event_type)
    own = [name for name in fields(event_type) if name not in ("instrument", "ts_event", "ts_recv", "flags", "venue")]
    venue = "venue_id" if event_type is Status else "split_part(instrument_id, ':', 1)"
    of = "of the status" if event_type is Status else "of the instrument"
    return (
        Column("time", f"make_timestamptz({label} // 1000)", f"`{label}` to read and compare with, UTC, cut to µs"),
        Column("instrument", "instrument_id", "the whole id, `binance:BTC-USDT`"),
        *(Column(name, f'"{RENAMED.get(name, name)}"', "") for name in own),
        Column("ts_event", "ts_event", "the venue's time, ns UTC"),
        Column("ts_recv", "ts_recv", "ours, ns UTC"),
        Column("flags", "flags", "bit set: `has(flags, 'LATE')`, `flag_names(flags)`"),
        Column("venue", venue, f"{of}"),
        Column("symbol", "substr(instrument_id, strpos(instrument_id, ':') + 1)", "of the instrument"),
        Column("date", _date(label), "UTC day"),
        Column("session_id", "session_id", "the recording session"),
        Column("n", "n", "the event's number within its session"),
    )


def tag(view: str) -> str:
    """The kind of event in a view, as the catalogue has it."""
    return str(VIEWS[_base(view)].__struct_config__.tag)


def _base(view: str) -> str:
    return "bar_revisions" if view == "bars" else view


def _date(label: str) -> str:
    """The folder's day by the rule of `lake/layout.py`, as `tables.days_of` has it."""
    absurd = f"{label} < {ABSURD_BEFORE} OR {label} > ts_recv + {DAY} OR flags & {int(Flag.BAD_TIME)} <> 0"
    return f"DATE '1970-01-01' + CAST((CASE WHEN {absurd} THEN ts_recv ELSE {label} END) // {DAY} AS INTEGER)"


def mentions(sql: str, view: str) -> bool:
    """Whether the text of a query has the view's name in it."""
    names = "bars|bar_revisions" if view == "bar_revisions" else view
    return re.search(rf"\b(?:{names})\b", sql, re.IGNORECASE) is not None


def select(view: str, source: str) -> str:
    """The view's columns, from a relation with the files' columns."""
    drawn = ", ".join(f'{c.sql} AS "{c.name}"' for c in columns(view))
    return f"SELECT {drawn} FROM {source}"  # noqa: S608 - our own names


def source(view: str, paths: Sequence[str], tail: str | None) -> str:
    """A relation of what lies in the files `paths` and in the registered relation `tail`. At least one of them is needed."""
    names = ", ".join(f'"{name}"' for name in file_schema(VIEWS[view]).names)
    parts = []
    if paths:
        listed = f"[{', '.join(map(quoted, paths))}]"
        parts.append(f"SELECT {names} FROM {files(VIEWS[view], listed)}")  # noqa: S608 - quoted
    if tail is not None:
        parts.append(f'SELECT {names} FROM "{tail}"')  # noqa: S608 - our own name
    return f"({' UNION ALL '.join(parts)})"


def files(event_type: type[Event], listed: str, options: str = "hive_partitioning = false") -> str:
    """A relation of files of one kind; `listed` is DuckDB's list of them. Those of an earlier release may lack columns that came
    later (`tables.GROWN`), so there DuckDB looks at the columns of each file first.
    """
    if event_type not in GROWN:
        return f"read_parquet({listed}, {options})"
    none = ", ".join(f'NULL::{_SPELT[file_schema(event_type).field(name).type]} AS "{name}"' for name in GROWN[event_type])
    read = f"SELECT * FROM read_parquet({listed}, {options}, union_by_name = true)"  # noqa: S608 - quoted
    return f"({read} UNION ALL BY NAME SELECT {none} WHERE false)"


def quoted(text: str) -> str:
    """As an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def bars() -> str:
    """The view `bars`: of each session the latest revision, of the sessions the better bar."""
    key = ", ".join(BAR_KEY)
    of_session = f"row_number() OVER (PARTITION BY {key}, ts_event, time, session_id ORDER BY revision DESC, n DESC) = 1"
    better = "complete DESC, coalesce(trades, -1) DESC, session_id DESC"
    of_all = f"row_number() OVER (PARTITION BY {key}, ts_event, time ORDER BY {better}) = 1"
    latest = f"SELECT * FROM bar_revisions QUALIFY {of_session}"  # noqa: S608 - our own names
    return f"CREATE VIEW bars AS SELECT * FROM ({latest}) QUALIFY {of_all}"  # noqa: S608 - our own names


@cache
def empty(view: str) -> pa.Table:
    """No rows, with the files' columns."""
    return file_schema(VIEWS[view]).empty_table()
