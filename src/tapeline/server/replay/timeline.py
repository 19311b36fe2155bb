"""What the timeline of a recording shows: how much came when, how much was traded, and where something is missing.

    frames   from the tape's block headers, evenly over the time of each block; their sum is that of the recording
    volume   from the lake, where it has the session; else null, which is not 0
    gaps     status events of the lake that tell of missing or doubtful data; without a lake those that the player came past.
             Frames that are not on the tape at all are told in any case

A closed session never changes, so what was found of it is kept, the last `MOST_KEPT` answers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.player import Player
from tapeline.errors import TapeError, UsageError
from tapeline.server import asked
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import Described, Operation, Parameter, limit, many, shape
from tapeline.server.memory.history import History
from tapeline.server.query.query import Queries
from tapeline.server.views import MEDIA, Row, encode
from tapeline.tape import layout
from tapeline.tape.outline import Cell, Outlines

MOST_BUCKETS = 1000
MOST_GAPS = 500
MOST_KEPT = 32
KINDS = ("gap", "disconnected", "stale", "crossed")
DAY = 86_400_000_000_000
_TRADED = """select (greatest(ts_recv, $first) - $first) // $bucket as place, sum({what}) as volume from trades
where session_id = $session and ts_event between $first - $margin and $last + $margin and ts_recv <= $last {of} group by 1"""
_TOLD = f"""select ts_recv // 1000 as ts, kind, instrument, reason from status
where session_id = $session and ts_event between $first - $margin and $last + $margin and kind in {KINDS}
order by ts_recv limit {MOST_GAPS}"""  # noqa: S608  nothing of anyone else's is in it
GAP = shape("Gap", ts=int, kind=str, instrument=str, reason=str)
TIMELINE = Operation(
    "GET", "/api/v1/replay/timeline", "How much came when, and where something is missing", tag="replay",
    parameters=(
        limit(300, MOST_BUCKETS, "buckets", "How many stretches of the same length."),
        Parameter(name="instrument", text="Its volume, in its own unit; without, the turnover (price × size) of all."),
    ),
    answer={"from": int, "to": int, "bucket": int, "frames": list[int], "volume": many(float | None), "gaps": many(GAP)},
    errors=("tape_broken",),
)  # fmt: skip


def spread(cells: Sequence[Cell], first: int, bucket: int, buckets: int) -> list[int]:
    """Frames in each bucket, those of a cell evenly over its time; whole numbers whose sum is that of the cells."""
    at = [0.0] * buckets
    for begin, end, frames in cells:
        low, high = (max(0, min(buckets - 1, (t - first) // bucket)) for t in (begin, end))
        for i in range(low, high + 1):
            since, until = max(begin, first + i * bucket), min(end, first + (i + 1) * bucket)
            at[i] += frames * ((until - since) / (end - begin) if end > begin else 1.0)
    counts, carried, told = [], 0.0, 0
    for value in at:
        carried += value
        counts.append(round(carried) - told)
        told = round(carried)
    return counts


class Timeline:
    def __init__(self, root: Path, player: Player, history: History, queries: Queries | None) -> None:
        self._root, self.player, self._history, self._queries = root, player, history, queries
        self._outlines = Outlines()
        self._kept: OrderedDict[tuple[int, str], Row] = OrderedDict()
        self._alone = asyncio.Lock()  # a page that is dragged wide asks often; the disk is read once at a time

    def route(self) -> Described:
        return Described(self.timeline, TIMELINE)

    async def timeline(self, request: Request) -> Response:
        given = request.query_params
        buckets = asked.whole("buckets", given.get("buckets"), 300, MOST_BUCKETS)
        instrument = given.get("instrument", "")[:200]
        async with self._alone:
            found = self._kept.get((buckets, instrument)) or await self._made(buckets, instrument)
        return Response(
            encode({"mode": self.player.mode, **found}), headers={"cache-control": "no-store"}, media_type=MEDIA["json"]
        )

    async def _made(self, buckets: int, instrument: str) -> Row:
        try:
            directory = layout.session_dir(self._root, self.player.session)
            live = layout.is_live(directory)
            shape = await asyncio.to_thread(self._outlines.of, directory)
        except (TapeError, UsageError) as e:  # the latter: it was removed while it is played
            raise ApiError(503, "tape_broken", str(e), "`tapeline tape verify` says more") from None
        first = self.player.first
        last = max([self.player.last, *(cell[1] for cell in shape.cells[-1:])])
        if live:
            self.player.last = last
        bucket = max(MICRO, -(-(last - first + 1) // buckets))
        bucket += -bucket % MICRO  # whole microseconds
        gaps: list[dict[str, Any]] = [
            {"ts": hole.since // MICRO, "kind": "gap", "instrument": "",
             "reason": f"frames {hole.first} to {hole.last} are not on the tape"}
            for hole in shape.holes[:MOST_GAPS]
        ]  # fmt: skip
        volume, told, whole = await self._of_lake(first, last, bucket, buckets, instrument)
        gaps = sorted([*gaps, *told][:MOST_GAPS], key=lambda gap: gap["ts"])
        frames = await asyncio.to_thread(spread, shape.cells, first, bucket, buckets)
        row = {
            "from": first // MICRO,
            "to": last // MICRO,
            "bucket": bucket // MICRO,
            "frames": frames,
            "volume": volume,
            "gaps": gaps,
        }
        if not live and whole:
            self._kept[buckets, instrument] = row
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return row

    async def _of_lake(
        self, first: int, last: int, bucket: int, buckets: int, instrument: str
    ) -> tuple[list[float | None], list[dict[str, Any]], bool]:
        """Volume, gaps, and whether the lake told them: else the volume is not known, and the gaps are those come past."""
        params: dict[str, Any] = {"session": self.player.session, "first": first, "last": last, "margin": DAY}
        what, of = ("size", "and instrument = $instrument") if instrument else ("price * size", "")
        traded = {**params, "bucket": bucket} | ({"instrument": instrument} if instrument else {})
        volume: list[float | None] = [None] * buckets
        try:
            if self._queries is None:
                return volume, self._come_past(), False
            rows = await self._queries.rows(_TRADED.format(what=what, of=of), traded)
            told = await self._queries.rows(_TOLD, params)
        except ApiError:
            return volume, self._come_past(), False
        if rows or told:
            volume = [0.0] * buckets
        for row in rows:
            volume[min(int(row["place"]), buckets - 1)] = row["volume"]
        return volume, told, True

    def _come_past(self) -> list[dict[str, Any]]:
        return [
            {"ts": e.ts_recv // MICRO, "kind": e.kind, "instrument": e.instrument, "reason": e.reason}
            for e in self._history.status.items
            if e.kind in KINDS
        ]
