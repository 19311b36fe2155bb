"""`/api/v1/footprint`: of each bar how much was bought and sold at which price.

Bars are those of `/bars`, of any kind that goes by time. Where memory has all trades of a bar they are counted here, else by a query
process over the lake (`past.py`); the same trades count that make the bar. `complete` is the bar's, and false besides where
the trades do not add up to its volume.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.source import Source
from tapeline.events import Bar, Trade
from tapeline.market.columns import Step, step_of
from tapeline.market.footprint import MOST_CELLS, Footprint, footprint
from tapeline.market.profile import counted
from tapeline.server import asked
from tapeline.server.asked import MAX_TIME, ApiError, Names
from tapeline.server.contract.operations import INSTRUMENT, KNOWN, TO, Described, Operation, Parameter, limit, many
from tapeline.server.contract.shapes import FootprintRow
from tapeline.server.memory.history import History
from tapeline.server.past.heatmap import STEP
from tapeline.server.past.past import OLDER, Past
from tapeline.server.query import piped
from tapeline.server.views import MEDIA, encode

MAX_BARS = 300
NEAR = 1e-9
FOOTPRINT = Operation(
    "GET", "/api/v1/footprint", "Of each bar how much was bought and sold in each price bin, oldest first",
    parameters=(
        INSTRUMENT, Parameter(name="interval", text="Of bars of time, as in `1m` or `90s`.", default="1m"), STEP,
        limit(60, MAX_BARS, text="Most bars; the oldest are cut."), TO,
    ),
    answer={"instrument": str, "interval": str, "step": float, "bars": many(FootprintRow), "more": bool},
    errors=(*KNOWN, *OLDER, "too_many_bins"), embeds=True,
)  # fmt: skip


class Footprints:
    def __init__(self, source: Source, history: History, names: Names, past: Past) -> None:
        self._source, self._history, self._names, self._past = source, history, names, past

    def route(self) -> Described:
        return Described(self.footprint, FOOTPRINT)

    async def footprint(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        spec = asked.interval(given.get("interval")) if self._past.kept else self._names.made(given.get("interval"))
        if spec.slots is None:
            raise asked.bad("interval", spec.text, "bars of time, as in 1m or 90s")
        step = asked.step(given.get("step"))
        most, end = asked.whole("limit", given.get("limit"), 60, MAX_BARS), asked.moment("to", given.get("to"), MAX_TIME)
        found, more = await self._past.bars(request, name, spec, "trades", 0, end, most)
        bars = [bar for bar, _ in found]
        _bounded(bars, step)
        made = await self._made(request, name, bars, step)
        head = {"mode": self._source.mode, "instrument": name, "interval": spec.text, "step": step}

        def told() -> bytes:  # of so many bars and bins some MB
            return encode({**head, "bars": [_row(bar, cells) for bar, cells in zip(bars, made, strict=True)], "more": more})

        return Response(await asyncio.to_thread(told), 200, {"cache-control": "no-store"}, MEDIA["json"])

    async def _made(self, request: Request, name: str, bars: Sequence[Bar], step: float) -> list[Footprint]:
        log = self._history.trades.get(name)
        held = [] if log is None else list(log.items)
        floor = log.passed if log is not None and log.passed >= 0 else min((t.ts_event for t in held), default=MAX_TIME) - 1
        older = [bar for bar in bars if bar.ts_open <= floor]
        if older and not await self._past.goes_back(name, ("trade",), min(older[-1].ts_event, floor + 1)):
            older = []
        found: list[Footprint] = []
        if older:
            edges = [(bar.ts_open, bar.ts_event) for bar in older]
            what = piped.Footprints(instrument=name, step=step, edges=edges, until=self._past.until)
            _, body = await self._past.queries.ask(request, what)
            found = msgspec.msgpack.decode(body, type=list[Footprint])
        later = bars[len(older) :]
        return found + await asyncio.to_thread(_counted, held, later, step_of(step))


def _bounded(bars: Sequence[Bar], step: float) -> None:
    """Raises ApiError where a bar would have too many bins."""
    tallest = max((bar.high - bar.low for bar in bars), default=0.0)
    if tallest / step > MOST_CELLS - 2:
        raise ApiError(
            409,
            "too_many_bins",
            f"step {step:g} makes over {MOST_CELLS} price bins a bar",
            f"{tallest / MOST_CELLS * 2:.2g} would do",
        )


def _counted(held: Sequence[Trade], bars: Sequence[Bar], step: Step) -> list[Footprint]:
    """Of the trades in memory, those that count for bars."""
    trades = counted(held)
    trades.sort(key=lambda t: t.ts_event)
    ts = np.fromiter((t.ts_event for t in trades), np.int64, len(trades))
    price, size = (np.fromiter((getattr(t, name) for t in trades), np.float64, len(trades)) for name in ("price", "size"))
    buy, sell = (np.fromiter((t.side == side for t in trades), np.bool_, len(trades)) for side in ("buy", "sell"))
    found = []
    for bar in bars:
        part = slice(*np.searchsorted(ts, (bar.ts_open, bar.ts_event)).tolist())
        made = footprint(price[part], size[part], buy[part], sell[part], step)
        found.append(made or Footprint(0, [], [], 0.0))
    return found


def _row(bar: Bar, cells: Footprint) -> dict[str, Any]:
    whole = bar.complete and abs(cells.volume - bar.volume) <= NEAR * max(bar.volume, 1.0)
    row = {"ts_open": bar.ts_open // MICRO, "complete": whole, "low": cells.low}
    return {**row, "buys": cells.buys, "sells": cells.sells}
