"""What is said about the sampled metrics beside their latest values: `/metrics/history` and `/metrics/catalogue` of docs/api.md.

The history is columns (server/samples.py): a page draws forty small lines from one answer. The catalogue is the classes of
`market.metrics.registry` themselves, those of users among them: what each means stands in its docstring and nowhere else.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tapeline.engine.source import Source
from tapeline.market.metrics import catalogue, registry
from tapeline.server import asked
from tapeline.server.asked import Names
from tapeline.server.history import History
from tapeline.server.samples import POINTS, Samples
from tapeline.server.views import MEDIA, Row, encode

MAX_METRICS = 100


class Figures:
    def __init__(self, source: Source, history: History, names: Names) -> None:
        self._source, self._history, self._names = source, history, names

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/metrics/history", self.metrics_history, methods=["GET"]),
            Route("/api/v1/metrics/catalogue", self.metrics_catalogue, methods=["GET"]),
        ]

    def _json(self, row: Row) -> Response:
        body = encode({"mode": self._source.mode, **row})
        return Response(body, 200, {"cache-control": "no-store"}, MEDIA["json"])

    async def metrics_history(self, request: Request) -> Response:
        given = request.query_params
        asked.only(given, ("instrument", "metric", "limit"))
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        limit = asked.whole("limit", given.get("limit"), 300, POINTS)
        samples = self._history.samples.get(name) or Samples(1)
        wanted = given.getlist("metric")
        if len(wanted) > MAX_METRICS:
            raise asked.bad("metric", f"{len(wanted)} names", f"at most {MAX_METRICS}, or none for all")
        return self._json({"instrument": name, **samples.rows(wanted or list(samples.columns), limit)})

    async def metrics_catalogue(self, request: Request) -> Response:
        asked.only(request.query_params, ())
        return self._json({"catalogue": [catalogue.entry(found) for _, found in sorted(registry.METRICS.items())]})
