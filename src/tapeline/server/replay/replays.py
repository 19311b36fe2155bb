"""Recordings played beside what the server shows: each under `/replay/SESSION/`, a page and an API of its own, as if it were alone.

    GET  /api/v1/recordings   what there is to play
    POST /api/v1/replays      open one, or, where it is open, take it to another instant or speed
    /replay/SESSION/…         it: its player, history and hub are no one else's. The guard of the server stands before all of them

At most `MOST` are open. One that nobody watched nor asked for `IDLE_SECONDS` is closed, with all when the server ends. Its page,
opened by a person at this server, opens it again: addresses can be kept. Nothing else does, and no page of another site can.
A name is looked up among the sessions that are there, and never made into a path.

A player shares the event loop with a live feed: it works in slices of some milliseconds and rests as long as it has worked.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapeline.engine.player import Player
from tapeline.engine.source import Mode, Source
from tapeline.errors import TapelineError, UsageError
from tapeline.server import asked, bodies
from tapeline.server.access.guard import error_response
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import Described, Operation, Parameter, many, shape
from tapeline.server.replay import playing
from tapeline.server.replay.playing import STATE
from tapeline.server.replay.recordings import Recording, Recordings
from tapeline.server.views import MEDIA, Row, encode, status_row

log = structlog.get_logger("tapeline.server")
MOST = 4
IDLE_SECONDS = 300.0
LOOK_SECONDS = 10.0
OPENED = shape("Replay", path=str, viewers=int, **STATE)
EXAMPLE = '{"session": "20261121T100500Z-1a2b", "at": "2026-11-21T10:10:00Z", "speed": 10}'


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST."""

    session: str
    at: int | str | None = None
    speed: float | Literal["max"] | None = None
    playing: bool | None = None


LIST = Operation(
    "GET", "/api/v1/recordings", "The sessions on the tape, the newest first", tag="replay",
    answer={"recordings": list[Recording], "more": bool}, errors=("tape_broken",),
)  # fmt: skip
SHOW = Operation("GET", "/api/v1/replays", "Recordings that are open", tag="replay", answer={"replays": many(OPENED)})
OPEN = Operation(
    "POST", "/api/v1/replays", "Open a recording beside what is shown", tag="replay", body=Wish, answer={"path": str},
    errors=("no_recording", "too_many_replays", "tape_broken", "ending"),
)  # fmt: skip
CLOSE = Operation(
    "DELETE", "/api/v1/replays", "Close a recording", tag="replay", answer={"replays": many(OPENED)}, errors=("no_replay",),
    parameters=(Parameter(name="session", text="As in /api/v1/replays.", required=True),),
)  # fmt: skip

BARE = Operation("GET", "/replay/{session}", "To the page of a recording", media="text/html", status=307, listed=False)


class Marked:
    """Says in each answer's header that it is of a replay."""

    def __init__(self, app: ASGIApp, mode: Mode) -> None:
        self.app, self.mode = app, mode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-tapeline-mode"] = self.mode
            await send(message)

        await self.app(scope, receive, marked)


class Replay:
    """One that is open."""

    def __init__(self, player: Player, app: Starlette) -> None:
        self.player, self.app = player, app
        self.used = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._perform(), name=f"replay {player.session}")

    @property
    def path(self) -> str:
        return f"/replay/{quote(self.player.session, safe='')}/"

    def row(self) -> Row:
        row: Row = status_row(self.player.state())
        return {"path": self.path, "viewers": len(self.app.state.hub.viewers), **row}

    async def _perform(self) -> None:
        while True:
            try:
                await self.player.perform()
            except TapelineError as e:
                log.warning("a replay stopped", session=self.player.session, reason=str(e))
                self.player.give_up(str(e))
            except Exception as e:  # a fault of ours: told to who watches, who would wait for ever, and logged
                log.exception("a replay failed", session=self.player.session)
                self.player.give_up(f"{type(e).__name__} in the player: the log has the details")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        hub = self.app.state.hub
        hub.send_away(1001, "the replay was closed")
        await asyncio.sleep(0)
        await self.app.state.search.close()
        await hub.close()


