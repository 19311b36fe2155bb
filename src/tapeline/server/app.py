"""The server: one Starlette application in front of one engine, on uvicorn, in the loop of whoever starts it.

It takes no signals (the CLI owns them), starts no second loop, logs no requests, and stops in less than a second: viewers are told
goodbye (1012), and what is still connected after a moment is cut off.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from tapeline.alerts.room import Room
from tapeline.clock import Clock
from tapeline.config import QuerySettings, ServerSettings
from tapeline.engine.player import Player
from tapeline.engine.source import Source
from tapeline.server.access.access import Lock, lock_of
from tapeline.server.access.door import DoorProtocol, Quiet, most_connections
from tapeline.server.access.gate import Gate
from tapeline.server.access.guard import Guard, error_response
from tapeline.server.access.login import Login, access_route
from tapeline.server.addresses import here, reachable, written
from tapeline.server.alerts import Alerts
from tapeline.server.asked import ApiError
from tapeline.server.contract.openapi import Document
from tapeline.server.figures import Figures
from tapeline.server.listening import listen
from tapeline.server.live.hub import Hub, Limits
from tapeline.server.live.pipe import ViewerProtocol, abort_all
from tapeline.server.live.stream import stream_route
from tapeline.server.memory.history import History
from tapeline.server.past.footprints import Footprints
from tapeline.server.past.heatmap import Heatmap
from tapeline.server.past.past import Past
from tapeline.server.past.profiles import Profiles
from tapeline.server.prometheus import Exposition
from tapeline.server.query.query import Queries
from tapeline.server.replay.playing import Playing
from tapeline.server.replay.replays import Marked, Replays
from tapeline.server.replay.timeline import Timeline
from tapeline.server.rest import Rest
from tapeline.server.search import Finder, Search
from tapeline.server.static import PAGE, page_routes
from tapeline.server.subscriptions import Subscriptions
from tapeline.server.udf import Udf

GOODBYE_SECONDS = 0.3
QUIET = Quiet()
MAX_MESSAGE = 64 * 1024
HTTP_CODES = {404: ("not_found", "see docs/api.md"), 405: ("method_not_allowed", "see docs/api.md")}


def build_app(
    source: Source,
    settings: ServerSettings,
    clock: Clock,
    *,
    page: Path = PAGE,
    limits: Limits | None = None,
    queries: Queries | None = None,
    alerts: Room | None = None,
    finder: Finder | None = None,
    lock: Lock | None = None,
    recordings: Path | None = None,
    inside: bool = False,
) -> Starlette:
    """The application. From now on it keeps what the source's bus carries, so build it before the source starts.

    `queries`: for the lake that the source feeds; without, there is none to ask. `alerts`: the rules that are watched, likewise.
    `finder`: how venues that are not connected are asked for what they list; without, they are not.
    `lock`: what is demanded of who asks; nothing without (`Server` always has one).
    `recordings`: where the tape is that may be played back. `inside`: it is mounted in another one, which guards it, and opens
    replays.
    `app.state.hub` and `app.state.history` are its parts.
    """
    history = History(settings)
    gate = Gate(settings, lock or Lock())
    hub = Hub(source, history, settings, clock, limits or Limits(), gate)
    search = Search(source, clock, finder)
    past = Past(source, history, queries or Queries(None, QuerySettings()))

    def replay(player: Player) -> Starlette:
        return build_app(
            player, settings, clock, page=page, limits=limits, queries=queries, lock=lock, recordings=recordings, inside=True
        )

    replays = None if recordings is None or inside else Replays(recordings, replay, source)
    played = source if isinstance(source, Player) and recordings is not None else None
    timeline = None if played is None or recordings is None else Timeline(recordings, played, history, queries)

    async def refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001  a handler's shape
        return error_response(_as_api_error(error), source.mode)

    app = Starlette(
        routes=[
            *([] if replays is None else replays.routes()),
            *([] if timeline is None else [Playing(timeline.player).route(), timeline.route()]),
            *_of_the_markets(source, history, hub, past, alerts, clock),
            search.route(),
            *_of_the_server(source, hub, gate),
            *page_routes(page),
        ],
        middleware=[Middleware(Marked, mode=source.mode) if inside else Middleware(Guard, gate=gate, source=source)],
        exception_handlers={ApiError: refuse, HTTPException: refuse, ClientDisconnect: _gone, 500: refuse},
    )
    app.state.hub, app.state.history, app.state.search, app.state.replays = hub, history, search, replays
    source.bus.tap(history.tap)
    source.bus.tap(hub.depths.tap)
    source.bus.turns += [history.turned, hub.depths.turned, hub.turned]
    return app


def _of_the_markets(
    source: Source, history: History, hub: Hub, past: Past, alerts: Room | None, clock: Clock
) -> list[BaseRoute]:
    """What is, what was, and what shall be streamed and watched."""
    names = hub.names
    return [
        *Rest(source, history, hub, past).routes(),
        *Udf(source, history, hub, past, alerts, clock).routes(),
        *Figures(source, history, names).routes(),
        Heatmap(source, hub, past).route(),
        Footprints(source, history, names, past).route(),
        Profiles(source, history, names, past).route(),
        *Subscriptions(source).routes(),
        *Alerts(source, history, alerts).routes(),
        past.queries.route(lambda: source.mode),
    ]


def _of_the_server(source: Source, hub: Hub, gate: Gate) -> list[BaseRoute]:
    """Its viewers, its figures, its document and its door."""

    async def viewer(socket: WebSocket) -> None:
        await hub.serve(socket)

    return [
        WebSocketRoute("/api/v1/ws", viewer),
        stream_route(hub),
        Exposition(source, hub).route(),
        Document(gate, hub.names).route(),
        *Login(gate).routes(),
        access_route(gate, lambda: source.mode),
    ]


async def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001  a handler's shape
    """Who hung up within his own request: no fault of ours, and nobody reads the answer."""
    return Response(status_code=400)


def _as_api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        code, hint = HTTP_CODES.get(error.status_code, ("http_error", ""))
        return ApiError(error.status_code, code, error.detail, hint, error.headers)
    return ApiError(500, "internal_error", f"{type(error).__name__} in the server", "the log has the details; please report it")


class _Uvicorn(uvicorn.Server):
    """Uvicorn without signal handlers and without its ten wake-ups a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up, self.leave = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leave.wait()


