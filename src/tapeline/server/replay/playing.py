"""Control of one replay, under the address where it is watched: `/api/v1/replay`, read and changed.

Changes are guarded as those of subscriptions are. What is wanted is answered at once, and done by the player's own task: `seeking`
says that it is still on its way, in the answer as in the status.
"""

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import MICRO
from tapeline.engine.player import Player
from tapeline.server import asked, bodies
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import Described, Operation, or_null
from tapeline.server.views import MEDIA, encode, status_row

SLOWEST, FASTEST = 0.1, 1000.0
EXAMPLE = '{"playing": true, "speed": 10, "at": "2026-11-20T09:00:00Z"}'
STATE = {
    "session": str, "first": int, "last": int, "now": int, "speed": or_null(float), "playing": bool, "finished": bool,
    "seeking": bool, "progress": or_null(float), "epoch": int,
}  # fmt: skip


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST. What is left out stays. `speed`: 0.1 to 1000, or "max"; `at`: microseconds or an ISO 8601 time."""

    playing: bool | None = None
    speed: float | Literal["max"] | None = None
    at: int | str | None = None
    step: Literal["second", "events"] | None = None


SHOW = Operation("GET", "/api/v1/replay", "Where the replay stands", tag="replay", answer=STATE)
CHANGE = Operation("POST", "/api/v1/replay", "Play, pause, seek, step, and how fast", tag="replay", body=Wish, answer=STATE)


def pace(speed: float | str | None) -> float | None:
    """As a player has it: 0 is as fast as can be, None where nothing is wanted. Raises ApiError."""
    if speed is None or speed == "max":
        return None if speed is None else 0.0
    if isinstance(speed, str) or not SLOWEST <= speed <= FASTEST:
        raise asked.bad("speed", speed, f'a number from {SLOWEST:g} to {FASTEST:g}, or "max"')
    return float(speed)


def instant(at: int | str | None) -> int | None:
    """Nanoseconds: the last of that microsecond, since what the API tells is cut to microseconds. Raises ApiError."""
    return None if at is None else asked.moment("at", str(at), 0) // MICRO * MICRO + MICRO - 1


class Playing:
    def __init__(self, player: Player) -> None:
        self._player = player

    def route(self) -> Described:
        return Described(self.handle, SHOW, CHANGE)

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            await self._change(request)
        row = {"mode": self._player.mode, **status_row(self._player.state())}
        return Response(encode(row), headers={"cache-control": "no-store"}, media_type=MEDIA["json"])

    async def _change(self, request: Request) -> None:
        wish = await bodies.read(request, Wish, EXAMPLE, "this is a small object")
        speed, at, player = pace(wish.speed), instant(wish.at), self._player
        if wish.step is not None and (wish.playing or at is not None):
            raise ApiError(400, "bad_parameter", "a step is taken while paused, from where the replay stands", EXAMPLE)
        if speed is not None:
            player.set_speed(speed)
        if at is not None:
            player.seek(at)
        if wish.playing is not None:
            (player.play if wish.playing else player.pause)()
        if wish.step is not None:
            player.step(wish.step)
