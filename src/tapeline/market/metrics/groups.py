"""Instruments looked at together: the best bid and offer of all venues, who is dearer, who moves first.

    [pipeline]
    groups = ["btc: binance:BTC-USDT coinbase:BTC-USD binance-usdm:BTC-USDT-PERP"]

A group is sampled right after the instruments, at the same instant, as a `metrics` event of `group:btc`. Its members bear
numbers, 1 for the first one, which is the reference that the others are compared with. Prices are taken as they are: a dollar is
a dollar, whether USDT, USD or USDC, and no fees are taken off. Where a venue is simulated its name means the simulated one.

A member is in while its touch is known. It is out while it is disconnected or stale, or its book is broken, crossed or not proven
yet, and in again with its next touch.

| value | what |
|---|---|
| `members` | how many are in |
| `bid`, `bid_size`, `bid_member` | best bid of those that are in, what they bid there together, the number of the first that does |
| `ask`, `ask_size`, `ask_member` | likewise the best offer |
| `arbitrage_bps` | 10⁴ (bid − ask) / mid of these; above 0 one venue buys for more than another one sells |
| `basis.2` … | 10⁴ (midₖ − mid₁) / mid₁ of each member that is in |
| `correlation.2` … | of the returns over whole seconds of the last 5 minutes, from 60 of them on |
| `lag.2` … | ms by which a member follows the reference, −1000 … 1000; below 0 it moves first |
| `lag_correlation.2` … | how closely it does |

`mid`, `spread`, `spread_bps` and `microprice` of the event are those of the best bid and offer of all. `ts_event` is the venues'
time as our clock has it, of the venue whose feed lags most. `correlation` and `lag` are `incomplete` until five minutes of both are
known. The event is flagged SIMULATED as soon as one of the venues is simulated. How correlations and lags are found, and the
sources, are told in `market/metrics/grid.py`: previous-tick returns on a grid of 100 ms, and of all shifts the one with the
greatest cross-correlation (Hoffmann, Rosenbaum and Yoshida 2013), None where chance reaches as far.
"""

import re
from collections.abc import Sequence
from math import isnan
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tapeline.errors import UsageError
from tapeline.events import Metrics
from tapeline.market.metrics.base import History
from tapeline.market.metrics.grid import STEP, Grid, correlation, lag, mids_at, points_until
from tapeline.market.metrics.per_update import book_metrics
from tapeline.market.metrics.store import Touches

BPS = 10_000
MOST_MEMBERS = 16
KEEP = 30_000_000_000
"""How long a member's touches are to be kept, ns: what the grid reads anew, and by how much venues' clocks may differ."""
PREFIX = "group:"
_EXAMPLE = '"btc: binance:BTC-USDT coinbase:BTC-USD"'
Row = tuple[float, float, float, float]


class GroupSpec(msgspec.Struct, frozen=True):
    name: str
    members: tuple[str, ...]


def parse_group(text: str) -> GroupSpec:
    """`name: member member …`. Raises UsageError with what is wrong."""
    name, colon, rest = text.partition(":")
    members = tuple(rest.split())
    if not colon or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name.strip()):
        raise UsageError(
            f"{text!r}: a group begins with its name (lower-case letters, digits, dashes) and a colon, as in {_EXAMPLE}"
        )
    for member in members:
        if not re.fullmatch(r"[a-z0-9-]+:\S+", member):
            raise UsageError(f"{text!r}: {member!r} is no instrument; write venue:symbol, as in {_EXAMPLE}")
    if len(set(members)) < len(members):
        raise UsageError(f"{text!r}: a member stands there twice")
    if not 2 <= len(members) <= MOST_MEMBERS:
        raise UsageError(f"{text!r}: a group has 2 to {MOST_MEMBERS} members, this one {len(members)}")
    return GroupSpec(name.strip(), members)


class Member(NamedTuple):
    """What a group sees of one instrument. `touch`: bid, bid size, ask, ask size, NaN where a side is empty; None: it is out."""

    now: int
    touch: Row | None
    touches: Touches
    flags: int


