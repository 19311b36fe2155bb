"""Server-sent events: `GET /api/v1/stream`, the messages of the WebSocket for whoever can only read (curl, EventSource, a shell).

The stream is a viewer of the hub like any other: the same feeds, encoded once, the same backlog rules, the same right to be dropped.
What differs is the frame (`data: …` in a chunk of HTTP) and that nothing can be said by the viewer after its request: everything
it wants stands in the address.

    ? channel (repeatable) × instrument (repeatable)   every channel of all instruments named; the channel's own options beside
    retry: 2000                                        first of all: how long an EventSource waits before it comes again
    : after BEAT_SECONDS without a message             a comment, so that proxies and dead connections show

Deliberately not done: `id:` and `Last-Event-ID`. A stream that comes again begins with snapshots, and what came between is in
`/trades`. To promise more, the server would have to keep what each viewer missed.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tapeline.server import asked
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import KNOWN, Described, Operation, Parameter
from tapeline.server.live.calls import Params, key_of
from tapeline.server.live.feed import Channel, Key
from tapeline.server.live.pipe import EXTENSION, EventPipe

if TYPE_CHECKING:
    from tapeline.server.live.hub import Hub

BEAT_SECONDS = 15.0
RETRY = b"retry: 2000\n\n"
BEAT = b": still here\n\n"
OPTIONS = tuple(f for f in Params.__struct_fields__ if f not in ("channel", "instruments"))
"""What a channel may be asked with, besides its instruments: those of the WebSocket's calls."""


STREAM = Operation(
    "GET", "/api/v1/stream", "Server-sent events: the messages of the WebSocket", tag="socket", media="text/event-stream",
    parameters=(
        Parameter(name="channel", text="Repeatable.", choices=get_args(Channel), required=True, repeated=True),
        Parameter(name="instrument", text="Repeatable; `*` for all.", repeated=True),
        *(Parameter(name=name, text="An option of the channels, as in the WebSocket's calls.") for name in OPTIONS),
    ),
    errors=(*KNOWN, "too_many_viewers", "no_stream"), embeds=True,
)  # fmt: skip


def keys_of(given: Iterable[tuple[str, str]], hub: "Hub") -> list[Key]:
    """What a request wants to watch, each once. Raises ApiError."""
    pairs = list(given)
    channels = list(dict.fromkeys(v for k, v in pairs if k == "channel"))
    instruments = list(dict.fromkeys(v for k, v in pairs if k == "instrument"))
    if len(channels) > hub.limits.subscriptions:
        raise asked.bad("channel", f"{len(channels)} of them", f"at most {hub.limits.subscriptions}")
    options = {k: v for k, v in pairs if k in OPTIONS}
    if not channels:
        return [key_of(None, hub.names)]  # which says what is missing
    return list(
        dict.fromkeys(key_of(_params({**options, "channel": c, "instruments": instruments}), hub.names) for c in channels)
    )


def _params(values: dict[str, Any]) -> Params:
    try:
        return msgspec.convert(values, Params, strict=False)
    except msgspec.ValidationError as e:
        raise ApiError(400, "bad_parameter", str(e), "docs/api.md tells the channels and their options") from None


class Stream(Response):
    """The answer: it ends when the viewer goes, is dropped, or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, hub: "Hub", keys: list[Key]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._hub, self._keys = hub, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pipe: EventPipe = scope["extensions"][EXTENSION]
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        pipe.open()
        pipe.send(pipe.frame(RETRY))
        with self._hub.watched(pipe, self._keys):
            await self._stay(pipe, asyncio.ensure_future(self._gone(receive)))

    async def _stay(self, pipe: EventPipe, gone: asyncio.Future[None]) -> None:
        try:
            while not gone.done():
                sent = pipe.sent
                await asyncio.wait({gone}, timeout=BEAT_SECONDS)
                if pipe.sent == sent and not pipe.backlog():
                    pipe.send(pipe.frame(BEAT))
        finally:
            gone.cancel()

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


def stream_route(hub: "Hub") -> Described:
    async def stream(request: Request) -> Response:
        keys = keys_of(request.query_params.multi_items(), hub)
        hub.room()
        if not isinstance(request.scope.get("extensions", {}).get(EXTENSION), EventPipe):
            raise ApiError(503, "no_stream", "the stream needs tapeline's own server", "use the WebSocket, or `tapeline run`")
        return Stream(hub, keys)

    return Described(stream, STREAM)
