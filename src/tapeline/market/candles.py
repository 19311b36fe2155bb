"""Venues' own candles and figures, judged before they are given out.

What a venue says of its market is given as it is said, even where it cannot quite be: the documented candle of Binance has a low
above its open. Only what no table holds (infinite numbers, times and counts past 64 bits) is refused, and a time that cannot be true
is flagged, as those of all other records are by their decoders.
"""

from math import isfinite

import msgspec

from tapeline.clock import SECOND
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Flag

EARLIEST = 946_684_800 * SECOND  # 2000-01-01
MOST_AHEAD = 366 * 86_400 * SECOND
"""A candle may end after now: the month's, the year's."""
MOST_COUNT = 2**63
BAD_TIME = int(Flag.BAD_TIME)


def judged(bar: Bar) -> Bar:
    """The candle, flagged BAD_TIME where its times cannot be true. Raises MalformedFrame where it cannot be kept."""
    figures = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.buy_volume, bar.notional, bar.vwap)
    counts = (bar.ts_event, bar.ts_open, bar.trades or 0)
    if not all(f is None or isfinite(f) for f in figures) or not all(-MOST_COUNT <= n < MOST_COUNT for n in counts):
        raise MalformedFrame(f"a candle of {bar.instrument} has numbers that cannot be true")
    latest = bar.ts_recv + MOST_AHEAD
    if EARLIEST < bar.ts_event < latest and EARLIEST < bar.ts_open < latest:
        return bar
    return bar if bar.flags & BAD_TIME else msgspec.structs.replace(bar, flags=bar.flags | BAD_TIME)