class Group:
    """`sample` is told its members in their order, None where one is not streamed."""

    def __init__(self, spec: GroupSpec) -> None:
        self.spec, self.instrument = spec, PREFIX + spec.name
        self.now = -1
        self._grid = Grid(len(spec.members))
        self._said: tuple[object, ...] = ()

    def sample(self, ts_recv: int, members: Sequence[Member | None], flags: int) -> Metrics | None:
        """What there is to say at `ts_recv`; None where no member came yet, or nothing has changed. `flags`: of its members."""
        times = [m.now for m in members if m is not None and m.now >= 0]
        if not times:
            return None
        self.now = max(self.now, min(times))
        told = [None if m is None or not len(m.touches) else (m.touches.ts, m.touches.mid) for m in members]
        self._grid.advance(self.now, told)
        touches = [None if m is None else m.touch for m in members]
        values = _together(touches) | self._moves(self._grid.values)
        incomplete = ",".join(name for name in values if not self._is_whole(name))
        said = (tuple(values.items()), incomplete)
        if said == self._said:
            return None
        self._said = said
        best = tuple(values.get(name) for name in ("bid", "bid_size", "ask", "ask_size"))
        made = book_metrics(None, best, 1, self.instrument, self.now, ts_recv, flags)  # type: ignore[arg-type]
        return msgspec.structs.replace(made, values=values, incomplete=incomplete or None)

    def _is_whole(self, name: str) -> bool:
        what, _, number = name.partition(".")
        return what not in {"correlation", "lag", "lag_correlation"} or self._grid.whole(0, int(number) - 1)

    def _moves(self, grid: Any) -> dict[str, float]:
        values: dict[str, float] = {}
        for number, row in enumerate(grid[1:], 2):
            if (together := correlation(grid[0], row, self._grid.last)) is not None:
                values[f"correlation.{number}"] = together
            if (found := lag(grid[0], row)) is not None:
                values[f"lag.{number}"], values[f"lag_correlation.{number}"] = found
        return values

    def batch(self, members: Sequence[History | None]) -> dict[str, float]:
        """The twin of `sample`: the same from everything that the members' touches ever were, after it."""
        grid = np.full_like(self._grid.values, np.nan)
        points = points_until(self.now - self.now % STEP)
        for row, h in zip(grid, members, strict=True):
            if h is not None and len(h.touch_ts):
                row[:] = mids_at(h.touch_ts, (h.bid + h.ask) / 2, points)
        return _together([None if h is None else _last(h) for h in members]) | self._moves(grid)


def _last(h: History) -> Row | None:
    if not len(h.touch_ts) or np.isnan([h.bid[-1], h.ask[-1]]).all():
        return None
    return float(h.bid[-1]), float(h.bid_size[-1]), float(h.ask[-1]), float(h.ask_size[-1])


def _together(touches: Sequence[Row | None]) -> dict[str, float]:
    """What is of this moment."""
    values: dict[str, float] = {"members": float(sum(t is not None for t in touches))}
    bids = [(t[0], -number, t[1]) for number, t in enumerate(touches, 1) if t is not None and not isnan(t[0])]
    asks = [(-t[2], -number, t[3]) for number, t in enumerate(touches, 1) if t is not None and not isnan(t[2])]
    for name, sign, side in (("bid", 1, bids), ("ask", -1, asks)):
        if side:
            price, number, _ = max(side)
            size = sum(s for p, _, s in side if p == price)
            values |= {name: sign * price, f"{name}_size": size, f"{name}_member": float(-number)}
    if bids and asks:
        bid, ask = values["bid"], values["ask"]
        values["arbitrage_bps"] = BPS * (bid - ask) / ((bid + ask) / 2)
    mids = [None if t is None or isnan(t[0] + t[2]) else (t[0] + t[2]) / 2 for t in touches]
    if (reference := mids[0]) is not None:
        values |= {f"basis.{n}": BPS * (mid - reference) / reference for n, mid in enumerate(mids[1:], 2) if mid is not None}
    return values