class Server:
    """`await start()` gives the address, `await stop()` ends it; or `async with Server(...) as address`."""

    def __init__(
        self,
        source: Source,
        settings: ServerSettings,
        clock: Clock,
        *,
        page: Path = PAGE,
        limits: Limits | None = None,
        queries: Queries | None = None,
        alerts: Room | None = None,
        finder: Finder | None = None,
        recordings: Path | None = None,
    ) -> None:
        self._source, self._settings, self._queries = source, settings, queries
        self.lock = lock_of(settings)
        self.app = build_app(
            source,
            settings,
            clock,
            page=page,
            limits=limits,
            queries=queries,
            alerts=alerts,
            finder=finder,
            recordings=recordings,
            lock=self.lock,
        )
        self.hub: Hub = self.app.state.hub
        self.history: History = self.app.state.history
        self.address = ""
        self._uvicorn: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen, and give the address, as in `http://127.0.0.1:8700`. Raises ConfigError where it cannot listen there."""
        listener = listen(self._settings.host, self._settings.port)
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self.app,
                ws=ViewerProtocol,
                ws_max_size=MAX_MESSAGE,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                http=DoorProtocol,
                limit_concurrency=most_connections(),
                timeout_graceful_shutdown=1,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(QUIET)
        self._task = asyncio.get_running_loop().create_task(self._uvicorn.serve([listener]), name="server")
        up = asyncio.ensure_future(self._uvicorn.up.wait())
        await asyncio.wait({self._task, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._task.done():
            self._task.result()
        self.address = written(here(self._settings.host), listener.getsockname()[1])
        return self.address

    def link(self) -> str:
        """The address for a person: with the token in it where one was made for this start. Never for a log."""
        return f"{self.address}{self._query}"

    def links(self) -> list[str]:
        """The same for people at other machines, where it listens for them."""
        return [f"{address}{self._query}" for address in self.elsewhere()]

    def elsewhere(self) -> list[str]:
        """By what others may reach it, where it listens for them: this machine's addresses and name; without a token."""
        port = self.address.rpartition(":")[2]
        return [written(host, int(port)) for host in reachable(self._settings.host)]

    @property
    def _query(self) -> str:
        return f"/?token={self.lock.token}" if self.lock.random else ""

    def ticket(self) -> str:
        """The address for a browser that we open ourselves: good once, within a minute."""
        if not self.lock.shut:
            return self.address
        return f"{self.address}/?token={self.lock.ticket(asyncio.get_running_loop().time())}"

    async def stop(self) -> None:
        """Stop listening, say goodbye, cut off who does not leave. Takes less than a second; a second call does nothing."""
        taps = self._source.bus.taps
        for tap in (self.history.tap, self.hub.depths.tap):
            if tap in taps:
                taps.remove(tap)
        if self.app.state.replays is not None:
            await self.app.state.replays.stop()
        if self._queries is not None:
            await self._queries.stop()
        await self.app.state.search.close()
        await self.hub.close()
        if self._task is None or self._uvicorn is None:
            return
        task, self._task = self._task, None
        self._uvicorn.leave.set()
        await asyncio.wait({task}, timeout=GOODBYE_SECONDS)
        abort_all(self._uvicorn.server_state.connections)
        await task

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
