"""`/api/v1/book/history`: the book over time, in price bins, as the columns of a heatmap."""

import asyncio
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.source import Source
from tapeline.market import columns
from tapeline.server import asked
from tapeline.server.asked import EVERY, MAX_ROWS, MAX_TIME
from tapeline.server.depths import Look
from tapeline.server.hub import Hub
from tapeline.server.operations import INSTRUMENT, KNOWN, TO, Described, Operation, Parameter, limit, many
from tapeline.server.shapes import ColumnRow
from tapeline.server.views import MEDIA, encode

MAX_COLUMNS = 1200
STEP = Parameter(name="step", text="The width of a price bin.", kind="number", required=True, above=0, example=0.5)
HISTORY = Operation(
    "GET", "/api/v1/book/history", "The book over time in price bins, oldest first",
    parameters=(
        INSTRUMENT, STEP,
        Parameter(name="every", text="Time between two columns.", choices=tuple(EVERY), default="1s"),
        limit(200, MAX_ROWS, "rows", "Most bins on each side of the mid."),
        limit(600, MAX_COLUMNS, text="Most columns; the oldest are cut."), TO,
    ),
    answer={"instrument": str, "step": float, "every": int, "columns": many(ColumnRow), "more": bool},
    errors=KNOWN,
)  # fmt: skip


class Heatmap:
    def __init__(self, source: Source, hub: Hub) -> None:
        self._source, self._depths, self._names = source, hub.depths, hub.names

    def route(self) -> Described:
        return Described(self.history, HISTORY)

    async def history(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        step, every = asked.step(given.get("step")), EVERY[asked.choice("every", given.get("every"), EVERY)]
        rows, limit = asked.rows(given.get("rows")), asked.whole("limit", given.get("limit"), 600, MAX_COLUMNS)
        end = asked.moment("to", given.get("to"), MAX_TIME)
        found = list(islice((look for look in self._depths.watch(name).back(every) if look[0] < end), limit + 1))
        more, looks = len(found) > limit, found[limit - 1 :: -1] if found else []

        def made() -> bytes:
            head = {"mode": self._source.mode, "instrument": name, "step": step, "every": every // MICRO}
            return encode({**head, "columns": _columns(name, looks, step, rows), "more": more})

        return Response(await asyncio.to_thread(made), 200, {"cache-control": "no-store"}, MEDIA["json"])


def _columns(name: str, looks: list[Look], step: float, rows: int) -> list[dict[str, object]]:
    width = columns.step_of(step)
    return [columns.column(name, ts, book, width, rows) for ts, book in looks]
