"""What is said about the sampled metrics beside their latest values: `/metrics/history` and `/metrics/catalogue` of docs/api.md.

The history is columns (server/memory/samples.py): a page draws forty small lines from one answer. The catalogue is the classes of
`market.metrics.registry` themselves, those of users among them: what each means stands in its docstring and nowhere else.
"""

from starlette.requests import Request
from starlette.responses import Response

from tapeline.engine.source import Source
from tapeline.market.metrics import catalogue, registry
from tapeline.server import asked
from tapeline.server.asked import Names
from tapeline.server.contract.operations import INSTRUMENT, KNOWN, Described, Operation, Parameter, limit, many
from tapeline.server.contract.shapes import MetricRow
from tapeline.server.memory.history import History
from tapeline.server.memory.samples import POINTS, Samples
from tapeline.server.views import MEDIA, Row, encode

MAX_METRICS = 100
HISTORY = Operation(
    "GET", "/api/v1/metrics/history", "The last samples of the metrics, oldest first, in columns",
    parameters=(
        INSTRUMENT,
        Parameter(name="metric", text=f"At most {MAX_METRICS}; all by default.", repeated=True),
        limit(300, POINTS, text="Most samples."),
    ),
    answer={
        "instrument": str, "times": list[int], "values": dict[str, list[float | None]], "incomplete": dict[str, list[int]],
    },
    errors=KNOWN, embeds=True,
)  # fmt: skip
CATALOGUE = Operation(
    "GET", "/api/v1/metrics/catalogue", "Every metric that there is", answer={"catalogue": many(MetricRow)}, embeds=True
)


class Figures:
    def __init__(self, source: Source, history: History, names: Names) -> None:
        self._source, self._history, self._names = source, history, names

    def routes(self) -> list[Described]:
        return [Described(self.metrics_history, HISTORY), Described(self.metrics_catalogue, CATALOGUE)]

    def _json(self, row: Row) -> Response:
        body = encode({"mode": self._source.mode, **row})
        return Response(body, 200, {"cache-control": "no-store"}, MEDIA["json"])

    async def metrics_history(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        limit = asked.whole("limit", given.get("limit"), 300, POINTS)
        samples = self._history.samples.get(name) or Samples(1)
        wanted = given.getlist("metric")
        if len(wanted) > MAX_METRICS:
            raise asked.bad("metric", f"{len(wanted)} names", f"at most {MAX_METRICS}, or none for all")
        return self._json({"instrument": name, **samples.rows(wanted or list(samples.columns), limit)})

    async def metrics_catalogue(self, _: Request) -> Response:
        return self._json({"catalogue": [catalogue.entry(found) for _, found in sorted(registry.METRICS.items())]})
