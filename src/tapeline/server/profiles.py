"""`/api/v1/profile`: how much was traded at which price, with the value area (market/profile.py), of the trades in memory, or as a
metric that is on has it (`profile_1h`), which reaches farther back.

What is older than the trades in memory (settings `server.history_trades`) is left out, and `more` says so: `Lake.profile` has all.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.source import Source
from tapeline.market.profile import Profile, counted, profile
from tapeline.server import asked
from tapeline.server.asked import MAX_TIME, Names
from tapeline.server.history import History
from tapeline.server.operations import FROM, INSTRUMENT, KNOWN, TO, Described, Operation, Parameter
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
    errors=KNOWN, embeds=True,
)  # fmt: skip


class Profiles:
    def __init__(self, source: Source, history: History, names: Names) -> None:
        self._source, self._history, self._names = source, history, names

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
        trades = [t for t in counted(held) if start <= t.ts_event < end]
        forgotten = log is not None and log.total > len(held)
        rows = [t.price for t in trades], [t.size for t in trades], [t.side for t in trades]
        made: Profile = await asyncio.to_thread(profile, *rows, bps=bps)
        first = min(t.ts_event for t in trades) // MICRO if trades else None
        last = max(t.ts_event for t in trades) // MICRO if trades else None
        more = forgotten and start < min(t.ts_event for t in held)
        return self._told({"instrument": name, "first": first, "last": last, "more": more, "profile": made})

    def _sampled(self, name: str, metric: str) -> Response:
        sampled = self._source.profiles(name)
        if metric not in sampled:
            hint = f"one of {', '.join(sampled)}" if sampled else "none is on: name profile_1h in pipeline.metrics"
            raise asked.bad("metric", metric, hint)
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