class Replays:
    """`make` gives the application of a player."""

    def __init__(self, root: Path, make: Callable[[Player], Starlette], source: Source) -> None:
        self._make, self._source = make, source
        self._recordings = Recordings(root)
        self._open: dict[str, Replay] = {}
        self._opening = asyncio.Lock()
        self._listing = asyncio.Lock()  # one at a time: it reads of each session, in a thread that others need as well
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def routes(self) -> list[BaseRoute]:
        return [
            Described(self.list, LIST),
            Described(self.handle, SHOW, OPEN, CLOSE),
            Described(self.onward, BARE),
            Mount("/replay/{session}", app=self.serve),
        ]

    def _json(self, row: Row) -> Response:
        body = encode({"mode": self._source.mode, **row})
        return Response(body, headers={"cache-control": "no-store"}, media_type=MEDIA["json"])

    async def list(self, _: Request) -> Response:
        try:
            async with self._listing:
                found, more = await asyncio.to_thread(self._recordings.found)
        except TapelineError as e:
            raise ApiError(503, "tape_broken", str(e), "`tapeline tape verify` says more") from None
        return self._json({"recordings": found, "more": more})

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._on_post(request)
        if request.method == "DELETE":
            session = asked.one("session", request.query_params.get("session"))
            if session not in self._open:
                raise ApiError(404, "no_replay", f"{session[:80]!r} is not open", "GET /api/v1/replays names those that are")
            await self._close(session)
        return self._json({"replays": [one.row() for one in self._open.values()]})

    async def _on_post(self, request: Request) -> Response:
        wish = await bodies.read(request, Wish, EXAMPLE, "this is a small object")
        speed, at = playing.pace(wish.speed), playing.instant(wish.at)
        replay = await self.open(wish.session)
        if speed is not None:
            replay.player.set_speed(speed)
        if at is not None:
            replay.player.seek(at)
        if wish.playing is not None:
            (replay.player.play if wish.playing else replay.player.pause)()
        return self._json({"path": replay.path})

    async def open(self, session: str) -> Replay:
        """The one that is open, or a new one. Raises ApiError."""
        async with self._opening:
            self._check()
            if (found := self._open.get(session)) is not None:
                found.used = asyncio.get_running_loop().time()
                return found
            player = await self._player(session)
            self._check()  # it took a while
            if len(self._open) >= MOST:
                raise ApiError(409, "too_many_replays", f"{MOST} recordings are open", "close one: DELETE /api/v1/replays")
            replay = self._open[session] = Replay(player, self._make(player))
        if self._timer is None:
            self._look()
        return replay

    def _check(self) -> None:
        if self._ended:
            raise ApiError(503, "ending", "the server ends", "ask again when it is back")

    async def _player(self, session: str) -> Player:
        try:
            return await asyncio.to_thread(self._recordings.player, session)
        except UsageError as e:
            raise ApiError(404, "no_recording", str(e), "GET /api/v1/recordings names them") from None
        except TapelineError as e:
            raise ApiError(503, "tape_broken", str(e), "`tapeline tape verify` says more") from None

    def _look(self) -> None:
        """Close what nobody uses, as long as anything is open."""
        loop = asyncio.get_running_loop()
        for session, one in list(self._open.items()):
            if one.app.state.hub.viewers:
                one.used = loop.time()
            elif loop.time() - one.used > IDLE_SECONDS:
                task = loop.create_task(self._close(session))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        self._timer = loop.call_later(LOOK_SECONDS, self._look) if self._open else None

    async def _close(self, session: str) -> None:
        if (one := self._open.pop(session, None)) is not None:
            await one.close()

    async def stop(self) -> None:
        """All of them; none can be opened from here on."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._closing, *(self._close(session) for session in list(self._open)))

    async def onward(self, request: Request) -> Response:
        """Addresses within the page begin at its slash. Always to this server, whatever the name and the query are."""
        path = f"/replay/{quote(request.path_params['session'], safe='')}/"
        asked_for = quote(request.scope["query_string"], safe="%&=+,:;@!$'()*/?-._~")
        return RedirectResponse(f"{path}?{asked_for}" if asked_for else path, 307, {"cache-control": "no-store"})

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is under `/replay/SESSION`."""
        session: str = scope["path_params"]["session"]
        replay = self._open.get(session)
        if replay is None and _is_person(scope):
            try:
                replay = await self.open(session)
            except ApiError as e:
                await error_response(e, self._source.mode)(scope, receive, send)
                return
        if replay is None:
            error = ApiError(404, "no_replay", f"{session[:80]!r} is not open", "POST /api/v1/replays opens a recording")
            await _refuse(error, self._source.mode, scope, receive, send)
            return
        replay.used = asyncio.get_running_loop().time()
        await replay.app(scope, receive, send)


def _is_person(scope: Scope) -> bool:
    """Whether somebody opens the page itself, and was not sent here by another site."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != f"{scope['root_path']}/":
        return False
    return Headers(scope=scope).get("sec-fetch-site", "none") in ("none", "same-origin")


async def _refuse(error: ApiError, mode: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.message})
    else:
        await error_response(error, mode)(scope, receive, send)
