"""What is said about the sampled metrics beside their latest values: `/metrics/history`, `/metrics/catalogue` and `/profile` of
docs/api.md.

The history is columns (server/samples.py): a page draws forty small lines from one answer. The catalogue is the classes of
`market.metrics.registry` themselves, those of users among them: what each means stands in its docstring and nowhere else.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tapeline.clock import MICRO
from tapeline.engine.source import Source
from tapeline.events import Flag, Trade
from tapeline.market.metrics import catalogue, registry
from tapeline.market.profile import Profile, profile
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
            Route("/api/v1/profile", self.profile, methods=["GET"]),
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

    async def profile(self, request: Request) -> Response:
        """Of a metric that is on; where none is, of the trades in memory."""
        given = request.query_params
        asked.only(given, ("instrument", "metric"))
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        sampled = self._source.profiles(name)
        wanted = asked.choice("metric", given.get("metric"), [*sampled, "trades"])
        if wanted != "trades":
            touched = (latest.incomplete or "") if (latest := self._history.sample(name)) else ""
            return self._profile(name, wanted, sampled[wanted], None, wanted in touched.split(","))
        log = self._history.trades.get(name)
        trades = [] if log is None else [t for t in log.items if not t.flags & Flag.OFF_BOOK]
        made = await asyncio.to_thread(lambda: of_trades(trades))
        return self._profile(name, wanted, made, min((t.ts_event for t in trades), default=None), None)

    def _profile(self, name: str, of: str, made: Profile, since: int | None, incomplete: bool | None) -> Response:
        about = {"instrument": name, "metric": of, "since": None if since is None else since // MICRO, "incomplete": incomplete}
        return self._json({"profile": about | msgspec.structs.asdict(made)})

    async def metrics_catalogue(self, request: Request) -> Response:
        asked.only(request.query_params, ())
        return self._json({"catalogue": [catalogue.entry(found) for _, found in sorted(registry.METRICS.items())]})


def of_trades(trades: Sequence[Trade]) -> Profile:
    return profile([t.price for t in trades], [t.size for t in trades], [t.side for t in trades])
