"""What the processes answer beside SQL: pages of the past, for `server/past/past.py`. Raises what the lake raises."""

from functools import partial
from pathlib import Path

import msgspec

from tapeline.clock import SECOND, LiveClock
from tapeline.lake import past
from tapeline.lake.current import current
from tapeline.lake.lake import BAR_KINDS, BOOK_KINDS
from tapeline.lake.past import Patience, Span
from tapeline.lake.sql import Limits
from tapeline.market.columns import step_of
from tapeline.server.query.piped import Ask, BarPage, Bars, Columns, Footprints, Head, ProfileOf, ProfilePage, TradePage, Trades
from tapeline.server.views import encode

PATIENT = 0.5
"""Of its time a question goes on looking so long; reading the last piece, and telling, need the rest."""
LEVELS = 2000
_CLOCK = LiveClock()
Pieces = list[bytes | memoryview]
pack = msgspec.msgpack.Encoder().encode


def past_of(ask: Ask) -> tuple[Head, Pieces]:
    what, data = ask.what, Path(ask.data)
    patience = Patience(_CLOCK, _CLOCK.now() + int(ask.seconds * PATIENT * SECOND))
    limits = Limits(seconds=ask.seconds, memory_mb=ask.memory_mb, threads=ask.threads, bytes=ask.answer_bytes)
    if isinstance(what, Bars):
        return Head(), [_bars(data, what, patience, limits)]
    if isinstance(what, Trades):
        span = Span(what.start, what.end, what.limit, what.until)
        page = past.newest_trades(data, what.instrument, span, what.session, what.seam, limits)
        return Head(), [pack(TradePage(page.rows, page.more))]
    if isinstance(what, Columns):
        return _columns(data, what, patience)
    if isinstance(what, Footprints):
        made = partial(past.footprints, instrument=what.instrument, edges=what.edges, step=step_of(what.step), until=what.until)
        return Head(), [pack(current(data, what.instrument, BAR_KINDS, made, what.edges[-1][1])[0])]
    if isinstance(what, ProfileOf):
        found, first, last = past.profile_of(data, what.instrument, (what.start, what.end, what.until), what.bps, limits)
        return Head(), [pack(ProfilePage(found, first, last))]
    raise AssertionError(what)


def _bars(data: Path, what: Bars, patience: Patience, limits: Limits) -> bytes:
    span = Span(what.start, what.end, what.limit, what.until)
    if what.origin == "venue":
        page = past.venue_bars(data, what.instrument, what.interval, span, limits)
    else:
        made = partial(past.newest_bars, instrument=what.instrument, interval=what.interval, span=span, patience=patience)
        page, _ = current(data, what.instrument, BAR_KINDS, made, what.end)
    return pack(BarPage(page.rows, page.more))


def _columns(data: Path, what: Columns, patience: Patience) -> tuple[Head, Pieces]:
    span = Span(0, what.end, what.limit, what.until)
    asked = past.Columns(step_of(what.step), what.rows, what.every, LEVELS)
    made = partial(past.newest_columns, instrument=what.instrument, asked=asked, span=span, patience=patience)
    (found, more), _ = current(data, what.instrument, BOOK_KINDS, made, what.end)
    return Head(count=len(found), more=more), [b",".join(map(encode, found))]
