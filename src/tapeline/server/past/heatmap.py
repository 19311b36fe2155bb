"""`/api/v1/book/history`: the book over time, in price bins, as the columns of a heatmap.

The newest columns that follow one another without a hole are memory's (`memory/depths.py`), what is before them the lake's: there a
column is the book at its very time, in memory at the first look from then on. Where the lake has nothing older, or cannot be asked
now, it is as in `server/past/past.py`.
"""

import asyncio
from itertools import islice, pairwise

from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.source import Source
from tapeline.market.columns import column, step_of
from tapeline.server import asked
from tapeline.server.asked import EVERY, MAX_ROWS, MAX_TIME, ApiError
from tapeline.server.contract.operations import INSTRUMENT, KNOWN, TO, Described, Operation, Parameter, limit, many
from tapeline.server.contract.shapes import ColumnRow
from tapeline.server.live.hub import Hub
from tapeline.server.memory.depths import Look
from tapeline.server.past.past import OLDER, Past
from tapeline.server.query import piped
from tapeline.server.views import MEDIA, encode

MAX_COLUMNS = 1200
STEP = Parameter(
    name="step", text="The width of a price bin: a number of at most 12 decimal places.", required=True, example="0.5",
    pattern=r"^(0\.[0-9]{0,11}[1-9]|[1-9][0-9]{0,8}(\.[0-9]{1,12})?)$",
)  # fmt: skip
HISTORY = Operation(
    "GET", "/api/v1/book/history", "The book over time in price bins, oldest first",
    parameters=(
        INSTRUMENT, STEP,
        Parameter(name="every", text="Time between two columns.", choices=tuple(EVERY), default="1s"),
        limit(200, MAX_ROWS, "rows", "Most bins on each side of the mid."),
        limit(600, MAX_COLUMNS, text="Most columns; the oldest are cut."), TO,
    ),
    answer={"instrument": str, "step": float, "every": int, "columns": many(ColumnRow), "more": bool},
    errors=(*KNOWN, *OLDER), embeds=True,
)  # fmt: skip


class Heatmap:
    def __init__(self, source: Source, hub: Hub, past: Past) -> None:
        self._source, self._depths, self._names, self._past = source, hub.depths, hub.names, past

    def route(self) -> Described:
        return Described(self.history, HISTORY)

    async def history(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        step, every = asked.step(given.get("step")), EVERY[asked.choice("every", given.get("every"), EVERY)]
        rows, limit = asked.rows(given.get("rows")), asked.whole("limit", given.get("limit"), 600, MAX_COLUMNS)
        end = min(asked.moment("to", given.get("to"), MAX_TIME), self._source.now() + 1)
        held = list(islice((look for look in self._depths.watch(name).back(every) if look[0] < end), limit + 1))
        run = _run(held, every)
        before = held[run - 1][0] if run else end
        if run > limit or not await self._past.goes_back(name, ("book",), before):
            older, more, looks = b"", len(held) > limit, held[:limit]
        else:
            asks = piped.Columns(
                instrument=name, step=step, rows=rows, every=every, end=before, limit=limit - run, until=self._past.until
            )
            older, more, looks = await self._older(request, asks, held, run)
        head = {"mode": self._source.mode, "instrument": name, "step": step, "every": every // MICRO, "more": more}

        def made() -> bytes:
            new = b",".join(encode(column(name, ts, book, step_of(step), rows)) for ts, book in reversed(looks))
            return b'%s,"columns":[%s]}' % (encode(head)[:-1], b",".join(part for part in (older, new) if part))

        return Response(await asyncio.to_thread(made), 200, {"cache-control": "no-store"}, MEDIA["json"])

    async def _older(self, request: Request, asks: piped.Columns, held: list[Look], run: int) -> tuple[bytes, bool, list[Look]]:
        """The lake's columns, whether there are older ones, and what of memory stands behind them."""
        if not asks.limit:
            return b"", True, held[:run]
        try:
            head, body = await self._past.queries.ask(request, asks)
        except ApiError as e:
            if not held and e.code != "no_lake":
                raise
            return b"", e.code != "no_lake", held[:run] or held
        return body, head.more, held[:run]


def _run(looks: list[Look], every: int) -> int:
    """How many of the newest follow one another without a hole."""
    return next((n for n, (new, old) in enumerate(pairwise(looks), 1) if new[0] - old[0] != every), len(looks))
