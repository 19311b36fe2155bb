"""`/api/v1/profile`: how much was traded at which price, with the value area (market/profile.py), of the trades in memory, or as a
metric that is on has it (`profile_1h`), which reaches farther back.

With `from` before the trades in memory (settings `server.history_trades`) the lake is asked for the whole range, where it has such;
without `from` what is older is left out, and `more` says so.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.source import Source
from tapeline.market.profile import Profile, counted, profile
from tapeline.server import asked
from tapeline.server.asked import MAX_TIME, ApiError, Names
from tapeline.server.contract.operations import FROM, INSTRUMENT, KNOWN, TO, Described, Operation, Parameter
from tapeline.server.memory.history import History
from tapeline.server.past.past import OLDER, Past
from tapeline.server.query import piped
from tapeline.server.views import MEDIA, Row, encode

MOST_BPS = 1000.0
PROFILE = Operation(
    "GET", "/api/v1/profile", "Volume by price of the trades in memory, or of a metric that is on",
    parameters=(
        INSTRUMENT,
        Parameter(name="metric", text="One that is on, as in `profile_1h`, in place of a range."),
        FROM, TO,
        Parameter(name="bps", text="The width of a bin in basis points.", kind="number", default=1.0, above=0, most=MOST_BPS),
    ),
    answer={
        "instrument": str, "profile": Profile, "first?": int | None, "last?": int | None, "more?": bool, "metric?": str,
        "incomplete?": bool,
    },
    errors=(*KNOWN, "no_such_metric", *OLDER), embeds=True,
)  # fmt: skip


class Profiles:
    def __init__(self, source: Source, history: History, names: Names, past: Past) -> None:
        self._source, self._history, self._names, self._past = source, history, names, past

    def route(self) -> Described:
        return Described(self.profile, PROFILE)

    async def profile(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        if "metric" in given:
            return self._sampled(name, given["metric"])
        start, end = asked.moment("from", given.get("from"), 0), asked.moment("to", given.get("to"), MAX_TIME)
        bps = _bps(given.get("bps"))
        log = self._history.trades.get(name)
        held = [] if log is None else list(log.items)
        floor = log.passed if log is not None and log.passed >= 0 else min((t.ts_event for t in held), default=end) - 1
        if "from" in given and start <= floor and await self._past.goes_back(name, ("trade",), min(end, floor + 1)):
            return await self._stored(request, name, start, end, bps)
        trades = [t for t in counted(held) if start <= t.ts_event < end]
        rows = [t.price for t in trades], [t.size for t in trades], [t.side for t in trades]
        made: Profile = await asyncio.to_thread(profile, *rows, bps=bps)
        first, last = (min(t.ts_event for t in trades), max(t.ts_event for t in trades)) if trades else (None, None)
        return self._made(name, piped.ProfilePage(made, first, last), more=log is not None and 0 <= start <= log.passed)

    async def _stored(self, request: Request, name: str, start: int, end: int, bps: float) -> Response:
        """Of the lake and its session's memory: all of the range, or an error."""
        what = piped.ProfileOf(instrument=name, start=start, end=end, until=self._past.until, bps=bps)
        _, body = await self._past.queries.ask(request, what)
        return self._made(name, msgspec.msgpack.decode(body, type=piped.ProfilePage), more=False)

    def _made(self, name: str, page: piped.ProfilePage, *, more: bool) -> Response:
        first, last = (None if ts is None else ts // MICRO for ts in (page.first, page.last))
        return self._told({"instrument": name, "first": first, "last": last, "more": more, "profile": page.profile})

    def _sampled(self, name: str, metric: str) -> Response:
        sampled = self._source.profiles(name)
        if metric not in sampled:
            hint = f"one of {', '.join(sampled)}" if sampled else "none is on: name profile_1h in pipeline.metrics"
            raise ApiError(404, "no_such_metric", f"{metric[:80]!r} is not on", hint)
        latest = self._history.sample(name)
        touched = (latest.incomplete or "").split(",") if latest else []
        return self._told({"instrument": name, "metric": metric, "incomplete": metric in touched, "profile": sampled[metric]})

    def _told(self, row: Row) -> Response:
        return Response(encode({"mode": self._source.mode, **row}), 200, {"cache-control": "no-store"}, MEDIA["json"])


def _bps(value: str | None) -> float:
    try:
        bps = 1.0 if value is None else float(value)
    except ValueError:
        bps = 0.0
    if not 0 < bps <= MOST_BPS:
        raise asked.bad("bps", value, f"a number above 0, at most {MOST_BPS:g}: the width of a bin in basis points")
    return bps
